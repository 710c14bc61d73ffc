"""Binds the addresses on which this process will listen, without harm to a process that already listens
there.

All addresses are bound before the first is published. So if one cannot be had, nothing has changed yet.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from authproxy.edge.client import address_holders

_LONGEST_PATH: Final = 107
"""Bytes of a Unix socket's path (unix(7)); connect(2) takes no more."""


class CannotListen(ValueError):  # noqa: N818
    """An address that cannot be had. The message is one line that names the setting, the address and the
    reason.

    Not an OSError, although most have one as their cause: compiled classes cannot be derived from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """Where to listen: host and port, or a Unix socket with its permissions and group. `key` names the
    setting."""

    key: str
    host: str = ""
    port: int = 0
    unix_path: Path | None = None
    unix_socket_mode: int = 0o660
    unix_socket_group: str | int | None = None

    def __str__(self) -> str:
        return (
            f"{self.key}: {self.unix_path}"
            if self.unix_path is not None
            else f"{self.key}: {self.host or '*'}:{self.port}"
        )


class BoundAddress:
    """An address that this process has. Clients can connect once a server listens on `sockets`; to a Unix
    socket only after `publish`."""

    def __init__(
        self,
        address: ListenAddress,
        sockets: tuple[socket.socket, ...],
        lock: int | None = None,
        *,
        is_lent: bool = False,
    ) -> None:
        self.address = address
        self.sockets = sockets
        self._lock = lock
        self._is_lent = is_lent
        self._inode: tuple[int, int] | None = None

    def shared(self) -> BoundAddress:
        """The same sockets once more, for a successor in this process: no connection is refused in between.
        The path of a Unix socket stays ours until the successor takes it over."""
        sockets = tuple(listening.dup() for listening in self.sockets)
        return BoundAddress(self.address, sockets, is_lent=True)

    def take_over(self, before: BoundAddress) -> None:
        """Owns the path of a Unix socket from now on, instead of the one that shares it."""
        self._lock, before._lock = before._lock, None
        self._inode, before._inode = before._inode, None

    def lent(self) -> BoundAddress:
        """The same sockets for another process. It listens on them and closes them, but the path of a Unix
        socket is not its business."""
        return BoundAddress(self.address, self.sockets, is_lent=True)

    def publish(self) -> None:
        """Moves a Unix socket to its path, and replaces what a killed process has left there. Raises
        CannotListen."""
        path = self.address.unix_path
        if path is None or self._is_lent:
            return
        try:
            # A rename replaces what is there in one step: the path is never empty, and there is no moment
            # between a check and a removal.
            _unpublished(path).rename(path)
            self._inode = _inode(path)
        except OSError as error:
            raise CannotListen(f"{self.address} cannot be put in place: {error.strerror}") from error

    @property
    def is_ours(self) -> bool:
        """Whether clients that connect to the address still reach this process. A TCP port cannot be taken
        away."""
        path = self.address.unix_path
        return path is None or self._inode is None or _inode(path) == self._inode

    def withdraw(self) -> None:
        """Removes a Unix socket from its path, if it is still ours. Clients stay connected."""
        path = self.address.unix_path
        if path is not None and self._inode is not None and _inode(path) == self._inode:
            path.unlink(missing_ok=True)
        self._inode = None

    def close(self) -> None:
        """Gives the address back. May be called again."""
        self.withdraw()
        for listening in self.sockets:
            listening.close()
        path = self.address.unix_path
        if path is not None and self._lock is not None:
            _give_lock_back(self._lock, path)
            self._lock = None


def bind(
    addresses: Iterable[ListenAddress], handed: Iterable[socket.socket] = ()
) -> tuple[BoundAddress, ...]:
    """Binds all addresses, or none: raises CannotListen for the first that cannot be had. `handed` are
    sockets that the process was started with; they are used for the addresses that they have."""
    left = list(handed)
    with contextlib.ExitStack() as undoing:
        bound_addresses = []
        for address in addresses:
            fitting = tuple(each for each in left if _has_address(each, address))
            left = [each for each in left if each not in fitting]
            bound = _bound(address, fitting)
            undoing.callback(bound.close)
            bound_addresses.append(bound)
        if left:
            raise CannotListen(
                f"the socket of {_name_of(left[0])} was handed over, but no setting has that address: "
                "set it in `server.listen`, or remove it from the .socket unit"
            )
        undoing.pop_all()
        return tuple(bound_addresses)


def _bound(address: ListenAddress, handed: tuple[socket.socket, ...]) -> BoundAddress:
    if handed:
        _refuse_wide_permissions(address)
        return BoundAddress(address, handed, is_lent=True)
    return _unix(address, address.unix_path) if address.unix_path is not None else _tcp(address)


def _has_address(handed: socket.socket, address: ListenAddress) -> bool:
    name = handed.getsockname()
    if handed.family == socket.AF_UNIX:
        return address.unix_path is not None and name == str(address.unix_path)
    return address.unix_path is None and name[:2] in [each[4][:2] for each in _resolved(address)]


def _refuse_wide_permissions(address: ListenAddress) -> None:
    """Raises CannotListen for a Unix socket that more processes can open than the settings say: all of them
    would be trusted. systemd's own default is 0666."""
    path = address.unix_path
    if path is None:
        return
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise CannotListen(f"{address} was handed over, but is gone: {error.strerror}") from error
    if mode & 0o666 & ~address.unix_socket_mode:
        raise CannotListen(
            f"{address} was handed over with permissions {mode:03o}, which are more than "
            f"server.unix_socket_mode ({address.unix_socket_mode:03o}): set `SocketMode=` in the .socket unit"
        )


def _name_of(handed: socket.socket) -> str:
    name = handed.getsockname()
    if isinstance(name, bytes):  # a name without a file (unix(7), "abstract")
        return f"@{name[1:].decode('ascii', 'backslashreplace')}"
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"


def _resolved(address: ListenAddress) -> list[tuple[Any, ...]]:
    try:
        return socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise CannotListen(f"{address}: this name stands for no address") from None


def _tcp(address: ListenAddress) -> BoundAddress:
    with contextlib.ExitStack() as undoing:
        sockets = []
        for family, kind, protocol, _, name in dict.fromkeys(_resolved(address)):
            listening = undoing.enter_context(socket.socket(family, kind, protocol))
            # Without this option, a restart within a minute would find the port in TIME_WAIT.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setblocking(False)
            _bind_tcp(listening, name, address)
            sockets.append(listening)
        undoing.pop_all()
        return BoundAddress(address, tuple(sockets))


def _bind_tcp(listening: socket.socket, name: object, address: ListenAddress) -> None:
    try:
        listening.bind(name)  # type: ignore[arg-type]  # as getaddrinfo gave it
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                raise CannotListen(
                    f"{address} is taken by {address_holders.of_port(address.port)}"
                ) from error
            case errno.EACCES:
                raise CannotListen(f"{address}: ports below 1024 need CAP_NET_BIND_SERVICE") from error
            case errno.EADDRNOTAVAIL:
                raise CannotListen(f"{address}: this machine has no such address") from error
            case _:
                raise CannotListen(f"{address} cannot be bound: {error.strerror}") from error


def _unix(address: ListenAddress, path: Path) -> BoundAddress:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise CannotListen(
            f"{address}: the path is too long for a Unix socket ({_LONGEST_PATH} bytes at most)"
        )
    with contextlib.ExitStack() as undoing:
        lock = _lock(address, path)
        undoing.callback(_give_lock_back, lock, path)
        _refuse_if_in_use(address, path)
        listening = undoing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listening.setblocking(False)
        unpublished = _unpublished(path)
        try:
            unpublished.unlink(missing_ok=True)  # of a process that was killed half way; we have its lock
            _bind_at(listening, unpublished)
            if address.unix_socket_group is not None:
                _give_to_group(address.unix_socket_group, unpublished, address)
            # The permissions are set before it listens, because everybody who can connect is a trusted peer.
            unpublished.chmod(address.unix_socket_mode)
        except LookupError:
            raise CannotListen(f"{address}: there is no group {address.unix_socket_group}") from None
        except OSError as error:
            raise CannotListen(f"{address} cannot be made: {error.strerror}") from error
        undoing.pop_all()
        return BoundAddress(address, (listening,), lock)


def _give_to_group(group: str | int, path: Path, address: ListenAddress) -> None:
    """Raises LookupError for a name that is no group's, and CannotListen for a group of others."""
    try:
        shutil.chown(path, group=group)
    except PermissionError as error:
        raise CannotListen(
            f"{address} cannot be given to the group {group}: the gateway's user does not belong to it"
        ) from error


def _bind_at(listening: socket.socket, path: Path) -> None:
    """Binds at a path that may be a little longer than bind(2) takes: then relative to its open folder."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        listening.bind(str(path))
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _lock(address: ListenAddress, path: Path) -> int:
    """Takes the lock beside a path. We have it until the process ends, in whatever way. Raises
    CannotListen."""
    lock_path = _lock_of(path)
    while True:
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            if not path.parent.is_dir():
                raise CannotListen(f"{address}: the folder {path.parent} is missing") from error
            raise CannotListen(
                f"{address}: no lock can be made beside it in {path.parent}: {error.strerror}"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(lock, 32).decode("ascii", "replace").strip()
            os.close(lock)
            by = address_holders.described(int(holder)) if holder.isdecimal() else "another process"
            raise CannotListen(f"{address} is taken by {by}") from None
        # A process that gives its lock back removes the file. If that happened just now, we have locked a
        # file that no other process will find. Then we try again.
        locked = os.fstat(lock)
        if _inode(lock_path) == (locked.st_dev, locked.st_ino):
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
            return lock
        os.close(lock)


def _give_lock_back(lock: int, path: Path) -> None:
    with contextlib.suppress(OSError):
        _unpublished(path).unlink(missing_ok=True)
        _lock_of(path).unlink(missing_ok=True)
    os.close(lock)


def _refuse_if_in_use(address: ListenAddress, path: Path) -> None:
    """Raises CannotListen for a path that is no socket, or at which a process listens without a lock (another
    program, or an older version of this one)."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise CannotListen(f"{address} is there already and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            raise CannotListen(f"{address} is taken by another process") from None
        except OSError as error:
            raise CannotListen(
                f"{address} is there already and cannot be asked whether it lives: {error.strerror}"
            ) from error
        raise CannotListen(f"{address} is taken by {address_holders.of_connection(probe)}")


def _unpublished(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

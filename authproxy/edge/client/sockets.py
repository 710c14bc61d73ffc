"""Binds the addresses on which this process will listen, and never harms a process that listens there
already.

All addresses are bound before the first of them is published: what cannot be had is found out while
everything is as it was.
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
from typing import Final

from authproxy.edge.client import holders

_LONGEST_PATH: Final = 107
"""Bytes of a Unix socket's path (unix(7)); connect(2) takes no more."""


class CannotListen(ValueError):  # noqa: N818
    """An address that cannot be had. The message is one line that names the setting, the address and the
    reason.

    No OSError, though most come of one: compiled classes cannot be derived from that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen: host and port, or a Unix socket with its permissions and its group. `key` is the
    setting that says so."""

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


class Bound:
    """An address that is ours. Nobody can connect before a server listens on `sockets`, and to a Unix socket
    not before `publish`."""

    def __init__(self, address: Address, sockets: tuple[socket.socket, ...], lock: int | None = None) -> None:
        self.address = address
        self.sockets = sockets
        self._lock = lock
        self._inode: tuple[int, int] | None = None

    def publish(self) -> None:
        """Puts a Unix socket at its path, in the place of what a killed process has left there. Raises
        CannotListen."""
        path = self.address.unix_path
        if path is None:
            return
        try:
            # A rename replaces what is there in one step: the path is never empty, and nobody can come
            # between a look and a removal.
            _new(path).rename(path)
            self._inode = _inode(path)
        except OSError as error:
            raise CannotListen(f"{self.address} cannot be put in place: {error.strerror}") from error

    @property
    def is_ours(self) -> bool:
        """Whether who connects to the address still reaches this process. A TCP port cannot be taken away."""
        path = self.address.unix_path
        return path is None or self._inode is None or _inode(path) == self._inode

    def withdraw(self) -> None:
        """Takes a Unix socket away from its path, if it is still ours. Who is connected stays so."""
        path = self.address.unix_path
        if path is not None and self._inode is not None and _inode(path) == self._inode:
            path.unlink(missing_ok=True)
        self._inode = None

    def close(self) -> None:
        """Gives the address back. May be called again."""
        self.withdraw()
        for each in self.sockets:
            each.close()
        path = self.address.unix_path
        if path is not None and self._lock is not None:
            _given_back(self._lock, path)
            self._lock = None


def bind(addresses: Iterable[Address]) -> tuple[Bound, ...]:
    """Binds all addresses, or none: raises CannotListen for the first that cannot be had."""
    with contextlib.ExitStack() as undoing:
        every = []
        for address in addresses:
            bound = _unix(address, address.unix_path) if address.unix_path is not None else _tcp(address)
            undoing.callback(bound.close)
            every.append(bound)
        undoing.pop_all()
        return tuple(every)


def _tcp(address: Address) -> Bound:
    try:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise CannotListen(f"{address}: this name stands for no address") from None
    with contextlib.ExitStack() as undoing:
        sockets = []
        for family, kind, protocol, _, name in dict.fromkeys(found):
            listening = undoing.enter_context(socket.socket(family, kind, protocol))
            # Without it a restart within the minute would find its own port in TIME_WAIT.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setblocking(False)
            _bind_tcp(listening, name, address)
            sockets.append(listening)
        undoing.pop_all()
        return Bound(address, tuple(sockets))


def _bind_tcp(listening: socket.socket, name: object, address: Address) -> None:
    try:
        listening.bind(name)  # type: ignore[arg-type]  # as getaddrinfo gave it
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                raise CannotListen(f"{address} is taken by {holders.of_port(address.port)}") from error
            case errno.EACCES:
                raise CannotListen(f"{address}: ports below 1024 need CAP_NET_BIND_SERVICE") from error
            case errno.EADDRNOTAVAIL:
                raise CannotListen(f"{address}: this machine has no such address") from error
            case _:
                raise CannotListen(f"{address} cannot be bound: {error.strerror}") from error


def _unix(address: Address, path: Path) -> Bound:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise CannotListen(
            f"{address}: the path is too long for a Unix socket ({_LONGEST_PATH} bytes at most)"
        )
    with contextlib.ExitStack() as undoing:
        lock = _locked(address, path)
        undoing.callback(_given_back, lock, path)
        _refuse_what_lives(address, path)
        listening = undoing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listening.setblocking(False)
        new = _new(path)
        try:
            new.unlink(missing_ok=True)  # of a process that was killed half way; we have its lock
            _bind_at(listening, new)
            if address.unix_socket_group is not None:
                shutil.chown(new, group=address.unix_socket_group)
            # The permissions stand before it listens: everybody who can connect is a trusted peer.
            new.chmod(address.unix_socket_mode)
        except LookupError:
            raise CannotListen(f"{address}: there is no group {address.unix_socket_group}") from None
        except OSError as error:
            raise CannotListen(f"{address} cannot be made: {error.strerror}") from error
        undoing.pop_all()
        return Bound(address, (listening,), lock)


def _bind_at(listening: socket.socket, path: Path) -> None:
    """Binds at a path that may be a little longer than the system takes in one piece."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        listening.bind(str(path))
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _locked(address: Address, path: Path) -> int:
    """The lock beside a path, ours until we end, however we end. Raises CannotListen."""
    place = _lock_of(path)
    while True:
        try:
            lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
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
            by = holders.described(int(holder)) if holder.isdecimal() else "another process"
            raise CannotListen(f"{address} is taken by {by}") from None
        # A process that gives its lock back removes the file. If that happened just now, we have locked a
        # file that nobody else will find, and try again.
        found = os.fstat(lock)
        if _inode(place) == (found.st_dev, found.st_ino):
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
            return lock
        os.close(lock)


def _given_back(lock: int, path: Path) -> None:
    with contextlib.suppress(OSError):
        _new(path).unlink(missing_ok=True)
        _lock_of(path).unlink(missing_ok=True)
    os.close(lock)


def _refuse_what_lives(address: Address, path: Path) -> None:
    """Raises CannotListen for a path at which somebody listens (an older version, which locks nothing) or
    that is no socket."""
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
        raise CannotListen(f"{address} is taken by {holders.of_connection(probe)}")


def _new(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino

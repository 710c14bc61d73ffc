"""Runs an image's file system as a container engine would, and signs somebody in through it: `make image`
calls this.

The file system is read-only but for the /dev/shm that engines give to every container; the process is the
image's user and may gain nothing. The counterparties are those of the sandbox, from this checkout. The last
lines are what there is to report: size, time to start, memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.gateway import House, open_house
from tests.support.http_client import Browser
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

_MOUNTS = """
root=$1 settings=$2 user=$3
shift 3
mkdir -p "$root/etc/authproxy"
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid "$root"
mount --bind "$settings" "$root/etc/authproxy"
mount -o remount,bind,ro "$root/etc/authproxy"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755,nosuid tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/urandom" c 1 9
mkdir -m 1777 "$root/dev/shm"
mount -t tmpfs -o mode=1777,nosuid tmpfs "$root/dev/shm"
mount -o remount,ro "$root/dev"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" env -i "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Image:
    root: Path
    user: str
    environment: tuple[str, ...]
    command: tuple[str, ...]
    health_check: tuple[str, ...]

    @classmethod
    def read(cls, root: Path, description: Path) -> Image:
        """`description` is what `buildah inspect --type image` says."""
        config = json.loads(description.read_text(encoding="utf-8"))["Docker"]["config"]
        kind, *health_check = config["Healthcheck"]["Test"]
        assert (kind, config["User"], config.get("StopSignal")) == ("CMD", "65532:65532", "SIGTERM")
        return cls(
            root=root,
            user=config["User"],
            environment=tuple(config["Env"]),
            command=(*config["Entrypoint"], *config["Cmd"]),
            health_check=tuple(health_check),
        )

    async def started(
        self, command: Sequence[str], house: House, *, output: int | None = None
    ) -> asyncio.subprocess.Process:
        """The command as process 1 of a container of its own, with the house's settings under
        /etc/authproxy."""
        given = {
            "AUTHPROXY__SERVER__LISTEN": f"127.0.0.1:{house.ports['gateway']}",
            "AUTHPROXY__ASSERTIONS__CURRENT_KEY_FILE": "/etc/authproxy/assertion.pem",
            "AUTHPROXY__TELEMETRY__AUDIT_FILE": "null",
        }
        variables = [*self.environment, *(f"{name}={value}" for name, value in given.items())]
        return await asyncio.create_subprocess_exec(
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "bash",
            "-euo",
            "pipefail",
            "-c",
            _MOUNTS,
            "image-trial",
            str(self.root),
            str(house.folder),
            self.user,
            *variables,
            *command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def size(self, *below: str) -> float:
        """In megabytes, every file once."""
        told = subprocess.run(
            ["du", "--summarize", "--block-size=1000", self.root.joinpath(*below)],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(told.stdout.split()[0]) / 1000


def first_process(process: asyncio.subprocess.Process) -> int:
    """Process 1 of the container, by its number here."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def memory(pid: int) -> float:
    """Resident memory in megabytes."""
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")
    ]
    return int(line.split()[1]) * 1024 / 1e6


def holds_only_what_runs(image: Image) -> None:
    packages = next((image.root / "opt/authproxy/lib").glob("python3.*/site-packages"))
    assert list((packages / "authproxy/edge").glob("*.so")), "no compiled modules"
    for unwanted in (
        packages / "authproxy/sandbox",
        packages / "pip",
        packages / "mypy",
        image.root / "usr/bin/gcc",
        image.root / "src",
    ):
        assert not unwanted.exists(), f"{unwanted} is in the image"


@contextlib.asynccontextmanager
async def houses() -> AsyncIterator[House]:
    with RedisServer() as server:
        async with open_house(server.url, has_gateway=False) as house:
            for path in (house.folder, *house.folder.iterdir()):
                os.chown(path, 65532, 65532)
            yield house


async def tried(image: Image, log: int) -> list[str]:
    async with houses() as house:
        began = time.monotonic()
        gateway = await image.started(image.command, house, output=log)
        try:
            await until(lambda: is_well(house, gateway), within=30)
            started = time.monotonic() - began
            page = await house.person().signs_in(house.acq + "/")
            assert page.status == 200, page.text
            assert "Ana Novak" in page.text
            inside = first_process(gateway)
            owner = Path(f"/proc/{inside}").stat().st_uid
            held = memory(inside)
            assert owner == 65532
            assert await (await image.started(image.health_check, house)).wait() == 0, (
                "the health check says no"
            )
            began = time.monotonic()
            os.kill(inside, signal.SIGTERM)
            async with asyncio.timeout(40):
                code = await gateway.wait()
            ended = time.monotonic() - began
        finally:
            if gateway.returncode is None:
                gateway.kill()
                await gateway.wait()
        assert code == 0, f"the gateway ended with {code}"
        assert await (await image.started(image.health_check, house)).wait() == 1, (
            "the health check takes a dead gateway for a living one"
        )
    return [
        (
            "Ana Novak signed in through the image, read-only, as user 65532; its health check said yes, and "
            "no afterwards"
        ),
        (
            f"size             {image.size():.0f} MB, of which /opt/authproxy "
            f"{image.size('opt/authproxy'):.0f} MB"
        ),
        f"time to start    {started:.2f} s until /healthz answers",
        f"memory           {held:.0f} MB resident after a sign-in",
        f"end on SIGTERM   {ended:.2f} s, exit code 0",
    ]


async def is_well(house: House, gateway: asyncio.subprocess.Process) -> bool:
    assert gateway.returncode is None, "the gateway did not start"
    try:
        return (await Browser().fetch(f"{house.management}/healthz")).status == 200
    except OSError:
        return False


def main() -> None:
    image = Image.read(Path(sys.argv[1]), Path(sys.argv[2]))
    holds_only_what_runs(image)
    log = Path(sys.argv[2]).with_name("gateway.log")
    try:
        with log.open("wb") as opened:
            sys.stdout.write("\n".join(asyncio.run(tried(image, opened.fileno()))) + "\n")
    except BaseException:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
        raise


if __name__ == "__main__":
    main()

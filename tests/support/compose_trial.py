"""Follows deploy/compose/README.md on a bare machine with Docker, and tries what it says:
deploy/compose/rehearsal calls it. Prints one line for each thing that holds, and ends with the first that
does not.

The counterparties are those of a house on the machine's loopback. A gateway in its container reaches the
portal at the machine's address in its network; the provider, whose address is its name, at its own loopback,
from where it is passed on.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import socket
import ssl
import sys
import time
from contextlib import suppress
from pathlib import Path

import yaml

from tests.support.bare_machine import Load, Machine, block, replaced, said, until
from tests.support.gateway import CLIENT_ID, House, open_house
from tests.support.http_client import Browser

_HOST = "acq.localhost"
_FOLDER = "/srv/authproxy/deploy/compose"
_IMAGES = "/srv/images"
_GATEWAYS = ("gateway-a", "gateway-b")
_JWKS, _PORTAL = 8000, 9001
_MACHINE, _FIRST_GATEWAY = "172.30.9.1", "172.30.9.11"
_NETWORK = 0x40000000
"""CLONE_NEWNET of setns(2)."""


class Trial:
    def __init__(self, machine: Machine, house: House) -> None:
        self.machine, self.house = machine, house
        self._loop = asyncio.get_running_loop()
        self._relays: list[asyncio.Server] = []

    def does(self, command: str, *, fails: bool = False) -> str:
        return self.machine.does(f"cd {_FOLDER} && {command}", fails=fails)

    # Set up, as the README says.

    def loads_images(self) -> None:
        """Under the names of compose.yaml, made of Debian's packages."""
        until(lambda: "Server Version" in self.does("docker info 2>&1 || true"))
        self.does(
            f"docker load --quiet --input {_IMAGES}/authproxy.tar && docker tag localhost/authproxy authproxy"
        )
        self.does(
            f'docker import --change \'CMD ["nginx", "-g", "daemon off;"]\' {_IMAGES}/servers.tar nginx:1.28'
        )
        self.does(f"docker import {_IMAGES}/servers.tar redis:7.2")

    def adapts(self) -> None:
        file = self.machine.file(f"{_FOLDER}/authproxy.yaml")
        settings = yaml.safe_load(file.read_text())
        settings["rekono"] |= {"issuer": self.house.issuer, "client_id": CLIENT_ID}
        settings["assertions"]["issuer"] = self.house.settings.assertions.issuer
        settings["portals"]["acq"] |= {
            "url": f"https://{_HOST}",
            "upstream": f"http://{_MACHINE}:{_PORTAL}",
            "allows_plaintext": True,
        }
        file.write_text(yaml.safe_dump(settings))
        # This machine may allow fewer open files than a server does.
        most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
        composed = self.machine.file(f"{_FOLDER}/compose.yaml")
        composed.write_text(replaced(composed.read_text(), (r"nofile: 65536", f"nofile: {most}")))
        conf = self.machine.file(f"{_FOLDER}/nginx.conf")
        conf.write_text(replaced(conf.read_text(), (r"server_name .*;", f"server_name {_HOST};")))
        self.does(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
            f"-subj /CN={_HOST} -addext subjectAltName=DNS:{_HOST} -keyout /srv/its.key -out /srv/certificate.pem"
        )

    def follows(self) -> None:
        commands = replaced(
            block("deploy/compose/README.md", about="docker build"),
            (r"^cd .*", f"cd {_FOLDER}"),
            (r"/path/to/", "/srv/"),
            (r"docker build .*\n", ""),  # it is there
        )
        self.machine.types(commands, self.house.secret)

    def follows_sentinels(self) -> None:
        commands = replaced(
            block("deploy/compose/README.md", about="compose.sentinel.yaml"), (r"^cd .*", f"cd {_FOLDER}")
        )
        self.machine.types(commands)

    # What is asked again and again.

    def connects(self) -> None:
        """Passes on what the gateways ask the provider, and what the portal asks a gateway."""
        asyncio.run_coroutine_threadsafe(self._connects(), self._loop).result()

    async def _connects(self) -> None:
        for relay in self._relays:
            relay.close()
        inside = {
            self._process(gateway): [self.house.ports[name] for name in ("provider", "outbox", "phone")]
            for gateway in _GATEWAYS
        }
        listening = [
            (bound("127.0.0.1", port, network_of=process), ("127.0.0.1", port))
            for process, ports in inside.items()
            for port in ports
        ]
        listening.append((bound(_MACHINE, _PORTAL), ("127.0.0.1", _PORTAL)))
        listening.append((bound("127.0.0.1", _JWKS), (_FIRST_GATEWAY, 8080)))
        self._relays = [await passing_on(listener, *target) for listener, target in listening]

    def _process(self, service: str) -> int:
        """The container's first process, by its number here."""
        inside = self.does(f"docker inspect --format '{{{{.State.Pid}}}}' authproxy-{service}-1")
        for status in Path("/proc").glob("[0-9]*/status"):
            with suppress(OSError):
                numbers = next(
                    line.split()[1:] for line in status.read_text().splitlines() if line.startswith("NSpid:")
                )
                if inside in numbers[1:-1] and int(numbers[-1]) == 1:
                    return int(status.parent.name)
        raise AssertionError(f"no process of {service}")

    def signs_in(self) -> dict[str, str]:
        """Ana's cookie, by host."""
        return asyncio.run_coroutine_threadsafe(self._signs_in(), self._loop).result()

    async def _signs_in(self) -> dict[str, str]:
        ana = self.house.person(browser=Browser(tls=ssl._create_unverified_context(), patience=30))
        page = await ana.signs_in(f"https://{_HOST}/")
        assert page.status == 200, page.text
        assert "Ana Novak" in page.text, page.text
        return {_HOST: f"__Host-authproxy={ana.ticket(f'https://{_HOST}')}"}

    def load(self, cookies: dict[str, str]) -> Load:
        return Load(443, cookies, page=b"Ana Novak", tls=True)

    def goes_on(self, cookies: dict[str, str]) -> None:
        with self.load(cookies) as load:
            pass
        assert not load.failed, load.outcomes

    # What must hold.

    def has_no_rights(self) -> None:
        for service in (*_GATEWAYS, "redis"):
            told = self.does(
                "docker inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} "
                f"{{{{.HostConfig.SecurityOpt}}}} {{{{.Config.User}}}}' authproxy-{service}-1"
            )
            assert told.startswith("true [ALL] [no-new-privileges"), told
            assert told.endswith(("65532:65532", "999:999")), told
        self.does("docker compose exec -T nginx bash -c 'exec 3<>/dev/tcp/redis/6379'", fails=True)

    def renews_one_after_the_other(self, cookies: dict[str, str]) -> str:
        with self.load(cookies) as load:
            for gateway in _GATEWAYS:
                self.does(f"docker compose up -d --wait --force-recreate --no-deps {gateway}")
        assert not load.failed, load.outcomes
        return f"{load.outcomes.total():,} requests"

    def survives_everything(self, cookies: dict[str, str]) -> None:
        for relay in self._relays:
            self._loop.call_soon_threadsafe(relay.close)
        self.does("docker compose down")
        self.does("docker compose up -d --wait")
        self.connects()
        self.goes_on(cookies)

    def fails_over(self, cookies: dict[str, str]) -> float:
        primary = self._primary()
        began = time.monotonic()
        self.does(f"docker compose kill {primary}")
        until(lambda: self._primary() not in {"", primary})
        until(lambda: self._is_served(cookies))
        gap = time.monotonic() - began
        self.signs_in()
        self.does(f"docker compose start {primary}")
        until(lambda: "role:slave" in self._told(primary, "info replication"))
        self.goes_on(cookies)
        return gap

    def _is_served(self, cookies: dict[str, str]) -> bool:
        try:
            self.goes_on(cookies)
        except AssertionError:
            return False
        return True

    def _primary(self) -> str:
        address = self.does(
            "docker compose exec -T sentinel-a redis-cli -p 26379 sentinel get-master-addr-by-name authproxy || true"
        ).split("\n")[0]
        return {"172.30.10.11": "redis", "172.30.10.12": "redis-b", "172.30.10.13": "redis-c"}.get(
            address, ""
        )

    def _told(self, server: str, command: str) -> str:
        return self.does(
            f"REDISCLI_AUTH=$(cat secrets/replication-password) docker compose exec -T -e REDISCLI_AUTH {server} "
            f"redis-cli --user sentinel {command} || true"
        )


def bound(address: str, port: int, *, network_of: int | None = None) -> socket.socket:
    """A listening socket, in the network of another process if one is given. The thread is in that network
    only meanwhile."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(process: str) -> None:
        with Path(f"/proc/{process}/ns/net").open() as network:
            if libc.setns(network.fileno(), _NETWORK):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    with Path("/proc/thread-self/ns/net").open() as before:
        if network_of is not None:
            enter(str(network_of))
        try:
            return socket.create_server((address, port))
        finally:
            libc.setns(before.fileno(), _NETWORK)


async def passing_on(listener: socket.socket, host: str, port: int) -> asyncio.Server:
    async def passes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(host, port)
            await asyncio.gather(copied(reader, back), copied(there, writer))

    async def copied(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while octets := await source.read(65536):
                target.write(octets)
                await target.drain()
        with suppress(OSError):
            target.close()

    return await asyncio.start_server(passes, sock=listener)


def tried(trial: Trial) -> None:
    trial.loads_images()
    trial.adapts()
    trial.follows()
    said(
        "the commands of the README, typed as they stand there, start everything, and the store has nothing to mend"
    )
    trial.connects()
    cookies = trial.signs_in()
    said("somebody signs in through nginx")
    trial.has_no_rights()
    said("the containers are read-only, without capabilities; nginx cannot reach Redis")
    said(
        f"both gateways made anew, one after the other: 0 of {trial.renews_one_after_the_other(cookies)} failed"
    )
    trial.survives_everything(cookies)
    said("after `down` and `up` the session goes on")
    trial.follows_sentinels()
    trial.connects()
    trial.goes_on(cookies)
    said("with the commands for Sentinel three servers hold the same sessions")
    said(
        f"the primary killed: served again after {trial.fails_over(cookies):.1f} s, and it comes back as a replica"
    )
    trial.survives_everything(cookies)
    said("after `down` and `up` the session goes on, on the primary that was chosen")


async def in_a_house(machine: Machine) -> None:
    async with open_house(
        "redis://127.0.0.1:6379",
        has_gateway=False,
        ports={"gateway": _JWKS, "acq": _PORTAL},
        environment={"AUTHPROXY__PORTALS__ACQ__URL": f"https://{_HOST}"},
    ) as house:
        # The counterparties go on in this loop meanwhile.
        await asyncio.to_thread(tried, Trial(machine, house))


def main() -> None:
    machine = Machine(int(sys.argv[1]))
    machine.has_started()
    try:
        asyncio.run(in_a_house(machine))
    except BaseException:
        with suppress(Exception):
            sys.stderr.write(
                machine.does(f"cd {_FOLDER} && docker compose ps -a; docker compose logs --tail 20")
            )
        raise


if __name__ == "__main__":
    main()

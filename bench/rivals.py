"""What authproxy is compared with beside nginx: Apache with mod_auth_openidc, oauth2-proxy, and Caddy. What
is not installed is left out."""

from __future__ import annotations

import base64
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from measuring import Load, Row
from sign_in import Person
from workshop import Workshop

_APACHE_MODULES = Path("/usr/lib/apache2/modules")
APACHES = {
    "apache_shm": "Apache + mod_auth_openidc, shared memory",
    "apache_redis": "Apache + mod_auth_openidc, Redis",
}
OAUTH2_PROXIES = {
    "oauth2_proxy_redis": "oauth2-proxy, Redis",
    "oauth2_proxy_cookie": "oauth2-proxy, cookie",
}
PLACES = (*APACHES, *OAUTH2_PROXIES, "caddy")


class Client(NamedTuple):
    """What a rival is at the provider."""

    issuer: str
    client_id: str
    secret: str


class Rivals:
    """They are begun all at once; `rows` signs in to each, when all of them listen."""

    def __init__(self, workshop: Workshop, client: Client, installed: Path) -> None:
        """`installed` is the folder with the programs that Debian does not have (`make bench-rivals`)."""
        self._workshop = workshop
        self._client = client
        self._running: dict[str, int] = {}
        self.left_out: list[str] = []
        if shutil.which("apache2") is None or not (_APACHE_MODULES / "mod_auth_openidc.so").exists():
            self.left_out.append("Apache with mod_auth_openidc is not installed")
        else:
            self._running |= {place: self._apache(place) for place in APACHES}
        for name, begin in (("oauth2-proxy", self._oauth2_proxies), ("caddy", self._caddy)):
            program = installed / name
            if program.exists():
                self._running |= begin(str(program))
            else:
                self.left_out.append(f"{name} is not in {installed} (`make bench-rivals` puts it there)")

    def rows(self, person: Person, nginx: int) -> Iterator[Row]:
        for place, pid in self._running.items():
            if place == "caddy":
                load = Load(self._workshop.local(place, "/1k"))
                yield Row(name="Caddy `reverse_proxy`", group="proxy 1k", load=load, size=1024, pids=(pid,))
            elif place in APACHES:
                yield from self._rows_of_apache(place, pid, person)
            else:
                yield from self._rows_of_oauth2_proxy(place, pid, person, nginx)

    # Apache. Its session cache is shared memory or the Redis that authproxy has, too.

    def _apache(self, place: str) -> int:
        workshop = self._workshop
        told = {
            "USER": f"User {workshop.user}\nGroup {workshop.user}" if workshop.user else "",
            "CACHE": place.removeprefix("apache_"),
            "PORT": str(workshop.ports[place]),
            "PUBLIC": workshop.public(place),
            "MODULES": str(_APACHE_MODULES),
            "CLIENT": self._client.client_id,
            "SECRET": self._client.secret,
            "PASSPHRASE": secrets.token_urlsafe(32),
            "ISSUER": self._client.issuer,
        }
        file = workshop.configured("apache.conf", f"{place}.conf", told)
        command = ["apache2", "-DFOREGROUND", "-f", str(file)]
        return workshop.begin(command, core=workshop.server_core, place=place)

    def _rows_of_apache(self, place: str, pid: int, person: Person) -> Iterator[Row]:
        headers = _signed_in(person, f"{self._workshop.public(place)}/tiny")
        asked = [("subrequest", "/tiny", None)]
        if place == "apache_redis":
            asked += [("miss, subrequest", "/tiny", None), ("miss, proxy 1k", "/proxied/1k", 1024)]
        else:
            asked += [(group, "/proxied/1k", 1024) for group in ("proxy 1k", "nginx asks, 1k")]
            asked += [("proxy 100k", "/proxied/100k", 102400)]
        for group, target, size in asked:
            load = Load(self._workshop.local(place, target), headers)
            yield Row(name=APACHES[place], group=group, load=load, size=size, pids=(pid,))

    # oauth2-proxy. Its sessions are in the same Redis, or wholly in the cookie.

    def _oauth2_proxies(self, program: str) -> dict[str, int]:
        return begin_oauth2_proxies(self._workshop, self._client, program)

    def _rows_of_oauth2_proxy(self, place: str, pid: int, person: Person, nginx: int) -> Iterator[Row]:
        workshop, name = self._workshop, OAUTH2_PROXIES[place]
        headers = _signed_in(person, f"{workshop.public(place)}/1k")
        asked = [("subrequest", "/oauth2/auth", None), ("proxy 1k", "/1k", 1024)]
        if place == "oauth2_proxy_redis":
            # It asks Redis about every request, so that a hit and a miss are the same.
            asked += [("miss, subrequest", "/oauth2/auth", None), ("miss, proxy 1k", "/1k", 1024)]
        for group, target, size in asked:
            load = Load(workshop.local(place, target), headers)
            yield Row(name=name, group=group, load=load, size=size, pids=(pid,))
        if place == "oauth2_proxy_redis":
            load = Load(workshop.local("nginx_asking_rival", "/1k"), headers)
            yield Row(name=f"nginx + {name}", group="nginx asks, 1k", load=load, size=1024, pids=(nginx, pid))

    # Caddy, which proxies without asking who it is.

    def _caddy(self, program: str) -> dict[str, int]:
        workshop = self._workshop
        file = workshop.configured("Caddyfile", "Caddyfile", {})
        places = [f"{name}={workshop.folder}/caddy" for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")]
        command = ["env", *places, program, "run", "--config", str(file), "--adapter", "caddyfile"]
        return {"caddy": workshop.begin(command, core=workshop.server_core, place="caddy")}


def begin_oauth2_proxies(workshop: Workshop, client: Client, program: str) -> dict[str, int]:
    """The process id of each, by its place."""
    running = {}
    for place in OAUTH2_PROXIES:
        store = ["--session-store-type=cookie"]
        if place == "oauth2_proxy_redis":
            url = f"redis://127.0.0.1:{workshop.ports['redis']}"
            store = ["--session-store-type=redis", f"--redis-connection-url={url}"]
        command = [
            program,
            f"--http-address=127.0.0.1:{workshop.ports[place]}",
            "--provider=oidc",
            f"--oidc-issuer-url={client.issuer}",
            f"--client-id={client.client_id}",
            f"--client-secret={client.secret}",
            f"--redirect-url={workshop.public(place)}/oauth2/callback",
            "--scope=openid profile email",
            "--code-challenge-method=S256",
            "--insecure-oidc-allow-unverified-email",
            "--email-domain=*",
            f"--cookie-secret={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}",
            "--cookie-secure=false",
            *store,
            f"--upstream={workshop.local('origin')}/",
            "--skip-provider-button",
            "--request-logging=false",
            "--auth-logging=false",
        ]
        running[place] = workshop.begin(command, core=workshop.server_core, place=place)
    return running


def _signed_in(person: Person, url: str) -> tuple[str, ...]:
    person.signs_in(url)
    return (f"Host: {url.split('/')[2]}", f"Cookie: {person.cookies(url)}")

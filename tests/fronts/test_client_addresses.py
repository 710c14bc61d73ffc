"""The client's address behind another proxy, which says it by the PROXY protocol, and by IPv6: with the lines that
the READMEs name for it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence

import pytest

from tests.support.fronts import envoy, haproxy, nginx
from tests.support.fronts.front import DEPLOY, Front
from tests.support.fronts.world import CLOSED, OPEN, PATIENCE, Standing, World, status_of

pytestmark = [
    pytest.mark.needs("redis-server", "node"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.rehearsal,
]

_ENVOYS = "envoy.filters.listener.proxy_protocol"
_ENVOYS_FILTER = (
    f'        - name: {_ENVOYS}\n          typed_config: {{"@type": type.googleapis.com/'
    "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}\n"
)
BEHIND_A_PROXY = {
    # File, what stands there, and what is written in its place.
    "nginx": (
        ("portal.example.conf", "listen 443 ssl;", "listen 443 ssl proxy_protocol;"),
        (
            "portal.example.conf",
            "listen 443 ssl default_server;",
            "listen 443 ssl default_server proxy_protocol;",
        ),
        (
            "portal.example.conf",
            "    include authproxy/server.conf;",
            "    set_real_ip_from 127.0.0.1;\n    real_ip_header proxy_protocol;\n    include authproxy/server.conf;",
        ),
    ),
    "caddy": (
        (
            "portal.example.caddyfile",
            "\tservers {\n",
            (
                "\tservers {\n\t\tlistener_wrappers {\n\t\t\tproxy_protocol {\n\t\t\t\tallow 127.0.0.1/32\n"
                "\t\t\t}\n\t\t\ttls\n\t\t}\n"
            ),
        ),
    ),
    "traefik": (
        (
            "traefik.yaml",
            '    address: ":443"\n',
            '    address: ":443"\n    proxyProtocol:\n      trustedIPs: [127.0.0.1/32]\n',
        ),
    ),
    "envoy": (
        (
            "portal.example.yaml",
            "        - name: envoy.filters.listener.tls_inspector\n",
            f"{_ENVOYS_FILTER}        - name: envoy.filters.listener.tls_inspector\n",
        ),
    ),
    "haproxy": (("portal.example.cfg", "bind :443 ssl", "bind :443 accept-proxy ssl"),),
}
NAMED = {
    "nginx": ("listen … proxy_protocol", "set_real_ip_from", "real_ip_header proxy_protocol"),
    "caddy": ("listener_wrappers", "proxy_protocol", "allow"),
    "traefik": ("proxyProtocol.trustedIPs",),
    "envoy": (_ENVOYS,),
    "haproxy": ("accept-proxy",),
}


def changed(kind: Front, edits: Sequence[tuple[str, str, str]]) -> Mapping[str, str]:
    files = dict(kind.files())
    for file, old, new in edits:
        assert old in files[file], old
        files[file] = files[file].replace(old, new)
    return files


async def asked(
    front: Standing, target: str, *fields: str, before: bytes = b"", address: str = "127.0.0.1"
) -> bytes:
    """The answer on a connection that begins with some bytes in front of TLS."""

    def ask() -> bytes:
        raw = socket.create_connection((address, front.place.port), timeout=PATIENCE)
        raw.sendall(before)
        with front.world.tls.wrap_socket(raw, server_hostname=front.place.hosts["acq.example.si"]) as tls:
            lines = [f"GET {target} HTTP/1.1", f"Host: {front.host}", "Connection: close", *fields, "", ""]
            tls.sendall("\r\n".join(lines).encode())
            return b"".join(iter(lambda: tls.recv(65536), b""))

    try:
        return await asyncio.to_thread(ask)
    except (ConnectionError, ssl.SSLError):
        return b""


async def test_a_proxy_in_front_says_the_clients_address_by_its_protocol(world: World, kind: Front) -> None:
    readme = (DEPLOY / kind.name / "README.md").read_text()
    assert [name for name in NAMED[kind.name] if name not in readme] == []
    claims = ("X-Forwarded-For: 192.0.2.99", "X-Forwarded-User: admin", "X-Real-IP: 192.0.2.99")
    with world.broken(kind, changed(kind, BEHIND_A_PROXY[kind.name])) as front:
        # Somebody without a session is told to sign in where the address is right, and refused elsewhere.
        for address, family, is_in_network in (
            ("192.0.2.7", "TCP4", True),
            ("198.51.100.7", "TCP4", False),
            ("2001:db8::7", "TCP6", False),
        ):
            to = "::1" if family == "TCP6" else "127.0.0.1"
            before = f"PROXY {family} {address} {to} 4711 443\r\n".encode()
            assert status_of(await asked(front, f"{OPEN}/a", *claims, before=before)) == 200
            got = front.portal.last
            assert (got.all("X-Forwarded-For"), got.all("X-Forwarded-User")) == ([address], [])
            closed = await asked(front, f"{CLOSED}/a", *claims, before=before)
            assert (status_of(closed), b"network_not_allowed" in closed) == (
                (401, False) if is_in_network else (403, True)
            )


IPV6 = {
    "nginx": (
        ("portal.example.conf", "listen 443 ssl;", "listen 443 ssl;\n    listen [::1]:<port> ssl;"),
        (
            "portal.example.conf",
            "listen 443 ssl default_server;",
            "listen 443 ssl default_server;\n    listen [::1]:<port> ssl default_server;",
        ),
    ),
    "envoy": (
        (
            "portal.example.yaml",
            "      address: {socket_address: {address: 0.0.0.0, port_value: 443}}\n",
            (
                "      address: {socket_address: {address: 0.0.0.0, port_value: 443}}\n"
                '      additional_addresses: [{address: {socket_address: {address: "::1", port_value: <port>}}}]\n'
            ),
        ),
    ),
    "haproxy": (
        (
            "portal.example.cfg",
            "    bind :443 ssl crt /etc/ssl/private/acq.example.si.pem",
            (
                "    bind ::1:<port> v6only ssl crt /etc/ssl/private/acq.example.si.pem strict-sni\n"
                "    bind :443 ssl crt /etc/ssl/private/acq.example.si.pem"
            ),
        ),
    ),
}
NAMED_FOR_IPV6 = {
    "nginx": ("listen [::]:443 ssl;", "listen [::]:443 ssl default_server;"),
    "envoy": ("additional_addresses",),
    "haproxy": ("bind :::443 v6only",),
}


@pytest.mark.parametrize("kind", [nginx.FRONT, envoy.FRONT, haproxy.FRONT], ids=lambda kind: kind.name)
async def test_a_client_with_ipv6_has_its_own_address(world: World, kind: Front) -> None:
    """Caddy and Traefik listen for both as they are shipped."""
    readme = (DEPLOY / kind.name / "README.md").read_text()
    assert [name for name in NAMED_FOR_IPV6[kind.name] if name not in readme] == []
    port = str(world.spares[kind.name].port)
    edits = [(file, old, new.replace("<port>", port)) for file, old, new in IPV6[kind.name]]
    with world.broken(kind, changed(kind, edits)) as front:
        for address in ("::1", "127.0.0.1"):
            answer = await asked(front, f"{OPEN}/a", "X-Forwarded-For: 192.0.2.99", address=address)
            assert (status_of(answer), front.portal.last.all("X-Forwarded-For")) == (200, [address])
            closed = await asked(front, f"{CLOSED}/a", "X-Forwarded-For: 192.0.2.99", address=address)
            assert (status_of(closed), b"network_not_allowed" in closed) == (403, True)

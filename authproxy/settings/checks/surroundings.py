"""PURE: checks of settings against the machine and its network: open listeners, missing folders, loops."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from authproxy.settings.checks.plaintext import is_here
from authproxy.settings.checks.portals import upstreams
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.machine import Machine
from authproxy.settings.validation import Sections
from authproxy.settings.values import SocketPath, TcpAddress, is_local, listen_address, url_of


def remarks(sections: Sections, machine: Machine) -> Iterator[Remark]:
    """Warnings, and errors for what cannot work on this machine."""
    yield from _management(sections)
    yield from _folders(sections, machine)
    yield from _loops(sections, machine)
    yield from _old_sign_ins(sections)


def _management(sections: Sections) -> Iterator[Remark]:
    text = sections.server.management if sections.server else ""
    address = _address(text)
    if isinstance(address, TcpAddress) and not is_local(address.host):
        literal = ip_address(address.host)
        problem = (
            "is open to every network that reaches this machine: it shows which services are away, and how "
            "often and why people are refused"
        )
        valid = "`127.0.0.1:8090`, `unix:/path`, or an address that only supervisors reach"
        if literal.is_unspecified or literal.is_global:
            yield Remark(
                path=("server", "management"),
                problem=problem,
                read=shown(text),
                valid=valid,
                severity="warning",
            )


def _folders(sections: Sections, machine: Machine) -> Iterator[Remark]:
    listeners: list[tuple[KeyPath, str]] = []
    if sections.server:
        listeners += [(("server", "listen", at), text) for at, text in enumerate(sections.server.listen)]
        listeners.append((("server", "management"), sections.server.management))
    if sections.acnlb:
        listeners.append((("acnlb", "listen"), sections.acnlb.listen))
    for path, text in listeners:
        address = _address(text)
        if isinstance(address, SocketPath) and not machine.has_folder(
            folder := str(Path(address.path).parent)
        ):
            problem = f"is in a folder that does not exist: {folder} must be there when the gateway starts"
            valid = "make it, or let the supervisor make it (systemd: `RuntimeDirectory`)"
            yield Remark(path=path, problem=problem, read=shown(text), valid=valid, severity="warning")


def _loops(sections: Sections, machine: Machine) -> Iterator[Remark]:
    """Upstreams that lead back to the gateway by another name or address than the one of its listener."""
    public = {
        url.hostname: name
        for name, portal in sections.portals.items()
        if (url := url_of(portal.url)) and url.hostname
    }
    everywhere = {
        address.port
        for text in (sections.server.listen if sections.server else ())
        if isinstance(address := _address(text), TcpAddress)
        and not is_local(address.host)
        and ip_address(address.host).is_unspecified
    }
    for path, text in (
        named for name, portal in sections.portals.items() for named in upstreams(("portals", name), portal)
    ):
        url = url_of(text)
        if url is None or not url.hostname or is_local(url.hostname):
            continue
        port = url.port or (443 if url.scheme == "https" else 80)
        if port in everywhere and is_here(url.hostname, machine):
            problem = "is the gateway itself: requests would go round in circles"
            yield Remark(path=path, problem=problem, read=shown(text))
        elif url.hostname in public:
            problem = (
                f"is the host by which browsers find portal {public[url.hostname]}: unless it leads "
                "elsewhere from here, requests come back to the gateway and go round in circles"
            )
            yield Remark(
                path=path,
                problem=problem,
                read=shown(text),
                valid="the portal's own server",
                severity="warning",
            )


def _old_sign_ins(sections: Sections) -> Iterator[Remark]:
    rekono = sections.rekono
    if rekono is not None and rekono.max_age is None and rekono.prompt != "login":
        problem = (
            "is unset: a browser that is still signed in at the provider is asked for nothing. The provider "
            "also need not state `auth_time`, without which a sign-in is no fresh proof"
        )
        yield Remark(
            path=("rekono", "max_age"), problem=problem, valid="`5m`, or `prompt: login`", severity="warning"
        )


def _address(text: str) -> TcpAddress | SocketPath | None:
    try:
        return listen_address(text)
    except ValueError:
        return None

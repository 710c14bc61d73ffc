"""PURE: checks that sessions, identities, codes and passwords do not travel to another machine in plain text,
unless the operator allows it.

Addresses of revocation lists and responders are not checked: what they send is signed, and authorities
publish it over plain HTTP (RFC 5280 §8).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from authproxy.dns.store_urls import StoreUrl, names_several, store_url
from authproxy.settings.checks.portals import upstreams
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.machine import Machine
from authproxy.settings.sms import SmsGatewaySettings
from authproxy.settings.validation import Sections
from authproxy.settings.values import is_local, url_of

_PLAIN_STORES = frozenset({"redis", "valkey"})


def remarks(sections: Sections, machine: Machine) -> Iterator[Remark]:
    """A remark for each counterpart on another machine that is reached without TLS."""
    for path, text, what in _plain(sections):
        if not all(is_here(host, machine) for host in _hosts(text)):
            several = _several(text)
            if several is not None:
                better = f"`rediss+{several.kind}://…`"
            else:
                better = "`rediss://…`" if _scheme(text) in _PLAIN_STORES else "`https://…`"
            problem = f"would send {what} to another machine in plain text"
            valid = (
                f"{better}, an address of this machine, or `allows_plaintext: true` beside it where nobody "
                "else can read along"
            )
            yield Remark(path=path, problem=problem, read=shown(text), valid=valid)
    for name, gateway in _gateways(sections):
        smpp = gateway.smpp
        if (
            smpp is not None
            and not smpp.tls
            and not smpp.allows_plaintext
            and not is_here(smpp.host, machine)
        ):
            problem = "is off: codes and the password would go to another machine in plain text"
            valid = "`true`, or `allows_plaintext: true` beside it if the connection runs through a tunnel"
            yield Remark(
                path=("step_up", "sms", "gateways", name, "smpp", "tls"), problem=problem, valid=valid
            )
    mail = sections.step_up.mail if sections.step_up else None
    if (
        mail is not None
        and mail.tls == "none"
        and not mail.allows_plaintext
        and not is_here(mail.host, machine)
    ):
        problem = "is `none`: letters and the password would go to another machine in plain text"
        valid = (
            "`starttls` or `implicit`, or `allows_plaintext: true` beside it where nobody else can read along"
        )
        yield Remark(path=("step_up", "mail", "tls"), problem=problem, read="none", valid=valid)


def is_here(host: str, machine: Machine) -> bool:
    """Whether a host is this machine: `localhost`, a loopback address, or an address of an interface."""
    if is_local(host):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False  # a name may lead to another machine tomorrow
    return machine.has_address(host)


def _plain(sections: Sections) -> Iterator[tuple[KeyPath, str, str]]:
    """Every address without TLS for which plain text is not allowed: key, address, and what is sent there."""
    store = sections.store
    if store is not None and not store.allows_plaintext and _is_plain_store(store.url):
        yield ("store", "url"), store.url, "the store's password and people's sessions"
    for name, portal in sections.portals.items():
        for path, text in () if portal.allows_plaintext else upstreams(("portals", name), portal):
            if _scheme(text) == "http":
                yield path, text, "identities, and what people write and read,"
        if not portal.allows_plaintext and _scheme(portal.sign_out_url or "") == "http":
            yield (
                ("portals", name, "sign_out_url"),
                portal.sign_out_url or "",
                "identities, and cookies of the portal's sessions,",
            )
    onepass = sections.step_up.onepass if sections.step_up else None
    if onepass is not None and not onepass.allows_plaintext and _scheme(onepass.url) == "http":
        yield ("step_up", "onepass", "url"), onepass.url, "notifications and the key of this gateway"
    for name, gateway in _gateways(sections):
        http, path = gateway.http, ("step_up", "sms", "gateways", name, "http")
        if http is not None and not http.allows_plaintext:
            for key, text in (
                (("url",), http.url),
                (("reports", "url"), http.reports.url if http.reports else ""),
            ):
                if _scheme(text) == "http":
                    yield (*path, *key), text, "codes and the secret of this gateway"


def _gateways(sections: Sections) -> Iterator[tuple[str, SmsGatewaySettings]]:
    sms = sections.step_up.sms if sections.step_up else None
    yield from sms.gateways.items() if sms else ()


def _scheme(text: str) -> str:
    url = url_of(text)
    return url.scheme if url is not None else ""


def _several(text: str) -> StoreUrl | None:
    """None for a URL of another kind, and for one that another check complains about."""
    try:
        return store_url(text) if names_several(text) else None
    except ValueError:
        return None


def _is_plain_store(text: str) -> bool:
    several = _several(text)
    return _scheme(text) in _PLAIN_STORES if several is None else not several.has_tls


def _hosts(text: str) -> list[str]:
    several = _several(text)
    if several is not None:
        return [host for host, _ in several.servers]
    url = url_of(text)
    return [url.hostname] if url is not None and url.hostname else []

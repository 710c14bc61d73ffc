"""PURE: checks of the gateways for text messages and of the mail server. Without them an operator would learn
of a fault from the first person who gets no message."""

from __future__ import annotations

import re
from collections.abc import Iterator

from authproxy.delivery.template import Template, is_writable
from authproxy.settings.checks import urls
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.sms import HttpSmsSettings, SmppSettings, SmsGatewaySettings, SmsSettings
from authproxy.settings.validation import Sections

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_SET_BY_US = frozenset(
    {
        "content-length",
        "content-type",
        "transfer-encoding",
        "host",
        "connection",
        "accept-encoding",
        "expect",
        "upgrade",
    }
)
_NEEDED = {
    "none": (),
    "basic": ("user", "secret"),
    "bearer": ("secret",),
    "header": ("secret", "secret_header"),
}
_SMPP_PASSWORD = 8


def remarks(sections: Sections) -> Iterator[Remark]:
    """Remarks on `step_up.sms` and `step_up.mail`, if they are there."""
    sms: SmsSettings | None = sections.step_up.sms if sections.step_up else None
    for name, gateway in sms.gateways.items() if sms else ():
        yield from _gateway(("step_up", "sms", "gateways", name), gateway)
    mail = sections.step_up.mail if sections.step_up else None
    if mail is not None and (mail.user is None) != (mail.password is None):
        missing, given = ("user", "password") if mail.user is None else ("password", "user")
        yield Remark(
            path=("step_up", "mail", missing), problem=f"is missing: `{given}` is of no use without it"
        )


def _gateway(path: KeyPath, gateway: SmsGatewaySettings) -> Iterator[Remark]:
    if (gateway.http is None) == (gateway.smpp is None):
        problem = "is neither `http` nor `smpp`" if gateway.http is None else "is both `http` and `smpp`"
        yield Remark(path=path, problem=problem, valid="one of the two")
    if gateway.http is not None:
        yield from _http((*path, "http"), gateway.http)
    if gateway.smpp is not None:
        yield from _smpp((*path, "smpp"), gateway.smpp)


def _http(path: KeyPath, http: HttpSmsSettings) -> Iterator[Remark]:
    yield from urls.asked((*path, "url"), http.url, valid="`https://…`")
    yield from _body(path, http)
    yield from _authentication(path, http)
    for key, name in _header_names(http):
        if not _TOKEN.fullmatch(name) or name.lower() in _SET_BY_US:
            yield Remark(path=(*path, *key), problem="is no header that can be set here", read=shown(name))
    yield from _own_certificate(path, http)
    if http.deadline < http.timeout:
        yield Remark(
            path=(*path, "deadline"),
            problem="is shorter than `timeout`, which then has no effect",
            severity="warning",
        )
    if http.success.values and http.success.pointer is None:
        problem = "have no effect without `pointer`"
        yield Remark(path=(*path, "success", "values"), problem=problem, severity="warning")
    yield from _reports(path, http)


def _body(path: KeyPath, http: HttpSmsSettings) -> Iterator[Remark]:
    if not is_writable(http.content_type):
        valid = "JSON, XML, `application/x-www-form-urlencoded` or `text/plain`"
        yield Remark(
            path=(*path, "content_type"),
            problem="is not known here",
            read=shown(http.content_type),
            valid=valid,
        )
        return
    try:
        Template(http.body, http.content_type)
    except ValueError as error:
        yield Remark(
            path=(*path, "body"),
            problem=str(error),
            valid="`{recipient}` and `{text}`, if need be `{sender}` and `{reference}`",
        )


def _authentication(path: KeyPath, http: HttpSmsSettings) -> Iterator[Remark]:
    needed = _NEEDED[http.authentication]
    for name in ("user", "secret", "secret_header"):
        is_there = getattr(http, name) is not None
        if name in needed and not is_there:
            yield Remark(
                path=(*path, name), problem=f"is missing: `authentication: {http.authentication}` needs it"
            )
        elif is_there and name not in needed:
            problem = f"has no effect with `authentication: {http.authentication}`"
            yield Remark(path=(*path, name), problem=problem, severity="warning")


def _header_names(http: HttpSmsSettings) -> Iterator[tuple[KeyPath, str]]:
    yield from ((("headers", name), name) for name in http.headers)
    if http.secret_header is not None:
        yield ("secret_header",), http.secret_header
    if http.reference_header is not None:
        yield ("reference_header",), http.reference_header
    if http.signature is not None:
        yield ("signature", "header"), http.signature.header


def _own_certificate(path: KeyPath, http: HttpSmsSettings) -> Iterator[Remark]:
    if (http.certificate_file is None) != (http.key_file is None):
        name, other = (
            ("key_file", "certificate_file") if http.key_file is None else ("certificate_file", "key_file")
        )
        yield Remark(path=(*path, name), problem=f"is missing: `{other}` is of no use without it")


def _reports(path: KeyPath, http: HttpSmsSettings) -> Iterator[Remark]:
    if http.reports is None:
        return
    reports_url = http.reports.url.replace("{message_id}", "1")
    yield from urls.asked((*path, "reports", "url"), reports_url, valid="`https://…`")
    if "{message_id}" not in http.reports.url:
        yield Remark(
            path=(*path, "reports", "url"),
            problem="has no place for `{message_id}`",
            read=shown(http.reports.url),
        )
    if http.success.id_pointer is None:
        problem = "is missing: `reports` needs the gateway's name for a message"
        yield Remark(path=(*path, "success", "id_pointer"), problem=problem)


def _smpp(path: KeyPath, smpp: SmppSettings) -> Iterator[Remark]:
    if not smpp.system_id.isascii() or not smpp.system_id.isprintable():
        yield Remark(path=(*path, "system_id"), problem="is not printable ASCII", read=shown(smpp.system_id))
    password = smpp.password.get_secret_value()
    if not password.isascii() or not password.isprintable():
        yield Remark(path=(*path, "password"), problem="is not printable ASCII")
    elif len(password) > _SMPP_PASSWORD:
        problem = (
            f"is longer than the {_SMPP_PASSWORD} characters of SMPP 3.4 (§4.1.1); some message centres "
            "refuse that"
        )
        yield Remark(path=(*path, "password"), problem=problem, severity="warning")
    if smpp.ca_file is not None and not smpp.tls:
        yield Remark(path=(*path, "ca_file"), problem="has no effect without `tls`", severity="warning")

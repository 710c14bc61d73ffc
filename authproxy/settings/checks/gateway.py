"""PURE: checks of the sections `server`, `store`, `sessions`, `assertions`, `rekono` and `telemetry`, and of
spans of time in all sections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, parse_qsl

from pydantic import SecretStr

from authproxy.dns.store_urls import names_several, store_url
from authproxy.settings.checks import networks, urls
from authproxy.settings.findings import KeyPath, Remark, shown
from authproxy.settings.schema import (
    AssertionSettings,
    LimitSettings,
    ProviderSettings,
    ServerSettings,
    SessionSettings,
    StoreSettings,
    TelemetrySettings,
)
from authproxy.settings.validation import Sections
from authproxy.settings.values import (
    SocketPath,
    TcpAddress,
    is_local,
    key_of,
    listen_address,
    name_server,
    url_of,
)


def remarks(sections: Sections) -> Iterator[Remark]:
    """Remarks about these sections."""
    if sections.server:
        yield from _server(sections.server)
    if sections.store:
        yield from _store(sections.store)
    if sections.sessions:
        yield from _sessions(sections.sessions)
    if sections.assertions:
        yield from _assertions(sections.assertions)
        yield from _kept(sections.server, sections.assertions)
    if sections.rekono:
        yield from _rekono(sections.rekono)
    if sections.telemetry:
        yield from _telemetry(sections.telemetry)
    yield from _shared_with_proxies(sections)
    yield from _workers(sections)
    yield from _bounds(sections)


def _workers(sections: Sections) -> Iterator[Remark]:
    server, store = sections.server, sections.store
    if server and store and server.workers != 1 and (url := url_of(store.url)) and url.scheme == "memory":
        problem = (
            "needs a store that all workers share: each would keep its own sessions in `memory://`, and the "
            "others would not know them"
        )
        yield Remark(
            path=("server", "workers"),
            problem=problem,
            read=str(server.workers),
            valid="`1`, or a `store.url` of Redis",
        )


def _server(server: ServerSettings) -> Iterator[Remark]:
    taken: set[TcpAddress | SocketPath] = set()
    listeners: list[tuple[KeyPath, str]] = [
        (("server", "listen", at), text) for at, text in enumerate(server.listen)
    ]
    for path, text in [*listeners, (("server", "management"), server.management)]:
        try:
            address = listen_address(text)
        except ValueError as error:
            yield Remark(path=path, problem=str(error), read=shown(text))
            continue
        if address in taken:
            yield Remark(path=path, problem="is the same as another listener", read=shown(text))
        taken.add(address)
    if int(server.unix_socket_mode, 8) & 0o002:
        path, problem = (
            ("server", "unix_socket_mode"),
            "lets every user of this machine connect, and peers on a Unix socket are trusted",
        )
        yield Remark(
            path=path, problem=problem, read=server.unix_socket_mode, valid="660 or 600", severity="warning"
        )
    yield from _shares(server.limits)
    for at, text in enumerate(server.trusted_proxies):
        yield from trusted_peer(("server", "trusted_proxies", at), text)
    yield from _keys(("server", "subrequest_key"), server.subrequest_key)
    for at, text in enumerate(server.resolvers):
        try:
            name_server(text)
        except ValueError as error:
            valid = "`10.1.2.3`, `10.1.2.3:5353`, `fd00::53`, `[fd00::53]:5353`"
            yield Remark(path=("server", "resolvers", at), problem=str(error), read=shown(text), valid=valid)


def _shares(limits: LimitSettings) -> Iterator[Remark]:
    """A limit for each address or session that is as large as the limit for all protects nobody."""
    for name, whole in (
        ("connections_per_address", "connections"),
        ("connections_per_session", "upstream_connections"),
    ):
        share, most = getattr(limits, name), getattr(limits, whole)
        if share >= most:
            problem = f"has no effect: it is not less than `{whole}`, so that one of them may take everything"
            yield Remark(
                path=("server", "limits", name),
                problem=problem,
                read=str(share),
                valid=f"1 to {most - 1}",
                severity="warning",
            )


def trusted_peer(path: KeyPath, text: str) -> Iterator[Remark]:
    """Remarks about a trusted address or network."""
    yield from networks.remarks(path, text)
    if networks.holds_everybody(text):
        problem = "trusts everybody: anyone can then claim any client address, and ask for any subrequest"
        yield Remark(
            path=path,
            problem=problem,
            read=shown(text),
            valid="the addresses of your front proxies",
            severity="warning",
        )
    elif networks.holds_many(text):
        problem = (
            "holds more than front proxies: every machine in it can name any address as the client's, and "
            "ask for any subrequest"
        )
        valid = "the addresses of your front proxies, or a network in which there is nothing else"
        yield Remark(path=path, problem=problem, read=shown(text), valid=valid, severity="warning")


def _store(store: StoreSettings) -> Iterator[Remark]:
    scheme = store.url.partition("://")[0]
    yield from _several_servers(store) if names_several(store.url) else _one_server(store)
    for name in ("sentinel_username", "sentinel_password"):
        if getattr(store, name) and not scheme.endswith("+sentinel"):
            yield Remark(
                path=("store", name),
                problem="has no effect: `store.url` names no Sentinels",
                severity="warning",
            )
    for name in ("ca_file", "client_cert_file", "client_key_file"):
        if getattr(store, name) and not scheme.startswith(("rediss", "valkeys")):
            yield Remark(
                path=("store", name),
                problem="has no effect: only `rediss://` and `valkeys://` use TLS",
                severity="warning",
            )
    if (store.client_cert_file is None) != (store.client_key_file is None):
        missing = "client_key_file" if store.client_cert_file else "client_cert_file"
        yield Remark(
            path=("store", missing),
            problem="is missing: a certificate for the store needs both its file and its key's",
        )


def _several_servers(store: StoreSettings) -> Iterator[Remark]:
    try:
        url = store_url(store.url)
    except ValueError as error:
        valid = "`redis+sentinel://host:26379,host:26379/service/0`, `redis+cluster://host:6379,host:6379`"
        yield Remark(path=("store", "url"), problem=str(error), read=shown(store.url), valid=valid)
        return
    yield from _password_in_url(store, has_password=url.password is not None)
    if url.kind == "sentinel" and len(url.servers) < _SENTINELS:
        problem = "names fewer than three Sentinels: if one of them is away, the others cannot decide"
        yield Remark(path=("store", "url"), problem=problem, read=shown(store.url), severity="warning")


def _password_in_url(store: StoreSettings, *, has_password: bool) -> Iterator[Remark]:
    if has_password:
        problem = (
            "holds a password, which then stands in logs of other tools and in backups; use "
            "`store.password_file`"
        )
        yield Remark(path=("store", "url"), problem=problem, severity="warning")
        if store.password:
            yield Remark(
                path=("store", "password"), problem="is given in `store.url` too; leave it out there"
            )


def _one_server(store: StoreSettings) -> Iterator[Remark]:
    url = url_of(store.url)
    if url is None or url.scheme not in {*_STORES, "unix", "memory"}:
        valid = (
            "`redis://host:6379/0`, `rediss://host:6379/0`, `valkey://…`, `valkeys://…`, "
            "`unix:///path?db=0`, `memory://`, `redis+sentinel://…`, `redis+cluster://…`"
        )
        yield Remark(
            path=("store", "url"), problem="is no URL of a store", read=shown(store.url), valid=valid
        )
        return
    if url.scheme == "memory":
        problem = "keeps sessions in this process: they end with it, and a second instance does not know them"
        yield Remark(path=("store", "url"), problem=problem, read=store.url, severity="warning")
    yield from _password_in_url(store, has_password=bool(url.password))
    if url.scheme in _STORES and not url.hostname:
        yield Remark(path=("store", "url"), problem="names no host", read=shown(store.url))
    yield from _database(store.url, url)


def _database(text: str, url: SplitResult) -> Iterator[Remark]:
    """Remarks about the part after the host. Without a number that it can read, redis-py uses database 0."""
    path = ("store", "url")
    number = url.path.strip("/") if url.scheme in _STORES else ""
    if number and not _NUMBER.fullmatch(number):
        problem = "names no database: its path is not a number"
        yield Remark(path=path, problem=problem, read=shown(text), valid="`redis://host:6379/0`")
    if url.scheme == "unix" and not url.path.startswith("/"):
        yield Remark(path=path, problem="names no socket", read=shown(text), valid="`unix:///path?db=0`")
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        if name != "db":
            problem = "has an option that means nothing here"
            yield Remark(
                path=path,
                problem=problem,
                read=shown(name),
                valid="`?db=0`; the rest are settings of `store`",
            )
        elif not _NUMBER.fullmatch(value):
            yield Remark(
                path=path,
                problem="names no database: `db` is not a number",
                read=shown(value),
                valid="`?db=0`",
            )
    if url.port == 0:
        yield Remark(path=path, problem="names port 0", read=shown(text), valid="a port from 1 to 65535")


_STORES = {"redis", "valkey", "rediss", "valkeys"}
_SENTINELS = 3
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)


def _sessions(sessions: SessionSettings) -> Iterator[Remark]:
    yield from _keys(("sessions", "keys"), sessions.keys)
    if sessions.idle > sessions.absolute:
        yield Remark(
            path=("sessions", "idle"),
            problem="is longer than `sessions.absolute`, which ends the session anyway",
        )


def _keys(path: KeyPath, keys: Sequence[SecretStr]) -> Iterator[Remark]:
    seen: set[bytes] = set()
    for at, secret in enumerate(keys):
        try:
            key = key_of(secret.get_secret_value())
        except ValueError as error:
            yield Remark(path=(*path, at), problem=str(error))
            continue
        if key in seen:
            yield Remark(path=(*path, at), problem="is the same key as an earlier one")
        seen.add(key)


def _shared_with_proxies(sections: Sections) -> Iterator[Remark]:
    """The key of front proxies is known on their machines, so it must be no key of the gateway's own."""
    own = [] if sections.sessions is None else list(sections.sessions.keys)
    if sections.telemetry and sections.telemetry.audit_key is not None:
        own.append(sections.telemetry.audit_key)
    texts = {secret.get_secret_value().strip() for secret in own}
    for at, secret in enumerate(sections.server.subrequest_key if sections.server else ()):
        if secret.get_secret_value().strip() in texts:
            problem = "is also a key of the gateway's own, which no front proxy must know"
            yield Remark(path=("server", "subrequest_key", at), problem=problem, valid="a key for this alone")


def _assertions(assertions: AssertionSettings) -> Iterator[Remark]:
    yield from _issuer(("assertions", "issuer"), assertions.issuer)
    files = [assertions.current_key_file, assertions.next_key_file, assertions.retiring_key_file]
    for at, name in enumerate(("current_key_file", "next_key_file", "retiring_key_file")):
        if files[at] is not None and files[at] in files[:at]:
            yield Remark(
                path=("assertions", name),
                problem="names the same file as another key of the ring",
                read=files[at],
            )


def _kept(server: ServerSettings | None, assertions: AssertionSettings) -> Iterator[Remark]:
    """An assertion in a kept answer may have been made half its lifetime before."""
    if server is not None and server.subrequests_kept_for > assertions.lifetime / 2:
        yield Remark(
            path=("server", "subrequests_kept_for"),
            problem="is longer than half of `assertions.lifetime`: portals would get expired assertions",
            read=f"{server.subrequests_kept_for.total_seconds():g}s",
            valid=f"at most {(assertions.lifetime / 2).total_seconds():g}s",
        )


def _issuer(path: KeyPath, text: str) -> Iterator[Remark]:
    url = url_of(text)
    if (
        url is None
        or url.scheme not in {"http", "https"}
        or not url.hostname
        or url.query
        or url.fragment
        or url.username
    ):
        yield Remark(
            path=path,
            problem="is no URL of an issuer",
            read=shown(text),
            valid="`https://host/path` without query and fragment",
        )
    elif url.scheme == "http" and not is_local(url.hostname):
        yield Remark(
            path=path, problem="is not `https`", read=shown(text), valid="`http` is for localhost only"
        )


def _rekono(rekono: ProviderSettings) -> Iterator[Remark]:
    yield from _issuer(("rekono", "issuer"), rekono.issuer)
    yield from _client_authentication(rekono)
    if "openid" not in rekono.scopes:
        yield Remark(
            path=("rekono", "scopes"),
            problem="lack `openid`: without it there is no ID token",
            read=" ".join(rekono.scopes),
        )
    if rekono.prompt and rekono.max_age is not None:
        problem = (
            "makes Rekono ignore `rekono.max_age` and leave out `auth_time`, without which a sign-in is no "
            "fresh proof: set one of the two and the other to `null`"
        )
        yield Remark(path=("rekono", "prompt"), problem=problem, read=rekono.prompt, severity="warning")
    if rekono.recheck_every is not None and "offline_access" not in rekono.scopes:
        problem = (
            "may work for the life of an access token only: Rekono gives refresh tokens for the scope "
            "`offline_access`"
        )
        valid = "`offline_access` among `rekono.scopes`"
        yield Remark(path=("rekono", "recheck_every"), problem=problem, valid=valid, severity="warning")
    for name in ("dashboard_url", "register_url", "help_url"):
        yield from urls.linked(("rekono", name), getattr(rekono, name))


def _telemetry(telemetry: TelemetrySettings) -> Iterator[Remark]:
    path = ("telemetry", "audit_key")
    if telemetry.audit_key is None:
        problem = (
            "is missing: people in the audit trail get other names when the last of `sessions.keys` is "
            "dropped"
        )
        valid = "`audit_key_file` with a key of `openssl rand -base64 32`, the same on every instance"
        yield Remark(path=path, problem=problem, valid=valid, severity="warning")
        return
    try:
        key_of(telemetry.audit_key.get_secret_value())
    except ValueError as error:
        yield Remark(path=path, problem=str(error))


def _client_authentication(rekono: ProviderSettings) -> Iterator[Remark]:
    how = rekono.client_authentication
    if how == "private_key_jwt":
        if not rekono.client_key_file:
            yield Remark(
                path=("rekono", "client_key_file"),
                problem=f"is missing: `{how}` needs it",
                valid="a PEM private key",
            )
        if rekono.client_secret:
            yield Remark(
                path=("rekono", "client_secret"), problem=f"has no effect with `{how}`", severity="warning"
            )
        return
    if rekono.client_key_file:
        yield Remark(
            path=("rekono", "client_key_file"), problem=f"has no effect with `{how}`", severity="warning"
        )
    if not rekono.client_secret:
        valid = "a secret, or better `client_secret_file`"
        yield Remark(path=("rekono", "client_secret"), problem=f"is missing: `{how}` needs it", valid=valid)
        return
    secret = rekono.client_secret.get_secret_value()
    if secret.lower().strip("<>.…!") in _PLACEHOLDERS:
        yield Remark(path=("rekono", "client_secret"), problem="is a placeholder")
    elif len(secret) < 16:
        problem = "is short enough to be guessed (less than 16 characters)"
        yield Remark(path=("rekono", "client_secret"), problem=problem, severity="warning")
    if secret != secret.strip():
        yield Remark(
            path=("rekono", "client_secret"), problem="begins or ends with white space", severity="warning"
        )


_PLACEHOLDERS = {
    "changeme",
    "change-me",
    "change me",
    "secret",
    "password",
    "example",
    "client-secret",
    "client_secret",
    "todo",
    "xxx",
}

_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
_BOUNDS: dict[tuple[str, str], tuple[timedelta, timedelta, str]] = {
    ("server", "subrequests_kept_for"): (
        0 * _SECOND,
        30 * _SECOND,
        "somebody who has signed out, or was revoked, gets in for so much longer",
    ),
    ("server.hsts", "max_age"): (
        0 * _SECOND,
        730 * 24 * _HOUR,
        "browsers cannot be told otherwise while the host has no HTTPS",
    ),
    ("store", "deadline"): (
        0.02 * _SECOND,
        5 * _SECOND,
        "everybody waits this long for a 503 while the store is away",
    ),
    ("store", "forgives"): (
        0 * _SECOND,
        _HOUR,
        "somebody who has gone away may stay signed in for so much longer",
    ),
    ("store", "near_cache_for"): (
        0 * _SECOND,
        30 * _SECOND,
        "a revoked session may live on so long if the store's messages are lost",
    ),
    ("sessions", "idle"): (_MINUTE, 24 * _HOUR, "people read a page before they ask for the next"),
    ("sessions", "absolute"): (5 * _MINUTE, 24 * _HOUR, "a person's rights and data may change"),
    ("sessions", "attempt"): (_MINUTE, 24 * _HOUR, "signing in with a telephone takes minutes"),
    ("assertions", "lifetime"): (
        10 * _SECOND,
        10 * _MINUTE,
        "an assertion cannot be revoked, and clocks differ",
    ),
    ("rekono", "leeway"): (0 * _SECOND, 5 * _MINUTE, "it prolongs every token"),
    ("rekono", "timeout"): (_SECOND, _MINUTE, "a person waits for it"),
    ("rekono", "recheck_every"): (
        30 * _SECOND,
        8 * _HOUR,
        "each session asks the provider so often, and lives no longer than eight hours",
    ),
    ("rekono", "max_age"): (0 * _SECOND, 24 * _HOUR, "it is about fresh proof"),
    ("acnlb.revocation", "refresh_every"): (_MINUTE, 24 * _HOUR, "lists are asked for once a minute at most"),
    ("acnlb.revocation", "timeout"): (0.1 * _SECOND, 20 * _SECOND, "a person waits for it"),
    ("acnlb.revocation", "max_stale"): (
        0 * _SECOND,
        7 * 24 * _HOUR,
        "a certificate may have been revoked since",
    ),
    ("acnlb.revocation", "sessions_checked_every"): (
        10 * _SECOND,
        _HOUR,
        "a revoked certificate keeps its sessions for so long",
    ),
}


def _bounds(sections: Sections) -> Iterator[Remark]:
    for (section_name, name), (least, most, reason) in _BOUNDS.items():
        path = (*section_name.split("."), name)
        span: Any = sections
        for part in path:
            span = getattr(span, part) if span else None
        if span is not None and not least <= span <= most:
            yield Remark(
                path=path,
                problem=f"is out of bounds: {reason}",
                read=f"{span.total_seconds():g}s",
                valid=f"{least.total_seconds():g}s to {most.total_seconds():g}s",
            )
    timeouts = sections.server.timeouts if sections.server else None
    for name in (field.name for field in fields(timeouts)) if timeouts else ():
        if name not in {"leave", "drain", "whole"} and not getattr(timeouts, name):
            yield Remark(
                path=("server", "timeouts", name),
                problem="is nothing at all: every request would end there",
                read="0s",
            )

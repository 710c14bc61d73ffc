"""`authproxy doctor`: attacks a running deployment through its front proxy, with the consent of its operator,
and says what is wrong."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from authproxy.cli.terminal import (
    config_option,
    fail,
    json_option,
    print_json,
    reading_of,
    settings_of,
    visible,
)

if TYPE_CHECKING:
    import ssl

    from authproxy.access.consent import Consent
    from authproxy.doctor.doctor import Commission
    from authproxy.settings.schema import Settings

_NOT_ASKED = 2
"""The exit code if nothing could be examined."""
_TOKEN = "AUTHPROXY_DOCTOR_TOKEN"  # noqa: S105  (the variable's name)
_PROXIES = ("nginx", "caddy", "traefik", "envoy", "haproxy")


class _WithDefault(click.Group):
    """`doctor URL` is `doctor examine URL`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["examine", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_WithDefault)
def doctor() -> None:
    """Attack a running deployment through its front proxy, and say what is wrong: `authproxy doctor URL`.

    Nothing is sent before the gateway behind URL has shown that it is the one of your consent. `authproxy
    doctor examine --help` lists the options."""


@doctor.command()
@config_option
@click.option("--for", "url", metavar="URL", help="The portal; needed if there are several.")
def consent(config: Path, url: str | None) -> None:
    """Print a consent to an examination, valid for an hour, for a machine without the settings file.

    Give it to `authproxy doctor` in AUTHPROXY_DOCTOR_TOKEN or by --token-file."""
    settings = settings_of(config)
    click.echo(_made(settings, _host(_one_portal(settings, url))).text())


@doctor.command()
@click.argument("url")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    envvar="AUTHPROXY_CONFIG",
    show_envvar=True,
    help="The settings file of the gateway, from which the consent is made.",
)
@click.option(
    "--token-file",
    type=click.File("r", encoding="utf-8"),
    help=f"A file with a consent. Otherwise it is in {_TOKEN}.",
)
@click.option(
    "--stand-in",
    metavar="HOST:PORT",
    help="Listen here in the portal's place meanwhile. Only where nobody uses the portal.",
)
@click.option(
    "--session-file",
    type=click.File("r", encoding="utf-8"),
    help="A file with the value of your own session cookie at this portal. It needs --stand-in.",
)
@click.option("--only", metavar="ID", multiple=True, help="Look for this finding only; may be repeated.")
@click.option(
    "--path", "paths", metavar="PATH", multiple=True, help="A further path of the portal; may be repeated."
)
@click.option("--proxy", type=click.Choice(_PROXIES), help="The front proxy, if it is not recognised.")
@click.option(
    "--proxy-version", default="", help="Its version, or that of its package, if it does not say so."
)
@click.option(
    "--connect",
    metavar="HOST:PORT",
    help="Connect here instead of what the name server says, before go-live.",
)
@click.option(
    "--http-port", type=click.IntRange(1, 65535), help="Where plain HTTP is answered.  [default: 80]"
)
@click.option(
    "--ca-file", type=click.Path(path_type=Path), help="The authority of the front proxy's certificate."
)
@click.option("--strict", is_flag=True, help="Exit code 1 also if something is yellow.")
@click.option("-v", "--verbose", is_flag=True, help="Say of what is green, too, what was sent and came.")
@json_option
def examine(
    url: str,
    config: Path | None,
    *,
    strict: bool,
    verbose: bool,
    as_json: bool,
    **given: object,
) -> None:
    """Examine the portal at URL: at most 300 requests, one after the other, in a minute.

    Exit code 0: nothing is red; 1: something is, or with --strict something is yellow; 2: it could not be
    examined, or was ended by Ctrl-C."""
    from authproxy.bootstrap.clock import utc_now
    from authproxy.doctor import report
    from authproxy.doctor.doctor import examined
    from authproxy.doctor.look import NotConsented

    try:
        commission, warnings = _commission(url, config, given)
        found = asyncio.run(examined(commission, utc_now))
    except NotConsented as refused:
        _could_not(str(refused))
    except OSError as error:
        _could_not(f"cannot listen or connect: {error.strerror or error}")
    except KeyboardInterrupt:
        _could_not("ended by Ctrl-C, without a report")
    if as_json:
        print_json(report.as_json(found, is_strict=strict))
    else:
        for line in report.in_words(found, is_whole=verbose).splitlines():
            click.echo(visible(line))
    if warnings:
        click.echo(f"authproxy check-config -c {config} has {warnings} warnings.", err=True)
    sys.exit(report.exit_code(found, is_strict=strict))


def _commission(url: str, config: Path | None, given: dict[str, object]) -> tuple[Commission, int]:
    """Also says how many warnings the settings have: they belong to `check-config`, not before a report."""
    from authproxy.doctor.doctor import Commission
    from authproxy.doctor.examination import Site
    from authproxy.settings.values import url_of

    parts = url_of(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError("URL is no http URL")
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    host = _host(url)
    connect = given["connect"]
    # RFC 6761 §6.3: names below localhost are this machine, whatever its resolver knows.
    address = "127.0.0.1" if parts.hostname.endswith(".localhost") else parts.hostname
    address, connected = (address, port) if connect is None else _place("--connect", str(connect))
    http_port = given["http_port"]
    session, stand_in = _text(given["session_file"]), given["stand_in"]
    if session and stand_in is None:
        raise click.UsageError(
            "--session-file needs --stand-in: the session is never sent to the portal itself"
        )
    agreement, warnings = _consent(config, host, _text(given["token_file"]))
    commission = Commission(
        site=Site(
            origin=f"{parts.scheme}://{host}",
            host=host,
            is_tls=is_tls,
            plain_port=http_port
            if isinstance(http_port, int)
            else 80
            if is_tls and connected == 443
            else None,
            paths=tuple(str(path) for path in given["paths"] if str(path).startswith("/")),  # type: ignore[attr-defined]
        ),
        consent=agreement,
        address=address,
        port=connected,
        server_name=parts.hostname,
        context=_tls(given["ca_file"], "http/1.1") if is_tls else None,
        http2=_tls(given["ca_file"], "h2", "http/1.1") if is_tls else None,
        stand_in=None if stand_in is None else _place("--stand-in", str(stand_in)),
        session=session,
        proxy=str(given["proxy"] or ""),
        proxy_version=str(given["proxy_version"]),
        only=_known(given["only"]),
    )
    return commission, warnings


def _known(only: object) -> frozenset[str]:
    from authproxy.doctor.findings import SUBJECTS

    ids = frozenset(map(str, only))  # type: ignore[call-overload]
    if ids - SUBJECTS.keys():
        raise click.UsageError(f"--only takes: {', '.join(SUBJECTS)}")
    return ids


def _consent(config: Path | None, host: str, text: str) -> tuple[Consent, int]:
    """The consent for this host and no other one, and how many warnings the settings have."""
    from authproxy.access import consent
    from authproxy.bootstrap.clock import utc_now

    text = text or os.environ.get(_TOKEN, "")
    if text:
        try:
            read = consent.read(text, utc_now())
        except consent.ConsentRefused as refused:
            _could_not(str(refused))
        if read.host != host:
            _could_not(f"the consent is for {read.host}, and not for {host}")
        return read, 0
    if config is None:
        _could_not(f"no consent: give the settings file with -c, or a consent in {_TOKEN} or by --token-file")
    reading = reading_of(config, tells_warnings=False)
    settings = reading.settings
    assert settings is not None  # noqa: S101
    if all(_host(portal.url) != host for portal in settings.portals.values()):
        _could_not(f"{config} has no portal at {host}")
    return _made(settings, host), len(reading.findings)


def _made(settings: Settings, host: str) -> Consent:
    from authproxy.access import consent
    from authproxy.bootstrap.clock import utc_now
    from authproxy.bootstrap.keys import consent_keys

    return consent.consent(
        consent_keys(settings.sessions)[0], host, int(utc_now().timestamp()) + consent.LASTS
    )


def _one_portal(settings: Settings, url: str | None) -> str:
    urls = [portal.url for portal in settings.portals.values()]
    if url is None and len(urls) == 1:
        return urls[0]
    if url is None or _host(url) not in map(_host, urls):
        raise click.UsageError(f"--for must name a portal: {', '.join(urls)}")
    return url


def _host(url: str) -> str:
    """The host as the gateway writes it: without the port of the scheme."""
    from urllib.parse import urlsplit

    from authproxy.access.target import TargetRefused, canonical_host

    try:
        parts = urlsplit(url)
        return canonical_host(parts.netloc, 443 if parts.scheme == "https" else 80)
    except (TargetRefused, ValueError):
        raise click.UsageError("this is no http URL") from None


def _place(option: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"{option} is a host and a port, such as 127.0.0.1:9001")
    return host.strip("[]"), int(port)


def _tls(ca_file: object, *protocols: str) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        fail(f"{ca_file}: {error.strerror or error}")
    context.set_alpn_protocols([*protocols])
    return context


def _text(file: object) -> str:
    return "" if file is None else str(file.read()).strip()  # type: ignore[attr-defined]


def _could_not(message: str) -> NoReturn:
    click.echo(visible(f"authproxy doctor: {message}"), err=True)
    sys.exit(_NOT_ASKED)

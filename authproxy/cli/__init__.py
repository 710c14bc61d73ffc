"""The command line: what an operator says, in words and exit codes. Decides nothing: settings, bootstrap and
the sandbox do.

Whatever a command needs is imported inside it, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from authproxy import __version__
from authproxy.cli.certificate import certificate
from authproxy.cli.healthcheck import healthcheck
from authproxy.cli.people.command import people
from authproxy.cli.terminal import (
    FINDINGS,
    UNREADABLE,
    OneLineGroup,
    config_option,
    fail,
    json_option,
    print_findings,
    print_json,
    print_table,
    settings_of,
    store_asked,
    time_text,
)

if TYPE_CHECKING:
    from authproxy.assertions.keys import KeyFiles, SigningKeyRing
    from authproxy.bootstrap import OpenSession
    from authproxy.settings.schema import Settings


@click.group(
    cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="authproxy")
def main() -> None:
    """Bankart Varni Spletni Prehod: signs people in before they reach a portal."""


@main.command()
@config_option
def serve(config: Path) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    # Logs may be rotated during the start, too. The audit file is reopened anyway once the gateway runs.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = settings_of(config)
    from authproxy import bootstrap

    try:
        bootstrap.run(settings)
    except bootstrap.CannotStart as reason:
        fail(f"authproxy cannot start: {reason}")


@main.command("check-config")
@config_option
@json_option
def check_config(config: Path, *, as_json: bool) -> None:
    """Find everything that is wrong with the settings.

    Exit code 0: fine (there may be warnings); 1: there are errors; 2: there is no file that can be read."""
    from authproxy.settings.findings import SettingsUnreadable
    from authproxy.settings.sources import read

    try:
        reading = read(config, os.environ)
        findings, code = reading.findings, 0 if reading.settings else FINDINGS
    except SettingsUnreadable as unreadable:
        findings, code = unreadable.findings, UNREADABLE
    if as_json:
        print_json({"valid": code == 0, "findings": [each.as_json() for each in findings]})
    else:
        print_findings(findings)
        if code == 0:
            click.echo(f"{config}: fine")
    sys.exit(code)


@main.command()
@click.option("--port-offset", type=click.IntRange(0, 50_000), default=0, help="Move all ports by this much.")
@click.option(
    "--store", "store_url", metavar="URL", help="Use this Redis instead of one of the sandbox's own."
)
@click.option(
    "--state",
    "state_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep keys and accounts here between runs.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the gateway's logs here.")
def sandbox(port_offset: int, store_url: str | None, state_dir: Path | None, *, verbose: bool) -> None:
    """Run the gateway with everything that it talks to, for trying out."""
    try:
        from authproxy.sandbox import stack
    except ModuleNotFoundError as missing:
        fail(
            f"the sandbox is not installed here ({missing.name} is missing); it is part of the source "
            "checkout: `make demo` there"
        )

    stack.run(port_offset=port_offset, store_url=store_url, state_dir=state_dir, is_verbose=verbose)


@main.command()
@click.argument("method")
@click.argument("url")
@config_option
def explain(method: str, url: str, config: Path) -> None:
    """Say which portal and route METHOD URL falls under, what is demanded there, and why."""
    settings = settings_of(config)
    from authproxy import bootstrap
    from authproxy.cli import explanation

    told = explanation.explained(method, url, bootstrap.portals(settings))
    click.echo(told.text)
    sys.exit(0 if told.is_served else 1)


@main.command("nginx-pages")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@config_option
def nginx_pages(file: Path, config: Path) -> None:
    """Write the pages that nginx shows while the gateway is away to FILE (`pages.conf`), in the look of the
    settings.

    Each portal has its name, colour, logo and contact there. nginx reads the file when it is reloaded."""
    settings = settings_of(config)
    from authproxy import bootstrap

    text = bootstrap.nginx_pages(settings)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror}")
    click.echo(f"{file}: written; `nginx -t`, then reload nginx")


@main.group()
def sessions() -> None:
    """Who is signed in, and ending that."""


@sessions.command("list")
@click.option(
    "--person",
    help="Only those of this person: an id in the register, a `sub`, or a name in the audit trail.",
)
@click.option("--portal", help="Only those at this portal.")
@click.option(
    "--hashes",
    is_flag=True,
    help="Name people as the audit trail does, for whoever may not see who they are.",
)
@config_option
@json_option
def list_sessions(
    person: str | None, portal: str | None, config: Path, *, hashes: bool, as_json: bool
) -> None:
    """List the open sessions and whose they are, without anything that would open one. Tax numbers are
    masked."""
    settings = settings_of(config)
    if portal is not None and portal not in settings.portals:
        raise click.UsageError(
            f"there is no portal {portal}; there are: {', '.join(sorted(settings.portals))}"
        )
    from authproxy import bootstrap

    with store_asked():
        found = asyncio.run(bootstrap.list_sessions(settings, person=person, portal=portal))
    rows = [
        {
            "session": each.summary.session_id,
            "portal": each.summary.portal,
            **_whose(each, hashes=hashes),
            "method": each.summary.method,
            "level": int(each.summary.level),
            "started_at": time_text(each.summary.started_at),
            "last_active_at": time_text(each.summary.last_active_at),
            "expires_at": time_text(each.summary.expires_at),
            "browser": each.summary.browser,
        }
        for each in found
    ]
    if as_json:
        print_json(rows)
        return
    print_table(rows)
    click.echo(f"{len(rows)} open", err=True)


def _whose(each: OpenSession, *, hashes: bool) -> dict[str, object]:
    """The columns about the person. What an older version of the gateway has not written down is a dash."""
    if hashes:
        return {"person": each.audit_name or "-"}
    person = each.summary.person
    name, known_by = (None, None) if person is None else (person.name, person.subject_for_portals)
    return {"person": known_by or "-", "name": name or "-", "tax_number": each.summary.tax_number or "-"}


@sessions.command("revoke")
@click.argument("session_id", required=False)
@click.option(
    "--person",
    help="End all sessions of this person, named as `sessions list` does (with or without --hashes).",
)
@click.option("--subject", help="End all sessions of this person (the provider's `sub`).")
@click.option("--issuer", help="The provider that names the person; by default the configured one.")
@config_option
def revoke_sessions(
    session_id: str | None, person: str | None, subject: str | None, issuer: str | None, config: Path
) -> None:
    """End one session, or all of a person. Exit code 1 if there was none."""
    if [session_id, person, subject].count(None) != 2:
        raise click.UsageError("name either a session or, with --person or --subject, a person")
    settings = settings_of(config)
    from authproxy import bootstrap

    with store_asked():
        if person is not None:
            try:
                ended = asyncio.run(bootstrap.revoke_sessions_of(settings, person))
            except bootstrap.SeveralPeople as several:
                fail(str(several))
        else:
            ended = asyncio.run(
                bootstrap.revoke_sessions(settings, session_id=session_id, issuer=issuer, subject=subject)
            )
    click.echo(f"{ended} ended")
    sys.exit(0 if ended else 1)


main.add_command(people)
main.add_command(certificate)
main.add_command(healthcheck)


@main.group()
def keys() -> None:
    """The keys that sign assertions."""


@keys.command("list")
@config_option
@json_option
def list_keys(config: Path, *, as_json: bool) -> None:
    """List the key that signs, the next and the retiring one, as portals see them in jwks.json."""
    from authproxy.assertions.keys import KeyRefused, read_ring

    settings = settings_of(config)
    try:
        ring = read_ring(_key_files(settings), settings.assertions.algorithm)
    except KeyRefused as refused:
        fail(str(refused))
    _print_ring(ring, as_json=as_json)


@keys.command("rotate")
@config_option
@json_option
def rotate_keys(config: Path, *, as_json: bool) -> None:
    """Let the next key sign, keep the last one published, and make a new next one. It counts after a restart
    of the gateway."""
    from authproxy import bootstrap
    from authproxy.assertions.keys import KeyRefused

    settings = settings_of(config)
    try:
        with store_asked():
            ring = asyncio.run(bootstrap.rotate_keys(settings))
    except KeyRefused as refused:
        fail(str(refused))
    _print_ring(ring, as_json=as_json)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell: `eval "$(authproxy completion bash)"`."""
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is None:
        fail(f"no completion for {shell}")
    click.echo(script(main, {}, "authproxy", "_AUTHPROXY_COMPLETE").source())


def _key_files(settings: Settings) -> KeyFiles:
    from authproxy.assertions.keys import KeyFiles

    ring = settings.assertions
    return KeyFiles(
        current=Path(ring.current_key_file),
        upcoming=Path(ring.next_key_file) if ring.next_key_file else None,
        retiring=Path(ring.retiring_key_file) if ring.retiring_key_file else None,
    )


def _print_ring(ring: SigningKeyRing, *, as_json: bool) -> None:
    roles = {"current": ring.current, "next": ring.upcoming, "retiring": ring.retiring}
    rows = [
        {"role": role, "algorithm": key.algorithm, "kid": key.key_id}
        for role, key in roles.items()
        if key is not None
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)

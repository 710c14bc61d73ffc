"""The command line: one module for each command or group. What a command does is decided by `settings`,
`bootstrap`, `flows` and the sandbox; here are words and exit codes.

A command imports what it needs inside its function, so that `--help` and completion answer at once.
"""

from __future__ import annotations

import click

from authproxy import __version__
from authproxy.cli.certificate import certificate
from authproxy.cli.check_config import check_config
from authproxy.cli.completion import completion
from authproxy.cli.explain import explain
from authproxy.cli.healthcheck import healthcheck
from authproxy.cli.imports.command import import_
from authproxy.cli.keys import keys
from authproxy.cli.machines import machines
from authproxy.cli.nginx_pages import nginx_pages
from authproxy.cli.people.command import people
from authproxy.cli.reload import reload
from authproxy.cli.sandbox import sandbox
from authproxy.cli.serve import serve
from authproxy.cli.sessions import sessions
from authproxy.cli.store import store
from authproxy.cli.terminal import OneLineGroup


@click.group(
    cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="authproxy")
def main() -> None:
    """Bankart Varni Spletni Prehod: signs people in before they reach a portal."""


for command in (
    serve,
    reload,
    check_config,
    sandbox,
    explain,
    nginx_pages,
    sessions,
    people,
    machines,
    store,
    certificate,
    healthcheck,
    import_,
    keys,
    completion,
):
    main.add_command(command)

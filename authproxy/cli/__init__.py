"""The command line: one module for each command or group. What a command does is decided by `settings`,
`bootstrap`, `flows` and the sandbox; here are words and exit codes.

Only the module of the command that is asked for is imported, and it imports what it needs inside its
function. So `--help`, completion and health checks do not wait for what others need.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from authproxy import __version__
from authproxy.cli.terminal import OneLineGroup

_PLACES: Final = {
    "serve": ("serve", "serve"),
    "reload": ("reload", "reload"),
    "check-config": ("check_config", "check_config"),
    "sandbox": ("sandbox", "sandbox"),
    "explain": ("explain", "explain"),
    "nginx-pages": ("nginx_pages", "nginx_pages"),
    "proxy-pages": ("proxy_pages", "proxy_pages"),
    "sessions": ("sessions", "sessions"),
    "people": ("people.command", "people"),
    "machines": ("machines", "machines"),
    "store": ("store", "store"),
    "certificate": ("certificate", "certificate"),
    "healthcheck": ("healthcheck", "healthcheck"),
    "import": ("imports.command", "import_"),
    "keys": ("keys", "keys"),
    "doctor": ("doctor", "doctor"),
    "completion": ("completion", "completion"),
}
"""The module and the name in it of each command."""


class _Commands(OneLineGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        # click suggests the nearest command for a name that does not exist, and must know all of them then.
        for name in {cmd_name} & _PLACES.keys() or _PLACES.keys() - self.commands.keys():
            module, variable = _PLACES[name]
            self.commands[name] = getattr(import_module(f"{__name__}.{module}"), variable)
        return self.commands.get(cmd_name)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="authproxy")
def main() -> None:
    """Bankart Varni Spletni Prehod: signs people in before they reach a portal."""

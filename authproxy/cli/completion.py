"""`authproxy completion`: the script by which a shell completes commands and options."""

from __future__ import annotations

import click

from authproxy.cli.terminal import fail


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell: `eval "$(authproxy completion bash)"`."""
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is None:
        fail(f"no completion for {shell}")
    main = context.find_root().command
    click.echo(script(main, {}, "authproxy", "_AUTHPROXY_COMPLETE").source())

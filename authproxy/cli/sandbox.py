"""`authproxy sandbox`: the gateway with all its counterparts, for trying out."""

from __future__ import annotations

from pathlib import Path

import click

from authproxy.cli.terminal import fail


@click.command()
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

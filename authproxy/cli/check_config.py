"""`authproxy check-config`: everything that is wrong with the settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from authproxy.cli.terminal import (
    FINDINGS,
    UNREADABLE,
    config_option,
    json_option,
    print_findings,
    print_json,
)


@click.command("check-config")
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
        print_json({"valid": code == 0, "findings": [finding.as_json() for finding in findings]})
    else:
        print_findings(findings)
        if code == 0:
            click.echo(f"{config}: fine")
    sys.exit(code)

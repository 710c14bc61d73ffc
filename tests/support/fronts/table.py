"""The table of deploy/README.md: what holds behind which front proxy. `python -m tests.support.fronts.table`
runs the scenarios, those of the rehearsal too, and writes it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.fronts.every import FRONTS

SUITE = Path(__file__).parents[2] / "fronts" / "test_scenarios.py"
README = Path(__file__).parents[3] / "deploy" / "README.md"
FIRST = "<!-- The scenarios make this table: python -m tests.support.fronts.table -->\n"
LAST = "<!-- End of the table. -->\n"
WRITTEN_TO = "AUTHPROXY_SCENARIOS_WRITTEN_TO"
"""Names a file for what has held, as JSON: by scenario and front proxy, whether all of it has."""
SHOWN = {"nginx": "nginx", "caddy": "Caddy", "traefik": "Traefik", "envoy": "Envoy", "haproxy": "HAProxy"}


def scenarios() -> dict[str, str]:
    """What each scenario shows, by its name, in the order of the file."""
    return {
        made.name.removeprefix("test_"): ast.get_docstring(made) or ""
        for made in ast.parse(SUITE.read_text()).body
        if isinstance(made, ast.AsyncFunctionDef) and made.name.startswith("test_")
    }


def rows() -> str:
    """The rows of the table and its notes, as they are if every scenario holds."""
    notes: list[str] = []
    lines = []
    for scenario, shows in scenarios().items():
        cells = []
        for front in FRONTS:
            said = front.cannot.get(scenario) or front.differs.get(scenario)
            if said:
                notes.append(f"{len(notes) + 1}. {said}\n")
            cells.append(f"{'no' if scenario in front.cannot else 'yes'}{f' ({len(notes)})' if said else ''}")
        lines.append(f"| {' '.join(shows.split())} | {' | '.join(cells)} |\n")
    return "".join([*lines, "\n", *notes])


def table() -> str:
    names = [f"{SHOWN[front.name]} {front.version()}" for front in FRONTS]
    return f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n{rows()}"


def in_readme() -> str:
    """What stands there now."""
    return README.read_text().partition(FIRST)[2].partition(LAST)[0]


def not_held(outcomes: Mapping[str, Mapping[str, bool]]) -> list[str]:
    """The scenarios that were not run with a front proxy, or that have failed."""
    return [
        f"{scenario} behind {front.name}"
        for scenario in scenarios()
        for front in FRONTS
        if not outcomes.get(scenario, {}).get(front.name, False)
    ]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "scenarios.json"
        every = ["-m", "rehearsal or not rehearsal"]
        command = [sys.executable, "-m", "pytest", "-n", "0", "-q", *every, str(SUITE)]
        subprocess.run(command, env=os.environ | {WRITTEN_TO: str(written)}, check=False)
        missing = not_held(json.loads(written.read_text()) if written.exists() else {})
    if missing:
        print("The table is not written, because this does not hold:", *missing, sep="\n", file=sys.stderr)
        return 1
    before, _, rest = README.read_text().partition(FIRST)
    README.write_text(before + FIRST + table() + LAST + rest.partition(LAST)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())

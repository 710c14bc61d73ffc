"""The folder, the loopback ports and the cores of one measurement, and the programs that run there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ports import free_ports
from programs import Programs

_CONFIGURATIONS = Path(__file__).parent / "configurations"


class Workshop:
    """A port belongs to each of `places`. What is measured runs on `server_core`, everything else on
    `other_core`."""

    def __init__(
        self,
        folder: Path,
        resources: ExitStack,
        *,
        places: Sequence[str],
        server_core: int,
        other_core: int,
    ) -> None:
        self.folder = folder
        self.server_core = server_core
        self.other_core = other_core
        self.ports = dict(zip(places, free_ports(len(places)), strict=True))
        self.user = "www-data" if os.geteuid() == 0 else None
        """Servers that start as root change to this user."""
        folder.chmod(0o755)
        self._programs = Programs(folder, resources)

    def local(self, place: str, target: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[place]}{target}"

    def public(self, place: str) -> str:
        """The public address of a place. Each has a host of its own, so that no cookie of one is sent to
        another."""
        return f"http://bench-{place.replace('_', '-')}.localhost:{self.ports[place]}"

    def configured(self, template: str, name: str, told: Mapping[str, str]) -> Path:
        values = (
            {place.upper(): str(port) for place, port in self.ports.items()}
            | {"FOLDER": str(self.folder)}
            | dict(told)
        )
        text = (_CONFIGURATIONS / template).read_text(encoding="utf-8")
        file = self.folder / name
        file.write_text(re.sub(r"@([A-Z0-9_]+)@", lambda found: values[found[1]], text), encoding="utf-8")
        return file

    def begin(self, command: list[str], *, core: int, place: str) -> int:
        """Starts a program, for which `wait` waits. Returns its process id."""
        return self._programs.begin(command, core=core, name=place, port=self.ports[place])

    def wait(self) -> None:
        """Waits until all programs that have begun listen."""
        self._programs.wait()

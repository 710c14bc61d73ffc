"""The versions of programs, for the line above a table."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def version(program: str) -> str:
    try:
        done = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    except OSError:
        return f"no {program}"
    words = [
        word
        for word in (done.stdout + done.stderr).replace("=", " ").split()
        if any(character.isdigit() for character in word)
    ]
    return f"{program} {words[0].rpartition('/')[2]}" if words else program


def built(program: Path) -> str:
    """The version that Go has written into a program when it built it."""
    if not program.exists():
        return f"no {program.name}"
    modules = re.findall(rb"\n(?:mod|dep)\t(\S+)\tv([0-9.]+)", program.read_bytes())
    versions = [version.decode() for name, version in modules if program.name.encode() in name.split(b"/")]
    return f"{program.name} {versions[0]}" if versions else program.name

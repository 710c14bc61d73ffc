"""Build hook of hatchling: compiles the modules that every request runs through to machine code with mypyc.

The hook is off unless `HATCH_BUILD_HOOKS_ENABLE=true` (as `make compiled` and the Dockerfile set it), because
it needs a C compiler and the Python headers. The wheel then fits one platform and one version of Python. The
sources stay in it beside the compiled modules, for tracebacks.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledModules(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # an editable install must run the sources that somebody edits
        self._folder = tempfile.TemporaryDirectory(prefix="authproxy-compiled-")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for file in _compile(Path(self.root), sorted(self._modules()), Path(self._folder.name)):
            build_data["force_include"][str(file)] = str(file.relative_to(Path(self._folder.name) / "made"))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del build_data, artifact_path
        if version != "editable":
            self._folder.cleanup()

    def _modules(self) -> set[str]:
        found: set[str] = set()
        for pattern in self.config["modules"]:
            matching = list(Path(self.root).glob(pattern))
            if not matching:
                raise ValueError(f"pyproject.toml: no module matches {pattern}")
            found.update(str(file.relative_to(self.root)) for file in matching)
        return found - set(self.config["interpreted"])


def _options(environ: Mapping[str, str]) -> list[str]:
    """Options for mypy. The libraries need no types, but they must be installed, or the modules do not
    compile.

    If the build tools have an environment of their own, `AUTHPROXY_RUNTIME_PYTHON` names the Python of the
    environment with the libraries.
    """
    runtime = environ.get("AUTHPROXY_RUNTIME_PYTHON")
    return ["--ignore-missing-imports", *(["--python-executable", runtime] if runtime else [])]


def _compile(root: Path, modules: list[str], folder: Path) -> Iterator[Path]:
    from mypyc.build import mypycify  # noqa: PLC0415  (hatchling reads this file for every build, even without mypy)
    from setuptools import Distribution  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    here = Path.cwd()
    os.chdir(root)  # mypyc derives module names from paths relative to this folder
    try:
        extensions = mypycify(
            [*_options(os.environ), *modules],
            opt_level=os.environ.get("AUTHPROXY_OPTIMIZATION", "3"),
            debug_level="0",
            group_name="authproxy",
            target_dir=str(folder / "c"),
        )
        for extension in extensions:
            # mypyc indents by hundreds of spaces. To compare indentations takes gcc 65 of 92 seconds.
            extension.extra_compile_args.append("-Wno-misleading-indentation")
        command = build_ext(Distribution({"name": "authproxy", "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(folder / "made"), str(folder / "objects")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(here)
    yield from sorted((folder / "made").rglob("*.so"))

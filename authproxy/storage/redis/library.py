"""Keeps redis-py from importing all of itself. The gateway needs its connections; `redis` and `redis.asyncio`
import every command of every module of Redis beside them, 5 MB in all.

These two packages stand there without what their `__init__` imports. Whoever asks one for a name that is no
module of it, such as `redis.Redis`, gets the whole package at that moment.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, Final

_PACKAGES: Final = ("redis", "redis.asyncio")


class _Unread(ModuleType):
    """A package whose `__init__` has not run yet."""

    def __getattr__(self, name: str) -> Any:
        if name not in {"__all__", "__version__"} and find_spec(f"{self.__name__}.{name}") is not None:
            raise AttributeError(name)  # the import goes on to find the module
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None  # noqa: S101
        assert self.__spec__.loader is not None  # noqa: S101
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def keep_small() -> None:
    """Does nothing where the package was imported already."""
    for name in _PACKAGES:
        if name in sys.modules:
            return
        spec = find_spec(name)
        assert spec is not None  # noqa: S101
        package = module_from_spec(spec)
        package.__class__ = _Unread
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)

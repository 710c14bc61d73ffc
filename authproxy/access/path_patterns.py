"""PURE: the language in which a route names its paths, and the only one.

A pattern is a path, and covers that path and everything below it: `/admin` covers `/admin` and `/admin/x`,
but not `/administer`. A segment `*` stands for exactly one segment: `/shops/*/orders`. A final `/**` says in
so many words that everything below is meant, and changes nothing. There is nothing else. What looks like
another language (regular expressions, globs, parameters of a framework) would cover no request and protect
nothing, so it is a fault (`pattern_faults.py`).
"""

from __future__ import annotations

from typing import Final

from authproxy.access.path_readings import ANY_SEGMENT, Paths, as_compared

EVERYTHING_BELOW: Final = "/**"


class PathPattern:
    """A pattern that is compared with readings of paths (`path_readings.py`). Without a `*` that is a
    comparison of texts."""

    __slots__ = ("_below", "_has_star", "_path", "_segments")

    def __init__(self, text: str, paths: Paths = "exact") -> None:
        path = as_compared(text.removesuffix(EVERYTHING_BELOW) or "/", paths)
        self._path = path
        self._below = path if path.endswith("/") else path + "/"
        self._segments = _segments(path)
        self._has_star = "*" in self._segments

    def covers(self, path: str) -> bool:
        if self._has_star:
            return self._agrees(path.split("/")[1:])
        return path.startswith(self._below) or path == self._path

    def may_cover(self, path: str) -> bool:
        """Whether it covers the path, if `ANY_SEGMENT` in it may be any segment."""
        return self._agrees(path.split("/")[1:], doubtful=ANY_SEGMENT)

    def may_cover_below(self, path: str) -> bool:
        """Whether it covers paths below this one and not the path itself."""
        above = _segments(path.rstrip("/") or "/")
        return len(self._segments) > len(above) and all(
            own in ("*", segment) or segment == ANY_SEGMENT
            for own, segment in zip(self._segments, above, strict=False)
        )

    def includes(self, other: PathPattern) -> bool:
        """Whether it covers every path that the other one covers."""
        return len(self._segments) <= len(other._segments) and all(
            own in ("*", segment) for own, segment in zip(self._segments, other._segments, strict=False)
        )

    def _agrees(self, segments: list[str], *, doubtful: str | None = None) -> bool:
        # The first segments decide, so everything below is covered, too.
        return len(segments) >= len(self._segments) and all(
            segment in (own, doubtful) or (own == "*" and segment != "")
            for own, segment in zip(self._segments, segments, strict=False)
        )


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:]) if path != "/" else ()

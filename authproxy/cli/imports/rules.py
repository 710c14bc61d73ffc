"""PURE: rules and servers of another configuration → routes, of which the first match counts.

A request falls under one route, which says both who may come in and which server answers. Where the other
gateway decides the two apart, a rule becomes one route for each server that it reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from authproxy.access.path_patterns import PathPattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`keys` are those of the route beside its path and methods. `is_exact`: what lies below the path is not
    meant."""

    path: str
    methods: tuple[str, ...] = ()
    keys: dict[str, object]
    comment: str
    is_exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server for everything below a path."""

    path: str
    upstream: str
    comment: str


@dataclass(slots=True)
class Rules:
    """`everywhere` are keys of every route on which people sign in. Of two rules for one request that of the
    more particular path counts."""

    rules: list[Rule] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)
    everywhere: dict[str, object] = field(default_factory=dict)
    why_everywhere: str = ""
    is_served_elsewhere: bool = True
    """Whether there is a server for what lies below none of the paths of `servers`."""

    def routes(self) -> Iterator[tuple[dict[str, object], str]]:
        """Each route with its comment, the most particular one first."""
        seen: set[tuple[str, tuple[str, ...]]] = set()
        for rule in sorted(self._split(), key=lambda rule: _breadth(rule.path)):
            at = (rule.path, rule.methods)
            if at in seen:
                continue
            seen.add(at)
            route: dict[str, object] = {"path": rule.path}
            if rule.methods:
                route["methods"] = list(rule.methods)
            upstream = self._upstream_of(rule.path)
            if upstream is None and not self.is_served_elsewhere:
                yield route | {"access": "deny"}, f"{rule.comment}; no server answers there"
                continue
            route |= rule.keys
            if rule.keys.get("access", "required") == "required":
                route |= {name: value for name, value in self.everywhere.items() if name not in route}
            if upstream is not None:
                route["upstream"] = upstream
            yield route, rule.comment

    def _split(self) -> Iterator[Rule]:
        yield from self.rules
        # The most particular rule that covers a server counts there, so it comes first.
        for rule in sorted(self.rules, key=lambda rule: _breadth(rule.path)):
            if rule.is_exact:
                why = f"{rule.comment}: what lies below is not meant"
                yield Rule(path=below(rule.path), methods=rule.methods, keys={}, comment=why)
            # The route of a server would come first and say nothing of the rule.
            for server in self.servers:
                if covers(rule.path, server.path):
                    keys, methods = ({} if rule.is_exact else rule.keys), rule.methods
                    yield Rule(path=server.path, methods=methods, keys=keys, comment=rule.comment)
        for server in self.servers:
            yield Rule(path=server.path, keys={}, comment=server.comment)
        if self.everywhere or not self.is_served_elsewhere:
            yield Rule(path="/", keys={}, comment=self.why_everywhere or "everything else")

    def _upstream_of(self, path: str) -> str | None:
        found = [server for server in self.servers if covers(server.path, path)]
        return max(found, key=lambda server: len(server.path)).upstream if found else None


def below(path: str) -> str:
    """The pattern of everything below a path and not the path itself."""
    return f"{path.rstrip('/')}/*"


def covers(path: str, other: str) -> bool:
    """Whether a route for `path` covers all of `other`."""
    return PathPattern(path).includes(PathPattern(other))


def _breadth(path: str) -> tuple[int, int]:
    segments = path.strip("/").split("/") if path != "/" else []
    return -len(segments), segments.count("*")

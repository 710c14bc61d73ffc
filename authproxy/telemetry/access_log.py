"""The access line: one JSON object per request with its method and path, the decision and its times. The
query is never part of it.

Every request pays for this, so the line is formatted by hand, in a compiled module.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _quoted
from typing import Final

from authproxy.telemetry.redaction import redacted

_LONGEST_PATH: Final = 1024
_LARGEST_BUFFER: Final = 500
"""When so many lines wait, they are written at once."""
_THOUSANDTHS: Final = [f".{number:03d}" for number in range(1000)]


class AccessLog:
    """Collects lines and passes them to `write` in batches.

    `later` calls its argument within a fraction of a second; it is used once per batch. Call `flush` at the
    end of the gateway.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        clock: Callable[[], datetime],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        self._write = write
        self._clock = clock
        self._later = later
        self._lines: list[str] = []
        self._second = datetime.fromtimestamp(0, UTC)
        self._second_text = ""

    def write(  # noqa: PLR0913  (a record object would cost as much as the whole line)
        self,
        *,
        request_id: str,
        portal: str | None,
        method: str,
        path: str,
        status: int,
        decision: str,
        reason: str | None,
        rule: str | None,
        level: int | None,
        session: str | None,
        client: str,
        bytes_in: int,
        bytes_out: int,
        total: float,
        deciding: float,
        upstream: float,
        machine: str | None = None,
    ) -> None:
        """Adds a line. `total`, `deciding` and `upstream` are in seconds. `path` has no query. Only the line
        of a program has the field `machine`."""
        lines = self._lines
        lines.append(
            f'{{"at":"{self._now()}","event":"request.answered",'
            f'"request_id":{_quoted(request_id)},"portal":{_text(portal)},"method":{_quoted(method)},"path":{_path(path)},'
            f'"status":{status},"decision":{_quoted(decision)},"reason":{_text(reason)},"rule":{_text(rule)},'
            f'"level":{"null" if level is None else int(level)},"session":{_text(session)},'
            f'{"" if machine is None else _machine(machine)}"client":{_quoted(client)},'
            f'"bytes_in":{bytes_in},"bytes_out":{bytes_out},'
            f'"total_ms":{_milliseconds(total)},"decision_ms":{_milliseconds(deciding)},'
            f'"upstream_ms":{_milliseconds(upstream)}}}\n'
        )
        if len(lines) == 1:
            self._later(self.flush)
        elif len(lines) >= _LARGEST_BUFFER:
            self.flush()

    def _now(self) -> str:
        """The time in ISO 8601 with milliseconds. The text of the current second is cached, because
        `isoformat` takes 2 µs."""
        now = self._clock()
        since = now - self._second
        if since.days or since.seconds:
            self._second = now.replace(microsecond=0)
            self._second_text = self._second.strftime("%Y-%m-%dT%H:%M:%S")
            since = now - self._second
        return f"{self._second_text}{_THOUSANDTHS[since.microseconds // 1000]}+00:00"

    def flush(self) -> None:
        """Writes the lines collected so far."""
        if self._lines:
            batch = "".join(self._lines)
            self._lines.clear()
            self._write(batch)


def _milliseconds(seconds: float) -> str:
    microseconds = int(seconds * 1e6 + 0.5)
    return f"{microseconds // 1000}{_THOUSANDTHS[microseconds % 1000]}"


def _text(value: str | None) -> str:
    return "null" if value is None else _quoted(value)


def _machine(machine: str) -> str:
    return f'"machine":{_quoted(machine)},'


def _path(path: str) -> str:
    """Cuts a query that a caller forgot to remove: queries carry codes and states."""
    if "?" in path:
        path = path.partition("?")[0]
    if len(path) > _LONGEST_PATH:
        path = path[:_LONGEST_PATH] + "…"
    # Tokens begin with `eyJ`, tickets with `1.`, API keys with our name, and a portal's session in the path
    # with `;` or `(`. The search for whole ones costs more than the rest of the line.
    if "eyJ" in path or "1." in path or "authproxy_" in path or ";" in path or "(" in path:
        path = redacted(path)
    return _quoted(path)

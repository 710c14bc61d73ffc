"""PURE: a report in words and in JSON, and the exit code."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final

from authproxy.doctor.findings import SUBJECTS, Colour, Finding

FORMAT: Final = 1
"""Of the JSON. It changes only if a reader of the former one would go wrong."""
NEVER_TRIED: Final = (
    "names of headers that no product known to us reads",
    "what only many requests at a time would show",
)
"""What no examination tries, whatever it is given."""
_WIDTH: Final = 100
_CLAIMS: Final[dict[Colour, str]] = {"red": " (not so)", "yellow": " (not quite so)"}
"""What is red or yellow is not as its title says."""
_SIGNS: Final[dict[Colour, str]] = {
    "red": "RED",
    "yellow": "YELLOW",
    "green": "green",
    "not_tried": "not tried",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`proxy` is the kind of front proxy, empty if it is not known; `strangers` are requests of others that
    have reached the stand-in; `http2_fault` is why nothing was sent over HTTP/2, empty if it was."""

    url: str
    proxy: str
    gateway_version: str
    requests: int
    strangers: int
    findings: tuple[Finding, ...]
    http2_fault: str = ""
    offers_http3: bool = False

    @property
    def never_tried(self) -> tuple[str, ...]:
        http2 = (f"HTTP/2 ({self.http2_fault})",) if self.http2_fault else ()
        return (
            *http2,
            "HTTP/3, which the front proxy offers" if self.offers_http3 else "HTTP/3",
            *NEVER_TRIED,
        )

    def count(self, colour: Colour) -> int:
        return sum(finding.verdict.colour == colour for finding in self.findings)


def exit_code(report: Report, *, is_strict: bool = False) -> int:
    """1 if something is red; with `is_strict` also if something is yellow."""
    return 1 if report.count("red") or (is_strict and report.count("yellow")) else 0


def in_words(report: Report, *, is_whole: bool = False) -> str:
    """What is red and yellow in full, the rest in a line each; `is_whole` in full, too."""
    front = f"behind {report.proxy or 'a front proxy that is not known (--proxy names it)'}"
    lines = [f"{report.url}, authproxy {report.gateway_version} {front}", ""]
    for colour in ("red", "yellow", "green", "not_tried"):
        for finding in report.findings:
            if finding.verdict.colour == colour:
                lines += _lines(finding, is_whole=is_whole or colour in {"red", "yellow"})
    lines += ["", f"Never tried: {'; '.join(report.never_tried)}."]
    if report.strangers:
        lines.append(
            f"Requests without the check's mark at the stand-in, which were answered 503: {report.strangers}."
            " Somebody uses this portal, or the proxy removes headers that it does not know."
        )
    counted = ", ".join(f"{report.count(colour)} {sign.lower()}" for colour, sign in _SIGNS.items())
    lines.append(f"{counted}; {report.requests} requests")
    return "\n".join(lines)


def _lines(finding: Finding, *, is_whole: bool) -> list[str]:
    subject, verdict = SUBJECTS[finding.finding_id], finding.verdict
    claim = _CLAIMS.get(verdict.colour, "")
    title = f"{_SIGNS[verdict.colour]:10}{finding.finding_id}{claim}: {subject.title}"
    if verdict.colour == "not_tried":
        return [f"{title} ({verdict.sent})"]
    if not is_whole:
        return [title]
    sent = f"{verdict.sent} ({finding.requests} requests in all)" if finding.requests > 1 else verdict.sent
    rows = [("sent", sent), ("came", verdict.came), ("why", subject.why), ("change", finding.advice)]
    return [title, *(line for name, text in rows if text for line in _row(name, text))]


def _row(name: str, text: str) -> list[str]:
    beginning = f"          {name:8}"
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=beginning,
        subsequent_indent=" " * len(beginning),
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_json(report: Report, *, is_strict: bool = False) -> dict[str, object]:
    return {
        "format": FORMAT,
        "url": report.url,
        "proxy": report.proxy,
        "gateway_version": report.gateway_version,
        "requests": report.requests,
        "strangers": report.strangers,
        "exit_code": exit_code(report, is_strict=is_strict),
        "findings": [
            {
                "id": finding.finding_id,
                "colour": finding.verdict.colour,
                "title": SUBJECTS[finding.finding_id].title,
                "why": SUBJECTS[finding.finding_id].why,
                "sent": finding.verdict.sent,
                "came": finding.verdict.came,
                "requests": finding.requests,
                "change": finding.advice,
            }
            for finding in report.findings
        ],
        "never_tried": list(report.never_tried),
    }

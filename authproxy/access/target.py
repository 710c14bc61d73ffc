"""PURE: the canonical request target. Rules, audit, signature and portal all see the same one.

Implements RFC 9112 §3.2 (forms of the target) and RFC 3986 §6.2.2 (case and percent-encoding normalisation).
A target that two readers could understand in two ways is refused: most bypasses of gateways come from "the
string judged was not the string served".
"""

from __future__ import annotations

import re
from typing import Final

from authproxy.access import methods, path_readings
from authproxy.access.decision import Reason
from authproxy.access.path_readings import ENCODED_TWICE, UNRESERVED, Paths

# Fast path: no escape, no dot segment, no empty segment, no parameter, nothing outside RFC 3986 `pchar`.
_PLAIN_PATH: Final = re.compile(
    r"/(?:[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*(?:/(?=[^/.])|/?$))*", re.ASCII
)
# Browsers send `|`, `^`, `[` and `]` raw in paths. The rest is `pchar`. Backslash, quotes, angle brackets and
# controls are refused.
_PATH_CHARACTERS: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/%|^\[\]-]*", re.ASCII)
# Browsers leave more characters raw in queries. `#` would start a fragment; white space and controls end the
# line for some readers.
_QUERY_CHARACTERS: Final = re.compile(r"[\x21\x22\x24-\x7e]*", re.ASCII)
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})?", re.ASCII)
_MOST_DECODINGS: Final = 3
"""How often a path may be decoded until nothing in it looks encoded."""
_HOST: Final = re.compile(
    r"(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{0,5}))?", re.ASCII
)
_END_OF_NAME: Final = re.compile(r";|%3B|%3F|%23", re.ASCII)
# UTF-8 sequences that spell an ASCII character in more bytes than it needs (`%C0%AE` for a dot). RFC 3629 §3
# forbids them, but some servers decode them.
_OVERLONG: Final = re.compile(
    r"%C[01]%[89AB][0-9A-F]|%E0%[89][0-9A-F]%[89AB][0-9A-F]|%F0%8[0-9A-F]", re.ASCII
)


_RAW_BYTE: Final = re.compile(rb"[\x80-\xff]")

# People ask for the same paths, and a look-up takes an eighth of the search. Bounded, because everybody can
# ask for ever new ones.
_plain_paths: Final[set[str]] = set()
_MOST_REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 256


class TargetRefused(ValueError):  # noqa: N818
    """The target can be understood in more than one way, or not at all. The message names what was found,
    never the target itself."""

    def __init__(self, reason: Reason, found: str) -> None:
        super().__init__(found)
        self.reason = reason


class RequestTarget:
    """Method, host, path and query as they are judged, logged, signed and served. `host` has a port only if
    it is not the scheme's default. `path` and `query` are sent to the portal byte for byte. A target is never
    changed."""

    __slots__ = ("_is_plain", "host", "method", "path", "query")

    def __init__(
        self, method: str, host: str, path: str, query: str | None, *, is_plain: bool = False
    ) -> None:
        """`is_plain` says that nobody who compares paths exactly can read the path in another way."""
        self.method = method
        self.host = host
        self.path = path
        self.query = query
        self._is_plain = is_plain

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RequestTarget) and self._members() == other._members()

    def __hash__(self) -> int:
        return hash(self._members())

    def __repr__(self) -> str:
        # Without the query: it may contain secrets, and this may be logged.
        return f"<RequestTarget {self.method} {self.host}{self.path}>"

    def _members(self) -> tuple[str, str, str, str | None]:
        return self.method, self.host, self.path, self.query

    @property
    def origin_form(self) -> str:
        """The target as it is sent to the portal (RFC 9112 §3.2.1)."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def readings(self, paths: Paths = "exact") -> tuple[str, ...]:
        """The path, and every other path that the portal might take it for (`path_readings.py`). Empty if
        nobody can say what a portal would serve."""
        if self._is_plain and paths == "exact":
            return (self.path,)
        return path_readings.readings(self.path, paths)


def canonical_host(text: str, default_port: int) -> str:
    """The canonical form of a `Host` value: lower case, without one trailing dot, without an empty port (RFC
    3986 §3.2.3) or the default port.

    Raises TargetRefused for anything that is not a host: user information, white space, raw non-ASCII, a port
    above 65535."""
    lowered = text.lower()
    name, colon, port = (
        lowered.rpartition(":") if not lowered.endswith("]") and ":" in lowered else (lowered, "", "")
    )
    if name.endswith(".") and not name.endswith(".."):
        lowered = name[:-1] + colon + port
    match = _HOST.fullmatch(lowered)
    # `lower()` turns some letters outside ASCII into ASCII: the Kelvin sign becomes `k`.
    if match is None or ".." in lowered or not text.isascii():
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "host is malformed")
    if not match["port"]:
        return match["name"]
    number = int(match["port"])
    if not 0 < number < 65536:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "host has an impossible port")
    return match["name"] if number == default_port else f"{match['name']}:{number}"


def with_encoded_query(text: bytes) -> bytes:
    """A raw target, or a request line as far as it has arrived, with everything outside ASCII in the query
    percent-encoded.

    Old browsers, and links that were written by hand, leave such bytes there: UTF-8, Windows-1250 or Latin 1,
    and nobody can tell which. Each byte is encoded by itself (RFC 3986 §2.1), so the portal decodes exactly
    the bytes that were sent. In the path they stay, and are refused: which characters they are, and so which
    route covers the path, would depend on the encoding."""
    path, question_mark, query = text.partition(b"?")
    return path + question_mark + _RAW_BYTE.sub(lambda byte: b"%%%02X" % byte[0][0], query)


def parse(
    *,
    method: str,
    target: str,
    host: str,
    default_port: int = 80,
    accepts_encoded_slash: bool = False,
    accepts_encoded_percent: bool = False,
) -> RequestTarget:
    """The canonical target of a request line. `host` is a result of `canonical_host`. Parsing the result
    again gives the same result.

    `target` is in origin-form, or in absolute-form with the authority of the Host field. RFC 9112 §3.2.2 lets
    the authority win over Host, but a portal that uses Host would then serve another site than the one
    judged. Raises TargetRefused otherwise.
    """
    if method not in methods.KNOWN:
        raise TargetRefused(Reason.METHOD_UNSUPPORTED, "method is not supported")
    if target[:1] != "/":
        target = _origin_form_of_absolute(target, host, default_port)
    path, question_mark, query = target.partition("?")
    decodings = _MOST_DECODINGS if accepts_encoded_percent else 1
    is_plain = path in _plain_paths or _is_plain(path)
    if not is_plain:
        path = _canonical_path(path, accepts_encoded_slash=accepts_encoded_slash, decodings=decodings)
    return RequestTarget(
        method, host, path, _checked_query(query) if question_mark else None, is_plain=is_plain
    )


def _is_plain(path: str) -> bool:
    is_plain = _PLAIN_PATH.fullmatch(path) is not None
    if is_plain and len(path) <= _LONGEST_REMEMBERED:
        if len(_plain_paths) >= _MOST_REMEMBERED:
            _plain_paths.clear()
        _plain_paths.add(path)
    return is_plain


def _origin_form_of_absolute(target: str, host: str, default_port: int) -> str:
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "target is neither a path nor an http URL")
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    if canonical_host(rest[:end], default_port) != host:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "authority of the target disagrees with Host")
    return rest[end:] if rest[end : end + 1] == "/" else "/" + rest[end:]


def _checked_query(query: str) -> str:
    if not _QUERY_CHARACTERS.fullmatch(query):
        raise TargetRefused(
            Reason.REQUEST_UNREADABLE,
            "query contains a fragment, white space, control or non-ASCII character",
        )
    return query


def _canonical_path(path: str, *, accepts_encoded_slash: bool, decodings: int) -> str:
    """The canonical form. Refuses a path that can be decoded more than `decodings` times."""
    if not _PATH_CHARACTERS.fullmatch(path):
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "path contains a character that must be encoded")
    if path.startswith("//"):
        raise TargetRefused(
            Reason.TARGET_AMBIGUOUS, "path begins with two slashes, which a URL parser takes for a host"
        )
    if "%" in path:
        path = _ESCAPE.sub(
            lambda escape: _canonical_escape(escape, accepts_encoded_slash=accepts_encoded_slash), path
        )
        # Judged after the decoding: only now `%25%32%65` has become `%252e`.
        if ENCODED_TWICE.search(path):
            if decodings == 1:
                raise TargetRefused(Reason.TARGET_AMBIGUOUS, "path is percent-encoded twice")
            # A portal that decodes once more gets this path, so it must pass the same checks.
            _canonical_path(
                ENCODED_TWICE.sub("%", path),
                accepts_encoded_slash=accepts_encoded_slash,
                decodings=decodings - 1,
            )
        if _OVERLONG.search(path):
            raise TargetRefused(Reason.TARGET_AMBIGUOUS, "path contains an overlong UTF-8 sequence")
    # Some servers split at encoded slashes, drop `;parameters`, or end the path at an encoded question mark
    # before they resolve dots. nginx decodes `..%3B` on the way to a portal behind `proxy_pass http://x/;`.
    for segment in re.split(r"/|%2F|%5C", path):
        if _END_OF_NAME.split(segment, maxsplit=1)[0] in {".", ".."}:
            raise TargetRefused(Reason.TARGET_AMBIGUOUS, "path contains a dot segment")
    return path


def _canonical_escape(escape: re.Match[str], *, accepts_encoded_slash: bool) -> str:
    if escape[1] is None:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "path contains an incomplete percent-encoding")
    byte = int(escape[1], 16)
    if byte < 0x20 or byte == 0x7F:
        raise TargetRefused(Reason.REQUEST_UNREADABLE, "path contains an encoded control character")
    if byte in (0x2F, 0x5C) and not accepts_encoded_slash:
        raise TargetRefused(Reason.TARGET_AMBIGUOUS, "path contains an encoded slash or backslash")
    return chr(byte) if byte in UNRESERVED else escape[0].upper()

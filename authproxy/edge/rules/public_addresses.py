"""PURE: addresses in the head of an answer. Where a portal names its own server, the browser gets the public
address instead.

A portal builds absolute URLs from what it was told: the Host of the request, which is the upstream's own with
`preserve_host: false`, and the scheme by which it was reached, which is often `http` behind our TLS. Changed
are `Location` and `Content-Location` (RFC 9110 §10.2.2, §8.7), `Refresh` (HTML, "shared declarative refresh
steps") and the attribute `Domain` of `Set-Cookie` (RFC 6265 §5.2.3). The attribute `Path` is right as it is,
because an upstream has no path of its own.

Only a value that is understood whole is changed. Everything else goes on byte for byte: other hosts, relative
URLs, user information, backslashes, white space inside. A changed URL always begins with the public origin
and goes on with `/`, `?`, `#` or nothing, so it never leads to a third host.
"""

from __future__ import annotations

import re
from typing import Final

from authproxy.access.target import TargetRefused, canonical_host
from authproxy.edge.rules.request_head import Fields

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# RFC 3986 §3.2: user information, escapes and every other character are left out, so such a URL stays as it
# is. What follows the authority must end it for every reader.
_URL: Final = re.compile(
    rb"(?:([Hh][Tt][Tt][Pp][Ss]?):)?//((?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?)(?=[/?#]|\Z)"
)
_REFRESH: Final = re.compile(
    rb"[ \t]*[0-9.]+(?:[ \t]*[;,]|[ \t])[ \t]*(?:[Uu][Rr][Ll][ \t]*=[ \t]*)?(?P<quote>[\"']?)"
)
_BLANKS: Final = b" \t"

_IS_URL: Final = 1
_IS_REFRESH: Final = 2
_IS_COOKIE: Final = 3
_MEANINGS: Final[dict[bytes, int]] = {
    b"location": _IS_URL,
    b"content-location": _IS_URL,
    b"refresh": _IS_REFRESH,
    b"set-cookie": _IS_COOKIE,
}


def names_an_address(name: bytes) -> bool:
    """Whether a field of this name, in lower case, may contain a URL of the portal. Cookies are not meant."""
    return name in _MEANINGS and name != b"set-cookie"


class PublicAddresses:
    """What one upstream calls itself, and what browsers call it. Made by `public_addresses`."""

    def __init__(
        self, origin: bytes, own: frozenset[tuple[str, str]], ports: dict[str, int], domain: bytes
    ) -> None:
        """`own` are scheme and canonical authority of every URL that means the portal. The scheme is empty in
        URLs that begin with `//`. `ports` are the default ports of the schemes. `domain` is the name of the
        upstream in cookies; empty if it needs no change."""
        self._origin = origin
        self._own = own
        self._ports = ports
        self._domain = domain
        names = _MEANINGS if domain else (name for name in _MEANINGS if names_an_address(name))
        self._lengths = frozenset(map(len, names))
        """Of the names of fields that may have to be changed. Most answers have none of these lengths."""
        self._public_domain = _name_of(origin.decode("ascii").partition("://")[2]).encode("ascii")

    def in_fields(self, fields: Fields) -> Fields:
        """The fields of an answer with the public address. The same list, if none of them can have one."""
        for field in fields:
            if len(field[0]) in self._lengths:
                break
        else:
            return fields
        return [(name, self._changed(name, value)) for name, value in fields]

    def in_lines(self, lines: bytes) -> bytes:
        """As `in_fields`, for fields as lines that are each ended by CRLF."""
        changed: list[bytes] = []
        for line in lines.split(b"\r\n"):
            name, colon, value = line.partition(b":")
            changed.append(name + colon + self._changed(name, value))
        return b"\r\n".join(changed)

    def _changed(self, name: bytes, value: bytes) -> bytes:
        meaning = _MEANINGS.get(name.lower(), 0)
        if not meaning:
            return value
        if meaning == _IS_COOKIE:
            return self._in_cookie(value)
        begins_at = len(value) - len(value.lstrip(_BLANKS))
        ends_at = max(begins_at, len(value.rstrip(_BLANKS)))
        if meaning == _IS_REFRESH:
            match = _REFRESH.match(value)
            if match is None:
                return value
            begins_at, quote = match.end(), match["quote"]
            ends_at = max(begins_at, ends_at)
            if quote and quote in value[begins_at:]:
                ends_at = value.index(quote, begins_at)
        return value[:begins_at] + self._public(value[begins_at:ends_at]) + value[ends_at:]

    def _public(self, url: bytes) -> bytes:
        match = _URL.match(url)
        if match is None:
            return url
        scheme = (match[1] or b"").decode("ascii").lower()
        try:
            authority = canonical_host(match[2].decode("ascii"), self._ports[scheme])
        except TargetRefused:
            return url
        return self._origin + url[match.end() :] if (scheme, authority) in self._own else url

    def _in_cookie(self, value: bytes) -> bytes:
        if not self._domain or b";" not in value:
            return value
        pair, *attributes = value.split(b";")
        return b";".join([pair, *map(self._in_attribute, attributes)])

    def _in_attribute(self, attribute: bytes) -> bytes:
        name, equals, text = attribute.partition(b"=")
        domain = text.strip(_BLANKS).removeprefix(b".")
        if not equals or name.strip(_BLANKS).lower() != b"domain" or domain.lower() != self._domain:
            return attribute
        before, _, after = text.partition(domain)
        return name + equals + before + self._public_domain + after


def public_addresses(
    *, origin: str, scheme: str, authority: str, preserves_host: bool
) -> PublicAddresses | None:
    """`origin` is the portal's public one; `scheme` and `authority` are those of its upstream. None if what
    the portal says of itself is public already."""
    public_scheme, _, host = origin.partition("://")
    ports = {**_DEFAULT_PORTS, "": _DEFAULT_PORTS[scheme]}
    own: set[tuple[str, str]] = set()
    if not preserves_host:
        # Some portals take the scheme from X-Forwarded-Proto and the rest from Host, and some add the port on
        # which they listen.
        with_port = f"{_name_of(authority)}:{_port_of(authority) or _DEFAULT_PORTS[scheme]}"
        for each, default in ports.items():
            own |= {(each, canonical_host(authority, default)), (each, canonical_host(with_port, default))}
    if public_scheme == "https" and not (preserves_host and scheme == "https"):
        with_port = f"{_name_of(host)}:{_port_of(host) or 443}"
        own |= {("http", canonical_host(host, 80)), ("http", canonical_host(with_port, 80))}
    if not own:
        return None
    domain = "" if preserves_host else _name_of(authority).lower()
    return PublicAddresses(origin.encode("ascii"), frozenset(own), ports, domain.encode("ascii"))


def _port_of(authority: str) -> str:
    return "" if authority.endswith("]") or ":" not in authority else authority.rpartition(":")[2]


def _name_of(authority: str) -> str:
    """The host of an authority without its port."""
    return authority if authority.endswith("]") or ":" not in authority else authority.rpartition(":")[0]

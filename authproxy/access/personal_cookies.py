"""PURE: cookies of a portal that belong to one person (`cookies.end_with_session`).

A request does not say for whom the portal once set a cookie that it carries. So when the portal sets a listed
cookie, the browser gets a cookie of ours with it, the mark: a MAC over name and value, under a key of the
person whose request was answered. A listed cookie reaches the portal only with a mark of the person who sends
it. So nobody is inside the portal as somebody else: not the next person at the same browser, whatever has
ended the session before, and nobody into whose browser another site has planted a cookie.

The portal's cookie itself is not changed, because scripts of the portal may read it, and no store is asked.
The mark also says for which domain and path the cookie was set, so that a sign-out can expire it. It stands
at `/`, where every page of ours gets it.

Behind a front proxy the portal's answers do not pass the gateway. There the proxy sets a weaker mark, which
it can write without computing anything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from authproxy.identity.person import Person

_MARK: Final = b"__Host-authproxy-mark-"
_PROXY_MARK: Final = b"__Host-authproxy-proxy-"
_OF_MARK: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
_MAC_SIZE: Final = 22
"""Characters: 16 bytes in base64url."""
_OWNER_SIZE: Final = 8
"""Characters behind the MAC that say whose mark it is, where the cookie itself is not seen."""
_MOST_CHECKED: Final = 32
"""Listed cookies of one request that are looked at; nobody has so many, and each costs a MAC."""
_LONGEST_PLACE: Final = 512
_LONGEST_CARRIED: Final = 1024
_MOST_EXPIRED: Final = 64
_MOST_NAMES: Final = 4096
_LONGEST_NAME: Final = 64
"""Bytes of the names whose spelling is remembered."""

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_NO_WORD: Final = re.compile(rb"[^a-z0-9*]+")
# Old servers also separate cookies by commas (RFC 2109 §4.4), and read quoted values in their own ways.
_SEPARATOR: Final = re.compile(rb"[,\"\s]+")
# A parameter of a canonical path, with the semicolon in front of it, which some servers decode first.
_PARAMETER: Final = re.compile(r"(?:;|%(?:25)*3B)((?:(?!;|%(?:25)*3B)[^/])*)", re.ASCII)
_EQUALS: Final = re.compile(r"=|%(?:25)*3D", re.ASCII)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
_PATH: Final = re.compile(r"/[\x21-\x3a\x3c-\x7e]{0,511}", re.ASCII)
_DOMAIN: Final = re.compile(r"(?:[a-z0-9.-]{1,253})?", re.ASCII)


class MarkedCookie:
    """What a mark says of a cookie. `domain` is empty if the cookie was set for its host only. `value` is
    None if the mark does not carry it."""

    __slots__ = ("domain", "mac", "name", "path", "value")

    def __init__(self, name: str, domain: str, path: str, value: str | None, mac: str) -> None:
        self.name = name
        self.domain = domain
        self.path = path
        self.value = value
        self.mac = mac


class Marking:
    """Writes the marks of one answer."""

    __slots__ = ("_cookies", "_owner", "_path")

    def __init__(self, cookies: PersonalCookies, owner: bytes, path: str) -> None:
        self._cookies = cookies
        self._owner = owner
        self._path = path

    def lines(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Finished lines that set the marks of the listed cookies which the fields set."""
        return self._cookies.marks(fields, self._owner, self._path)


class PersonalCookies:
    """The listed cookies of one portal. `names` may end with `*`. `secret` never leaves the gateway. With
    `carries_values` marks also carry the cookies' values, because our own pages do not get cookies of another
    path, and the portal must be told which session has ended."""

    __slots__ = (
        "_beginnings",
        "_carries_values",
        "_exact",
        "_is_secure",
        "_known",
        "_listed",
        "_portal_id",
        "_secret",
    )

    def __init__(
        self,
        names: Iterable[str],
        *,
        portal_id: str,
        secret: bytes,
        is_secure: bool = True,
        carries_values: bool = False,
    ) -> None:
        listed = tuple(names)
        self._listed = tuple(name for name in listed if not name.endswith("*"))
        self._exact = frozenset(_folded(name.encode()) for name in self._listed)
        self._beginnings = tuple(_folded(name[:-1].encode()) for name in listed if name.endswith("*"))
        self._portal_id = portal_id
        self._secret = secret
        self._is_secure = is_secure
        self._carries_values = carries_values
        self._known: dict[bytes, bool] = {}

    def __repr__(self) -> str:
        return f"<PersonalCookies {', '.join(self._listed)}>"

    def owner(self, person: Person | None) -> bytes:
        """The key of a person's marks. Nobody, who opens public paths without a session, has one too: what
        was set for nobody is nobody else's."""
        if person is None:
            who = ""
        elif person.member is not None:
            who = f"member\0{person.member}"
        else:
            who = f"account\0{person.issuer}\0{person.subject}"
        text = f"{self._portal_id}\0{who}"
        return _keyed(self._secret, text.encode("utf-8", "surrogateescape"), b"owner", 32)

    def lists(self, name: bytes) -> bool:
        """Whether a cookie of that name is listed, in any spelling that some server takes for the same
        name."""
        is_listed = self._known.get(name)
        if is_listed is None:
            folded = _folded(name)
            is_listed = folded in self._exact or (
                bool(self._beginnings) and folded.startswith(self._beginnings)
            )
            if len(name) <= _LONGEST_NAME and len(self._known) < _MOST_NAMES:
                self._known[name] = is_listed
        return is_listed

    # Requests.

    def kept(self, cookies: bytes, owner: bytes, *, marked_by_proxy: bool = False) -> bytes:
        """A Cookie value without the listed cookies that are not this owner's; otherwise byte for byte as it
        was. Our own cookies are still in it. `marked_by_proxy`: also the marks of a front proxy count."""
        pairs = cookies.split(b";")
        marks: set[bytes] | None = None
        checked = 0
        passing: list[bytes] = []
        for pair in pairs:
            name, _, value = pair.partition(b"=")
            name = name.strip(b" \t")
            if self.lists(name):
                if marks is None:
                    marks = self._marks(pairs, owner, marked_by_proxy=marked_by_proxy)
                checked += 1
                if checked <= _MOST_CHECKED and self._mac(owner, name, value.strip(b" \t")) in marks:
                    passing.append(pair)
            elif not self._hides_a_listed_name(pair):
                passing.append(pair)
        return cookies if len(passing) == len(pairs) else b";".join(passing).strip(b" \t")

    def without_sessions(self, path: str) -> str:
        """A canonical path without parameters of a listed name (`;jsessionid=A1`). Such a link, from the
        history of a shared browser or from somebody else, would lead into the session of whoever made it.
        Nobody needs it: who is signed in has cookies, and so the portal's cookie."""
        return _PARAMETER.sub(
            lambda found: "" if self.lists(_EQUALS.split(found[1], maxsplit=1)[0].encode()) else found[0],
            path,
        )

    def _marks(self, pairs: list[bytes], owner: bytes, *, marked_by_proxy: bool) -> set[bytes]:
        marks: set[bytes] = set()
        own = self.proxy_mark(owner) + b"." if marked_by_proxy else b""
        by_proxy = 0
        for pair in pairs:
            name, _, value = pair.strip(b" \t").partition(b"=")
            if name.startswith(_MARK):
                marks.add(value[:_MAC_SIZE])
            elif marked_by_proxy and name.startswith(_PROXY_MARK) and value.startswith(own):
                by_proxy += 1
                if by_proxy <= _MOST_CHECKED:
                    marks.add(self._mac(owner, name[len(_PROXY_MARK) :], value[len(own) :]))
        return marks

    def _hides_a_listed_name(self, pair: bytes) -> bool:
        """Whether some server could find a listed name inside this other cookie."""
        text = pair.strip(b" \t")
        if _SEPARATOR.search(text) is None:
            return False
        return any(self.lists(word.partition(b"=")[0]) for word in _SEPARATOR.split(text)[1:])

    def proxy_mark(self, owner: bytes) -> bytes:
        """What a front proxy writes before the values of this person's cookies. It is no key, so it may be
        seen in this person's browser."""
        return _encoded(_keyed(owner, b"", b"front proxy"))

    def _mac(self, owner: bytes, name: bytes, value: bytes) -> bytes:
        return _encoded(_keyed(owner, name + b"\0" + value, b"cookie"))

    # Answers of the portal.

    def marks(self, fields: Iterable[tuple[bytes, bytes]], owner: bytes, request_path: str) -> bytes:
        """Finished lines that set the marks of the listed cookies which the fields set. `request_path` is
        where the answered request went: a cookie without a path belongs to its folder (RFC 6265 §5.1.4)."""
        lines = b""
        for field, text in fields:
            if field.lower() == b"set-cookie":
                pair, _, attributes = text.partition(b";")
                name, _, value = pair.partition(b"=")
                name = name.strip(b" \t")
                if self.lists(name):
                    lines += self._mark(name, value.strip(b" \t"), attributes, owner, request_path)
        return lines

    def _mark(self, name: bytes, value: bytes, attributes: bytes, owner: bytes, request_path: str) -> bytes:
        path, domain, lifetime = b"", b"", b""
        for attribute in attributes.split(b";"):
            key, _, content = attribute.partition(b"=")
            key, content = key.strip(b" \t").lower(), content.strip(b" \t")
            if key == b"path":
                path = content
            elif key == b"domain":
                domain = content.lower().removeprefix(b".")
            elif key in {b"max-age", b"expires"}:
                # The mark lives as long as its cookie, and goes when the portal removes it.
                lifetime += b"; " + attribute.strip(b" \t")
        if not path.startswith(b"/"):
            path = _folder(request_path).encode()
        place = b"\n".join((name, domain, path))
        where = hashlib.sha256(place).digest()[:9]
        if len(place) > _LONGEST_PLACE:
            place = b""
        elif self._carries_values and len(value) <= _LONGEST_CARRIED:
            place += b"\n" + value
        return b"Set-Cookie: %s%s=%s%s.%s; %s%s\r\n" % (
            _MARK,
            _encoded(where),
            self._mac(owner, name, value),
            _name_of(owner),
            _encoded(place),
            _OF_MARK.encode(),
            lifetime,
        )

    # A sign-out, and the next sign-in.

    def left_by_others(self, cookies: bytes, owner: bytes) -> list[str]:
        """The Set-Cookie values that remove what other people have left in a browser, for the moment when
        this owner signs in: the portal's scripts could still read it."""
        marks: list[bytes] = []
        own, own_proxy_mark = _name_of(owner), self.proxy_mark(owner) + b"."
        for pair in cookies.split(b";"):
            name, _, value = pair.strip(b" \t").partition(b"=")
            if name.startswith(_MARK):
                is_own = value[_MAC_SIZE : _MAC_SIZE + _OWNER_SIZE] == own
            else:
                is_own = not name.startswith(_PROXY_MARK) or value.startswith(own_proxy_mark)
            if not is_own:
                marks.append(pair)
        return self._removing(b";".join(marks), set())

    def marked(self, cookies: bytes) -> list[MarkedCookie]:
        """What the marks in a Cookie value say of listed cookies. A browser can say here what it likes: this
        is good for expiring cookies, and `belongs` tells more."""
        found: list[MarkedCookie] = []
        for pair in cookies.split(b";"):
            name, _, value = pair.strip(b" \t").partition(b"=")
            if name.startswith(_MARK):
                parts = _decoded(value[_MAC_SIZE + _OWNER_SIZE + 1 :]).split("\n")
                if (
                    len(parts) in {3, 4}
                    and _NAME.fullmatch(parts[0])
                    and _DOMAIN.fullmatch(parts[1])
                    and _PATH.fullmatch(parts[2])
                    and self.lists(parts[0].encode())
                ):
                    carried = parts[3] if len(parts) == 4 and parts[3].isprintable() else None
                    mac = value[:_MAC_SIZE].decode("ascii", "replace")
                    found.append(MarkedCookie(parts[0], parts[1], parts[2], carried, mac))
        return found[:_MOST_EXPIRED]

    def expired(self, cookies: bytes) -> list[str]:
        """The Set-Cookie values that remove the listed cookies and their marks from a browser which has sent
        these cookies. A cookie whose domain and path nobody has told us is removed at `/`."""
        return self._removing(cookies, {(name, "", "/") for name in self._listed})

    def _removing(self, cookies: bytes, places: set[tuple[str, str, str]]) -> list[str]:
        gone: list[str] = []
        for pair in cookies.split(b";"):
            raw = pair.partition(b"=")[0].strip(b" \t")
            if raw.startswith((_MARK, _PROXY_MARK)):
                mark = raw.decode("ascii", "replace")
                if _NAME.fullmatch(mark):
                    gone.append(f"{mark}=; Max-Age=0; {_OF_MARK}")
                raw = raw.removeprefix(_PROXY_MARK)
            name = raw.decode("ascii", "replace")
            if self.lists(raw) and _NAME.fullmatch(name):
                places.add((name, "", "/"))
        places.update((cookie.name, cookie.domain, cookie.path) for cookie in self.marked(cookies))
        secure = "; Secure" if self._is_secure else ""
        for name, domain, path in sorted(places):
            at = f"; Domain={domain}" if domain else ""
            gone.append(f"{name}=; Max-Age=0; Path={path}{at}{secure}; HttpOnly")
        return gone[: 2 * _MOST_EXPIRED]

    def sent_to(self, path: str, cookies: bytes, owner: bytes) -> str:
        """The Cookie value with which the portal is told at `path` that this owner has signed out: their
        listed cookies, of those that a sign-out page of ours gets and of those that marks carry."""
        pairs: dict[str, None] = {}
        for cookie in self.marked(cookies):
            if cookie.value is not None and _matches(path, cookie.path):
                mac = self._mac(owner, cookie.name.encode(), cookie.value.encode())
                if hmac.compare_digest(mac, cookie.mac.encode("ascii", "replace")):
                    pairs[f"{cookie.name}={cookie.value}"] = None
        for pair in self.kept(cookies, owner, marked_by_proxy=True).split(b";"):
            raw = pair.strip(b" \t")
            if raw.isascii() and self.lists(raw.partition(b"=")[0].strip(b" \t")):
                pairs[raw.decode("ascii")] = None
        return "; ".join(pairs)


def _name_of(owner: bytes) -> bytes:
    """Tells people apart in marks. It is too short to tell who they are."""
    return _encoded(_keyed(owner, b"", b"name", 6))


def _keyed(key: bytes, text: bytes, purpose: bytes, size: int = 16) -> bytes:
    """BLAKE2b as a MAC (RFC 7693 §2.9): every request with such a cookie needs one, and it takes a third of
    the time of HMAC."""
    return hashlib.blake2b(text, digest_size=size, key=key, person=purpose).digest()


def _folded(name: bytes) -> bytes:
    """The form in which all spellings of one cookie's name are equal: ASP.NET ignores case, PHP decodes
    escapes, passes over blanks in front (CVE-2020-7070), turns dots and other blanks into underscores, and
    takes `name[x]` for a part of `name`."""
    decoded = _ESCAPE.sub(lambda escape: bytes((int(escape[1], 16),)), name).strip(b" +\t")
    return _NO_WORD.sub(b"_", decoded.partition(b"\0")[0].partition(b"[")[0].lower())


def _folder(path: str) -> str:
    """RFC 6265 §5.1.4: the default path of a cookie."""
    return path[: path.rfind("/")] or "/"


def _matches(path: str, cookie_path: str) -> bool:
    """RFC 6265 §5.1.4: whether a cookie of that path is sent with a request for `path`."""
    return path == cookie_path or path.startswith(
        cookie_path if cookie_path.endswith("/") else cookie_path + "/"
    )


def _encoded(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def _decoded(text: bytes) -> str:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True).decode()
    except ValueError:
        return ""

"""A browser without a screen: cookies by host, path and prefix as browsers keep them, Fetch Metadata as they
send it, forms as they stand in the page. It follows no redirect by itself and remembers everything that it
sent and got."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import h11

_PATIENCE = 15.0
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
_HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    method: str
    action: str
    fields: dict[str, str]
    buttons: tuple[tuple[str, str], ...]
    inputs: tuple[str, ...]
    """Names of what a person fills in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer and what had been asked for it."""

    method: str
    url: str
    sent: tuple[tuple[str, str], ...]
    form: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name.lower()]

    def header(self, name: str) -> str:
        found = self.all(name)
        assert len(found) == 1, f"{name}: {found}"
        return found[0]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        return urljoin(self.url, self.header("location"))

    @property
    def is_redirect(self) -> bool:
        return self.status in {301, 302, 303, 307, 308}

    @property
    def heading(self) -> str:
        found = re.search(r"<h1>\s*(.*?)\s*</h1>", self.text, re.DOTALL)
        assert found, self.text
        return found[1]

    @property
    def forms(self) -> tuple[Form, ...]:
        return _read(self.text, self.url).forms

    @property
    def links(self) -> tuple[str, ...]:
        return _read(self.text, self.url).links


class _Reader(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self._open: dict[str, Any] | None = None
        self.links: tuple[str, ...] = ()
        self.forms: tuple[Form, ...] = ()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links += (urljoin(self._base, given["href"]),)
        elif tag == "form":
            action = urljoin(self._base, given.get("action", ""))
            self._open = {
                "method": given.get("method", "get").upper(),
                "action": action,
                "fields": {},
                "buttons": (),
                "inputs": (),
            }
        elif self._open is not None and "name" in given:
            self._handle_control(tag, given)

    def _handle_control(self, tag: str, given: dict[str, str]) -> None:
        assert self._open is not None
        if tag == "button":
            self._open["buttons"] += ((given["name"], given.get("value", "")),)
        elif tag == "input" and given.get("type") == "hidden":
            self._open["fields"][given["name"]] = given.get("value", "")
        elif tag == "input":
            self._open["inputs"] += (given["name"],)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._open is not None:
            self.forms += (Form(**self._open),)
            self._open = None


def _read(text: str, base: str) -> _Reader:
    reader = _Reader(base)
    reader.feed(text)
    return reader


class Cookies:
    """Cookies as a browser keeps them: by host and path, never by port (RFC 6265bis §5.5, §5.6)."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], str] = {}
        self._travel: set[str] = set()
        self.loses: Callable[[str], bool] = lambda _name: False
        """Names that this browser throws away when it is given them."""

    def take(self, url: str, set_cookie: str) -> None:
        pair, *attributes = [part.strip() for part in set_cookie.split(";")]
        name, _, value = pair.partition("=")
        said = {key.lower(): text for key, _, text in (attribute.partition("=") for attribute in attributes)}
        if name.startswith("__Host-") and (
            "secure" not in said or said.get("path") != "/" or "domain" in said
        ):
            return
        host, path = _host(url), said.get("path", "/")
        if said.get("max-age", "1") == "0" or self.loses(name):
            self._kept.pop((host, path, name), None)
        else:
            self._kept[host, path, name] = value
            (self._travel.add if said.get("samesite", "").lower() == "none" else self._travel.discard)(name)

    def of(self, url: str, *, from_another_site: bool = False) -> str:
        """The Cookie field. With a form of another site only cookies without SameSite travel."""
        host, path = _host(url), urlsplit(url).path or "/"
        return "; ".join(
            f"{name}={value}"
            for (at, below, name), value in self._kept.items()
            if at == host and _covers(below, path) and (name in self._travel or not from_another_site)
        )

    def get(self, url: str, name: str) -> str | None:
        return next(
            (value for (host, _, kept), value in self._kept.items() if (host, kept) == (_host(url), name)),
            None,
        )

    def put(self, url: str, name: str, value: str | None) -> None:
        """Plants a cookie, or with None forgets it."""
        if value is None:
            self._kept = {
                key: kept for key, kept in self._kept.items() if (key[0], key[2]) != (_host(url), name)
            }
        else:
            self._kept[_host(url), "/", name] = value


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _covers(below: str, path: str) -> bool:
    return path == below or path.startswith(below if below.endswith("/") else below + "/")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Browser:
    """One browser. `history` is everything it asked and got."""

    def __init__(
        self,
        *,
        language: str = "sl",
        user_agent: str = CHROME,
        tls: ssl.SSLContext | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        """`tls` is for `https:`, and has the certificate that its person shows; after `patience` seconds
        without an answer it gives up."""
        self._patience = patience
        self.tls = tls
        self.cookies = Cookies()
        self.history: list[Answer] = []
        self._always = {"User-Agent": user_agent, "Accept-Language": language}

    async def navigate(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        site: str = "none",
        port: int | None = None,
    ) -> Answer:
        """As if typed into the address bar, or for another `site` clicked in a page. Where a refused sign-in
        is told at an address of its own, the answer is the one from there."""
        navigation = {
            "Accept": _HTML,
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Site": site,
            "Sec-Fetch-User": "?1",
        }
        answer = await self.request("GET", url, headers=navigation | dict(headers or {}), port=port)
        return (
            await self.follow(answer)
            if answer.is_redirect and "/.authproxy/login/refused?" in answer.location
            else answer
        )

    async def follow(self, answer: Answer) -> Answer:
        """The next request of a redirect. A browser's Origin and site of a chain are those of its start,
        which nobody here looks at."""
        return await self.navigate(
            answer.location,
            site="same-origin" if _origin(answer.location) == _origin(answer.url) else "cross-site",
        )

    async def submit(
        self,
        page: Answer,
        form: Form,
        extra: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends a form of the page. Our pages ask for `no-referrer`, which makes the browser say `Origin:
        null` even to ourselves."""
        same = _origin(form.action) == _origin(page.url)
        said = {
            "Accept": _HTML,
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Site": "same-origin" if same else "cross-site",
            "Origin": "null" if "no-referrer" in page.all("referrer-policy") else _origin(page.url),
        }
        return await self.post(
            form.action,
            form.fields | dict(extra or {}),
            headers=said | dict(headers or {}),
            crosses_sites=not same,
        )

    async def post(
        self,
        url: str,
        fields: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        crosses_sites: bool = False,
    ) -> Answer:
        content = {"Content-Type": "application/x-www-form-urlencoded"} | dict(headers or {})
        return await self.request(
            "POST", url, headers=content, body=urlencode(fields).encode(), crosses_sites=crosses_sites
        )

    async def fetch(
        self,
        url: str,
        *,
        mode: str = "cors",
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """As a script of the page asks."""
        said = {
            "Accept": accept,
            "Sec-Fetch-Mode": mode,
            "Sec-Fetch-Dest": "empty",
            "Sec-Fetch-Site": "same-origin",
        }
        return await self.request("GET", url, headers=said | dict(headers or {}))

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        body: bytes = b"",
        crosses_sites: bool = False,
        port: int | None = None,
    ) -> Answer:
        """One request on a connection of its own. `port` asks another listener for the same URL."""
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
        names = {name.lower() for name, _ in given}
        fields = [
            ("Host", urlsplit(url).netloc),
            *((name, value) for name, value in self._always.items() if name.lower() not in names),
            *given,
        ]
        cookies = self.cookies.of(url, from_another_site=crosses_sites)
        if cookies and "cookie" not in names:
            fields.append(("Cookie", cookies))
        if body or method == "POST":
            fields.append(("Content-Length", str(len(body))))
        async with asyncio.timeout(self._patience):
            # An upgrade says what it wants of the connection; everything else has one for itself.
            ending = [] if "upgrade" in names else [("Connection", "close")]
            status, answered, content = await exchange(
                method, url, [*fields, *ending], body, port=port, tls=self.tls
            )
        answer = Answer(
            method=method,
            url=url,
            sent=tuple(fields),
            form=body.decode("latin-1"),
            status=status,
            headers=answered,
            body=content,
        )
        self.history.append(answer)
        for value in answer.all("set-cookie"):
            self.cookies.take(url, value)
        return answer


async def exchange(
    method: str,
    url: str,
    fields: list[tuple[str, str]],
    body: bytes = b"",
    *,
    port: int | None = None,
    tls: ssl.SSLContext | None = None,
) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """One request and its answer, header for header. Every name under `.localhost` is this machine."""
    parts = urlsplit(url)
    assert (parts.hostname or "").endswith("localhost") or parts.hostname == "127.0.0.1", (
        "tests ask nobody but this machine"
    )
    wrapped = {"ssl": tls, "server_hostname": parts.hostname} if parts.scheme == "https" else {}
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port or parts.port or (443 if parts.scheme == "https" else 80), **wrapped
    )
    try:
        connection = h11.Connection(h11.CLIENT)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(connection.send(h11.Request(method=method, target=target, headers=fields)) or b"")
        if body:
            writer.write(connection.send(h11.Data(body)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        return await _answered(connection, reader)
    finally:
        writer.close()


async def _answered(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    response: h11.Response | None = None
    content = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            content += event.data
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            assert response is not None, "the connection ended without an answer"
            headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers
            )
            return response.status_code, headers, bytes(content)

"""A scripted person who signs in with the sandbox's provider. It keeps cookies by host and fills in the forms
of the pages."""

from __future__ import annotations

import json
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

_PATIENCE = 120.0
"""A gateway whose instructions are counted is fifty times as slow."""


class Answer(NamedTuple):
    url: str
    status: int
    location: str | None
    text: str


@dataclass
class _Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    offered: list[tuple[str, str]] = field(default_factory=list)
    """Names and values of the form's buttons, and names of its input fields."""


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(_Form(given.get("action", "")))
        elif tag in {"input", "button"} and self.found and "name" in given:
            if given.get("type") == "hidden":
                self.found[-1].fields[given["name"]] = given.get("value", "")
            else:
                self.found[-1].offered.append((given["name"], given.get("value", "")))


class Person:
    """`phone` is the address of the OnePass phone's interface. One sign-in at the provider serves every
    relying party. `way` is the button that is pressed on the chooser. `tls` has the certificate that is shown
    at the certificate host."""

    def __init__(
        self, email: str, password: str, *, phone: str, way: str = "rekono", tls: ssl.SSLContext | None = None
    ) -> None:
        self._email = email
        self._password = password
        self._phone = phone
        self._way = way
        self._tls = tls
        self._cookies: dict[str, dict[str, str]] = defaultdict(dict)

    def cookies(self, url: str) -> str:
        """The Cookie header that the person's browser would send to `url`."""
        return "; ".join(
            f"{name}={value}" for name, value in self._cookies[urlsplit(url).hostname or ""].items()
        )

    def signs_out(self, origin: str) -> None:
        """Ends the session at the portal, and drops the cookie that remembers the sign-out: with it the
        gateway would ask the provider for a new sign-in with a code, and the provider accepts each code
        once."""
        self.ask(f"{origin}/.authproxy/logout", {})
        self._cookies[urlsplit(origin).hostname or ""].pop("__Host-authproxy-left", None)

    def forgets(self, origin: str) -> None:
        """Drops all cookies of the portal, as in a new browser."""
        self._cookies.pop(urlsplit(origin).hostname or "", None)

    def signs_in(self, url: str) -> Answer:
        """Opens `url` and fills in every form on the way until the portal answers. Raises RuntimeError if
        that fails."""
        *_, answer = self.steps(url)
        if answer.url != url or answer.status != 200:
            raise RuntimeError(f"the sign-in ended at {answer.url.partition('?')[0]} with {answer.status}")
        return answer

    def steps(self, url: str) -> Iterator[Answer]:
        """The answers of a sign-in that begins at `url`, up to the first page without a form."""
        step: Answer | None = self.ask(url)
        for _ in range(40):
            if step is None:
                return
            yield step
            step = self._step(step) if step.location is None else self.ask(urljoin(step.url, step.location))

    def ask(self, url: str, fields: Mapping[str, str] | None = None) -> Answer:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # Every name under `.localhost` is this machine, whatever its resolver says.
        connection = (
            HTTPSConnection("127.0.0.1", parts.port or 443, timeout=_PATIENCE, context=self._tls)
            if parts.scheme == "https"
            else HTTPConnection("127.0.0.1", parts.port or 80, timeout=_PATIENCE)
        )
        try:
            headers = {
                "Host": parts.netloc,
                "Accept": "text/html",
                "Sec-Fetch-Mode": "navigate",
                "Cookie": self.cookies(url),
            }
            body = None
            if fields is not None:
                body = urlencode(fields)
                headers |= {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Sec-Fetch-Site": "same-origin",
                }
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET" if body is None else "POST", target, body, headers)
            answer = connection.getresponse()
            for value in answer.headers.get_all("Set-Cookie") or ():
                self._keep(host, value)
            return Answer(
                url, answer.status, answer.headers.get("Location"), answer.read().decode("utf-8", "replace")
            )
        finally:
            connection.close()

    def _keep(self, host: str, set_cookie: str) -> None:
        pair, *attributes = (part.strip() for part in set_cookie.split(";"))
        name, _, value = pair.partition("=")
        if not value or "max-age=0" in (attribute.lower() for attribute in attributes):
            self._cookies[host].pop(name, None)
        else:
            self._cookies[host][name] = value

    def _step(self, page: Answer) -> Answer | None:
        forms = _Forms()
        forms.feed(page.text)
        for form in forms.found:
            typed = self._typed(form.offered)
            if typed is not None:
                return self.ask(urljoin(page.url, form.action), form.fields | typed)
        return None

    def _typed(self, offered: list[tuple[str, str]]) -> dict[str, str] | None:
        names = {name for name, _ in offered}
        if ("method", self._way) in offered:
            return {"method": self._way}
        if "password" in names:
            return {"username": self._email, "password": self._password}
        if ("mode", "otplogin") in offered:
            return {"mode": "otplogin"}
        if "code" in names:
            return {"code": json.loads(self.ask(f"{self._phone}/api/codes?email={self._email}").text)["code"]}
        if "user_oauth_approval" in names:
            return {"user_oauth_approval": "true"}
        return None

"""PURE: subject, readable text and names of attachments of a mail (RFC 5322, RFC 2045 to 2047).

Mail programs differ widely, so the reader is tolerant: it refuses only what is no mail at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from html.parser import HTMLParser

_LONGEST_TEXT = 20_000
_LONGEST_SUBJECT = 500
_MOST_ATTACHMENTS = 20
_BLANKS = re.compile(r"\s+")
_LINE_ENDS = re.compile(r" *\n\s*")


class NotALetter(ValueError):  # noqa: N818
    """The bytes are no mail. The text says why and repeats none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedLetter:
    subject: str
    text: str
    """The readable text; of a mail that has only HTML, its words. At most 20,000 characters."""
    attachments: tuple[str, ...]


def letter(content: bytes) -> ReceivedLetter:
    """Raises NotALetter."""
    if b"\0" in content:
        raise NotALetter("a NUL byte")
    message = message_from_bytes(content, policy=policy.default)
    if not message.keys():
        raise NotALetter("no header")
    return ReceivedLetter(subject=_subject(message), text=_words(message), attachments=_attachments(message))


def _subject(message: EmailMessage) -> str:
    return " ".join(str(message.get("subject", "")).split())[:_LONGEST_SUBJECT]


def _words(message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    text = _decoded(body)
    if body.get_content_type() == "text/html":
        text = _without_markup(text)
    return text.replace("\r\n", "\n").strip()[:_LONGEST_TEXT]


def _decoded(part: MIMEPart) -> str:
    """The text of a part. An unknown character set is read as UTF-8, and bytes that are not become
    replacement characters."""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, UnicodeError):  # Python also knows the names "idna" and "undefined"
        return content.decode("utf-8", "replace")


def _attachments(message: EmailMessage) -> tuple[str, ...]:
    names = [
        part.get_filename() or part.get_content_type()
        for part in message.walk()
        if part.get_content_disposition() == "attachment"
    ]
    return tuple(" ".join(name.split())[:200] for name in names[:_MOST_ATTACHMENTS])


class _Words(HTMLParser):
    """The visible text of HTML, one line for each block. Style, script and title are left out."""

    _BLOCKS = frozenset(
        {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "blockquote"}
    )
    _HIDDEN = frozenset({"style", "script", "title", "head"})

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._hidden += tag in self._HIDDEN
        if tag in self._BLOCKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in self._HIDDEN))
        if tag in self._BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(_BLANKS.sub(" ", data))


def _without_markup(html: str) -> str:
    reader = _Words()
    reader.feed(html)
    reader.close()
    return _LINE_ENDS.sub("\n", "".join(reader.words))

"""Letters to a real mail server: the sandbox's own, and one with TLS and a password; and what a broken one
does."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import socket
import ssl
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from authproxy.access.unavailable import CannotAsk
from authproxy.challenges.message import Letter
from authproxy.delivery.smtp import MailServer, SmtpSender, is_mailbox
from authproxy.sandbox.outbox.application import application
from authproxy.sandbox.serving import bound, port_of, serving

NOW = datetime(2026, 11, 29, 15, 0, tzinfo=UTC)
LETTER = Letter(
    recipient="ana@example.si",
    subject="Portal: sprememba vašega načina potrjevanja",
    text="Če tega niste storili vi …\n",
    reference="notice-r1",
)


@contextlib.contextmanager
def sender(port, *, tls="none", context=None, timeout=5.0, **more):
    made = SmtpSender(
        MailServer(
            host="localhost",
            port=port,
            tls=tls,
            context=context,
            sender="prehod@bankart.example",
            timeout=timedelta(seconds=timeout),
            **more,
        ),
        clock=lambda: NOW,
    )
    with contextlib.closing(made):
        yield made


class Box:
    def __init__(self):
        self.letters, self.was_encrypted, self.named = [], [], []

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802
        self.letters.append(
            (envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default))
        )
        self.was_encrypted.append(session.ssl is not None)
        return "250 OK"

    def authenticates(self, _server, _session, _envelope, _mechanism, given):
        self.named.append((given.login, given.password))
        return AuthResult(success=given.password == b"a-password")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@contextlib.asynccontextmanager
async def mail_server(authority, box):
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def visitor():
        return SMTP(
            box,
            loop=loop,
            authenticator=box.authenticates,
            auth_require_tls=True,
            auth_required=True,
            tls_context=context,
            require_starttls=True,
        )

    listener = socket.create_server(("127.0.0.1", 0))
    server = await loop.create_server(visitor, sock=listener)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_letter_reaches_the_sandbox_s_outbox():
    listener, smtp = bound(), bound()
    url = f"http://localhost:{port_of(listener)}"
    async with (
        serving(application(clock=lambda: NOW, smtp=smtp), listener),
        aiohttp.ClientSession(url) as http,
    ):
        with sender(port_of(smtp)) as mail:
            await mail.send(LETTER)
            assert (mail.health.sent, mail.health.failures) == (1, 0)
        async with http.get("/api/messages", params={"to": "ana@example.si"}) as response:
            [found] = await response.json()
    assert (found["subject"], found["text"].strip()) == (LETTER.subject, LETTER.text.strip())


async def test_a_letter_travels_encrypted_and_after_the_password(authority):
    box = Box()
    named = {"tls": "starttls", "user": "prehod", "password": "a-password"}
    async with mail_server(authority, box) as port:
        with sender(port, context=trusting(authority), **named) as mail:
            await mail.send(LETTER)
        [(recipients, letter)] = box.letters
        assert (recipients, box.was_encrypted, box.named) == (
            ["ana@example.si"],
            [True],
            [(b"prehod", b"a-password")],
        )
        assert (letter["From"], letter["To"], letter["Auto-Submitted"]) == (
            "prehod@bankart.example",
            "ana@example.si",
            "auto-generated",
        )
        assert letter["Message-ID"] == "<notice-r1@bankart.example>"
        assert letter.get_content().strip() == LETTER.text.strip()
        # A server that is not trusted gets neither the password nor a letter.
        with (
            sender(port, context=ssl.create_default_context(), **named) as mail,
            pytest.raises(CannotAsk, match="SSLCertVerificationError"),
        ):
            await mail.send(LETTER)
        assert len(box.letters) == 1


@pytest.mark.parametrize(
    ("tls", "error"), [("starttls", "SMTPNotSupportedError"), ("implicit", "could not be used")]
)
async def test_a_server_without_tls_gets_no_letter(tls, error):
    listener, smtp = bound(), bound()
    async with serving(application(clock=lambda: NOW, smtp=smtp), listener):
        with (
            sender(port_of(smtp), tls=tls, context=ssl.create_default_context(), timeout=1) as mail,
            pytest.raises(CannotAsk, match=error),
        ):
            await mail.send(LETTER)


async def test_a_silent_server_is_not_waited_for_and_a_mailbox_that_is_refused_says_nothing_about_the_server():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        sender(silent.getsockname()[1], timeout=0.05) as mail,
    ):
        with pytest.raises(CannotAsk, match=r"had no answer in time|could not be used"):
            await mail.send(LETTER)
        assert (mail.health.failures, mail.health.failed) == (1, 1)
    listener, smtp = bound(), bound()
    url = f"http://localhost:{port_of(listener)}"
    async with (
        serving(application(clock=lambda: NOW, smtp=smtp), listener),
        aiohttp.ClientSession(url) as http,
    ):
        with sender(port_of(smtp)) as mail:
            await http.post("/api/break", json={"service": "mail", "how": "reject"})
            await mail.send(LETTER)
            assert (mail.health.failures, mail.health.failed) == (0, 1)
            await http.post("/api/break", json={"service": "mail", "how": "busy"})
            with pytest.raises(CannotAsk, match="SMTPDataError"):
                await mail.send(LETTER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "ana@",
        "@example.si",
        "ana@example.si, bor@example.si",
        "ana@example.si\r\nBcc: bor@example.si",
        "Ana <ana@example.si>",
        "a b@c.si",
        '"ana"@example.si',
        "ana@[127.0.0.1]",
        "ana@bor@example.si",
        "ana@example.si\x00",
    ],
)
async def test_what_is_no_mailbox_gets_no_letter(text):
    assert not is_mailbox(text)
    with sender(1) as mail:  # nobody listens there, and nobody is asked
        await mail.send(Letter(recipient=text, subject="s", text="t", reference="r"))
        assert (mail.health.sent, mail.health.failures) == (0, 0)


def test_mailboxes_as_people_have_them_are_mailboxes():
    assert all(map(is_mailbox, ("ana@example.si", "ana.novak+acq@pošta.example", "o'neill@example.com")))

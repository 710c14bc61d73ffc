"""The outbox as senders know it: a mail server and a commercial SMS gateway; and as people and scripts read
it."""

from __future__ import annotations

import asyncio
import base64
import smtplib
from email.message import EmailMessage
from types import SimpleNamespace

import aiohttp
import pytest
import pytest_asyncio

from authproxy.sandbox.outbox.application import application
from authproxy.sandbox.outbox.post_office import LARGEST_LETTER
from authproxy.sandbox.serving import bound, port_of, serving
from tests.support.browser import Visitor
from tests.support.clock import Clock
from tests.support.sandbox import RunningSandbox
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
KEY = {"X-API-Key": "peskovnik-sms-2026"}
SMS = {"sender": "Bankart", "recipient": "+38640123456", "text": "Vaše enkratno geslo je 123456."}


def basic(user, password):
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest_asyncio.fixture(loop_scope="session")
async def outbox():
    listener, smtp = bound(), bound()
    url = f"http://localhost:{port_of(listener)}"
    made = application(clock=Clock(), smtp=smtp)
    async with serving(made, listener), aiohttp.ClientSession(url) as http:
        yield SimpleNamespace(http=http, url=url, smtp_port=port_of(smtp))


async def listed(outbox, **query):
    async with outbox.http.get("/api/messages", params=query) as response:
        return await response.json()


async def broken(outbox, **fault):
    async with outbox.http.post("/api/break", json=fault) as response:
        assert response.status == 200, await response.text()


def letter(subject="Potrditvena koda", text="Vaša koda je 482915.\n"):
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = (
        "Rekono <rekono@example.si>",
        "Ana Novak <ana@example.si>",
        subject,
    )
    made.set_content(text)
    return made


async def mailed(outbox, made, *, sender="rekono@example.si", to=("ana@example.si",), options=()):
    """Sends as a program does; what was refused, by recipient. SMTP errors are raised."""

    def send():
        with smtplib.SMTP("127.0.0.1", outbox.smtp_port, timeout=10) as connection:
            content = made.as_bytes() if isinstance(made, EmailMessage) else made
            return connection.sendmail(sender, list(to), content, mail_options=options)

    return await asyncio.to_thread(send)


async def said(outbox, *commands):
    """Codes that the server answers to bare commands."""

    def talk():
        with smtplib.SMTP("127.0.0.1", outbox.smtp_port, timeout=10) as connection:
            connection.ehlo()
            return [connection.docmd(command)[0] for command in commands]

    return await asyncio.to_thread(talk)


# SMTP


async def test_a_letter_arrives_for_everybody_it_was_sent_to_and_is_decoded(outbox):
    made = letter("Koda za Živo Žnidaršič", "čšž: vaša koda je 482915.\n")
    made.add_alternative("<p>HTML</p>", subtype="html")
    made.add_attachment(b"x", maintype="application", subtype="pdf", filename="račun.pdf")
    assert await mailed(outbox, made, to=("ana@example.si", "skrita.kopija@example.si")) == {}
    messages = await listed(outbox)
    assert [message["to"] for message in messages] == ["skrita.kopija@example.si", "ana@example.si"]
    assert {message["subject"] for message in messages} == {"Koda za Živo Žnidaršič"}
    [mine] = await listed(outbox, to="Ana@example.si")
    assert (mine["kind"], mine["from"], mine["text"], mine["attachments"]) == (
        "mail",
        "rekono@example.si",
        "čšž: vaša koda je 482915.",
        ["račun.pdf"],
    )


async def test_addresses_beyond_ascii_and_bounces_are_taken(outbox):
    await mailed(outbox, letter(), to=("živa@primer.si",), options=("SMTPUTF8", "BODY=8BITMIME"))
    await mailed(outbox, letter(), sender="")
    assert [(message["to"], message["from"]) for message in await listed(outbox)] == [
        ("ana@example.si", "<>"),
        ("živa@primer.si", "rekono@example.si"),
    ]


async def test_a_letter_that_is_too_large_is_refused_before_and_after_it_was_sent(outbox):
    large = letter(text="vrstica\n" * (LARGEST_LETTER // 8))
    with pytest.raises(smtplib.SMTPSenderRefused) as told:  # smtplib states the size beforehand
        await mailed(outbox, large)
    assert told.value.smtp_code == 552

    def unannounced():
        with smtplib.SMTP("127.0.0.1", outbox.smtp_port, timeout=10) as connection:
            connection.helo()
            connection.mail("a@example.si")
            connection.rcpt("ana@example.si")
            return connection.data(large.as_bytes().replace(b"\n", b"\r\n"))[0]

    assert await asyncio.to_thread(unannounced) == 552
    assert await listed(outbox) == []


@pytest.mark.parametrize("content", [b"\r\n", b"no header at all\r\n", b"Subject: x\r\n\r\na\0b\r\n"])
async def test_what_is_no_letter_is_refused_for_good(outbox, content):
    with pytest.raises(smtplib.SMTPDataError) as told:
        await mailed(outbox, content)
    assert told.value.smtp_code == 554
    assert await listed(outbox) == []


async def test_bad_commands_and_addresses_are_answered_and_the_server_goes_on(outbox):
    mail = "MAIL FROM:<a@example.si>"
    assert await said(outbox, "NONSENSE", "RCPT TO:<ana@example.si>", "DATA", "MAIL FROM:<<<") == [
        500,
        503,
        503,
        553,
    ]
    assert await said(outbox, mail, "RCPT TO:<nobody>", "RCPT TO:ana", "X" * 5000) == [250, 553, 553, 500]
    codes = await said(outbox, mail, *(f"RCPT TO:<a{number}@example.si>" for number in range(51)))
    assert (codes[-2], codes[-1]) == (250, 452)
    await mailed(outbox, letter())
    assert len(await listed(outbox)) == 1


@pytest.mark.parametrize(("how", "code"), [("error", 554), ("busy", 451)])
async def test_a_mail_server_that_is_broken_says_how(outbox, how, code):
    await broken(outbox, service="mail", how=how)
    with pytest.raises(smtplib.SMTPDataError) as told:
        await mailed(outbox, letter())
    assert told.value.smtp_code == code
    assert await listed(outbox) == []
    async with outbox.http.delete("/api/break") as response:
        assert response.status == 204
    await mailed(outbox, letter())
    assert len(await listed(outbox)) == 1


async def test_one_mailbox_may_be_refused_and_another_lose_its_mail(outbox):
    await broken(outbox, service="mail", how="reject", to="bor@example.si")
    assert {
        address: code
        for address, (code, _) in (
            await mailed(outbox, letter(), to=("ana@example.si", "bor@example.si"))
        ).items()
    } == {"bor@example.si": 550}
    await broken(outbox, service="mail", how="lose", to="ana@example.si")
    assert await mailed(outbox, letter("izgubljeno"), to=("ana@example.si", "bor@example.si")) == {}
    assert [(message["to"], message["subject"]) for message in await listed(outbox)] == [
        ("bor@example.si", "izgubljeno"),
        ("ana@example.si", "Potrditvena koda"),
    ]


async def test_the_end_of_the_outbox_closes_its_mail_connections():
    listener, smtp = bound(), bound()
    async with serving(application(clock=Clock(), smtp=smtp), listener):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(smtp))
        assert (await reader.readline()).startswith(b"220 ")
        port = port_of(smtp)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


# SMS gateway


async def sent(outbox, body=SMS, *, headers=KEY, **how):
    async with outbox.http.post("/sms/send", headers=headers, **(how or {"json": body})) as response:
        return response.status, await response.json(), response.headers


async def status(outbox, identifier, *, headers=KEY):
    async with outbox.http.get(f"/sms/status/{identifier}", headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    "how",
    [
        {"json": SMS},
        {"data": SMS},
        {"json": SMS, "headers": {"Authorization": basic("prehod", "Sandbox-2026!")}},
    ],
    ids=["JSON", "a form", "basic authentication"],
)
async def test_a_text_message_is_taken_and_its_delivery_can_be_asked_for(outbox, how):
    code, answer, _ = await sent(outbox, **({"headers": KEY} | how))
    assert (code, answer["status"], answer["segments"]) == (202, "accepted", 1)
    [message] = await listed(outbox, to="+38640123456")
    assert (message["id"], message["kind"], message["from"], message["text"]) == (
        answer["message_id"],
        "sms",
        "Bankart",
        SMS["text"],
    )
    code, told = await status(outbox, answer["message_id"])
    assert (code, told["status"], told["recipient"], told["at"]) == (
        200,
        "delivered",
        "+38640123456",
        message["at"],
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"X-API-Key": "č"},
        {"Authorization": basic("prehod", "wrong")},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !"},
    ],
    ids=["none", "a wrong key", "a key beyond ASCII", "a wrong password", "another scheme", "no base64"],
)
async def test_without_good_credentials_nothing_is_sent_or_told(outbox, headers):
    _, good, _ = await sent(outbox)
    code, answer, said_with = await sent(outbox, headers=headers)
    assert (code, answer) == (401, {"error": "unauthorized"})
    assert said_with["WWW-Authenticate"].startswith("Basic ")
    assert (await status(outbox, good["message_id"], headers=headers))[0] == 401
    assert len(await listed(outbox)) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"recipient": "040123456"}, "invalid_recipient"),
        ({"recipient": None}, "invalid_recipient"),
        ({"sender": ""}, "invalid_sender"),
        ({"sender": "x" * 16}, "invalid_sender"),
        ({"sender": "a\nb"}, "invalid_sender"),
        ({"text": ""}, "invalid_text"),
        ({"text": 5}, "invalid_text"),
        ({"text": "č" * 671}, "text_too_long"),
    ],
)
async def test_a_message_with_a_fault_is_refused_with_its_name(outbox, change, error):
    code, answer, _ = await sent(outbox, SMS | change)
    assert (code, answer) == (400, {"error": error})
    assert await listed(outbox) == []


async def test_other_bodies_and_unknown_messages_are_errors_that_programs_can_read(outbox):
    assert (await sent(outbox, data="x", headers=KEY | {"Content-Type": "text/plain"}))[:2] == (
        415,
        {"error": "Unsupported Media Type"},
    )
    assert (await sent(outbox, data="{", headers=KEY | {"Content-Type": "application/json"}))[0] == 400
    assert await status(outbox, "0123456789abcdef") == (404, {"error": "unknown_message"})
    async with outbox.http.get("/sms/nothing") as response:
        assert (response.status, await response.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize(
    ("how", "code", "error"),
    [
        ("error", 500, "internal_error"),
        ("busy", 429, "too_many_requests"),
        ("reject", 422, "recipient_rejected"),
    ],
)
async def test_a_gateway_that_is_broken_says_how_and_for_whom(outbox, how, code, error):
    await broken(outbox, service="sms", how=how, to="+38640123456")
    answered, answer, headers = await sent(outbox)
    assert (answered, answer) == (code, {"error": error})
    assert ("Retry-After" in headers) == (how == "busy")
    assert (await sent(outbox, SMS | {"recipient": "+38640123457"}))[0] == 202
    assert [message["to"] for message in await listed(outbox)] == ["+38640123457"]


async def test_a_message_that_gets_lost_stays_accepted(outbox):
    await broken(outbox, service="sms", how="lose")
    code, answer, _ = await sent(outbox)
    assert (code, answer["status"]) == (202, "accepted")
    assert (await status(outbox, answer["message_id"]))[1]["status"] == "accepted"
    assert await listed(outbox) == []


async def test_a_slow_gateway_answers_when_it_is_mended(outbox):
    await broken(outbox, service="sms", how="slow", seconds=600)
    async with asyncio.timeout(10), asyncio.TaskGroup() as waiting:
        answer = waiting.create_task(sent(outbox))
        async with outbox.http.get("/api/break") as response:
            assert await response.json() == [{"service": "sms", "how": "slow", "to": None, "seconds": 600}]
        assert not answer.done()
        async with outbox.http.delete("/api/break") as response:
            assert response.status == 204
    assert answer.result()[0] == 202


async def test_what_cannot_be_broken_is_refused_with_the_member_that_is_wrong(outbox):
    async with outbox.http.post("/api/break", json={"service": "sms", "how": "burn"}) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid", "member": "how"})


# For people


async def test_a_message_has_a_page_of_its_own_that_escapes_it(outbox):
    await mailed(outbox, letter("<b>Zadeva</b>", "<script>alert(1)</script> 482915\n"))
    [message] = await listed(outbox)
    async with outbox.http.get(f"/messages/{message['id']}", headers={"Accept-Language": "en"}) as response:
        page = await response.text()
    assert "<b>Zadeva" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<code>482915</code>" in page
    async with outbox.http.get("/messages/none") as response:
        assert response.status == 404


async def test_the_outbox_can_be_emptied_by_its_own_page_only(outbox):
    await sent(outbox)
    async with outbox.http.post("/clear", headers={"Sec-Fetch-Site": "same-site"}) as response:
        assert response.status == 403
    assert len(await listed(outbox)) == 1
    async with outbox.http.post(
        "/clear", headers={"Sec-Fetch-Site": "same-origin", "Accept-Language": "sl"}
    ) as response:
        assert "Odložišče je prazno." in await response.text()
    assert await listed(outbox) == []


@pytest.mark.needs("chromium-headless-shell")
@pytest.mark.parametrize(
    ("locale", "news"), [("sl-SI", "Prispelo je novo sporočilo."), ("en-GB", "A new message has arrived.")]
)
async def test_new_messages_appear_by_themselves_and_a_code_is_copied_by_a_button(
    outbox, chromium, locale, news
):
    context = await chromium.new_context(locale=locale, permissions=["clipboard-read", "clipboard-write"])
    person = Visitor(await context.new_page(), RunningSandbox(0), "")
    page = person.page
    await page.goto(f"{outbox.url}/?cleared")
    assert await page.locator("li[id]").count() == 0
    await page.evaluate("navigator.clipboard.writeText('nothing yet')")  # all tests share the clipboard
    await sent(outbox)
    await page.locator("li[id]").wait_for()
    assert await page.locator("#news").inner_text() == news
    await page.locator(".code button").click()

    async def copied():
        return await page.evaluate("navigator.clipboard.readText()") == "123456"

    await until(copied)
    assert await person.barriers() == []
    await page.locator("li h2 a").click()
    await page.wait_for_url("**/messages/*")
    assert await person.barriers() == []
    assert (person.complaints, person.strangers) == ([], [])


@pytest.mark.needs("chromium-headless-shell")
async def test_without_javascript_the_list_has_its_link_and_its_codes(outbox, chromium):
    await sent(outbox)
    page = await (
        await chromium.new_context(
            java_script_enabled=False, locale="sl-SI", viewport={"width": 320, "height": 700}
        )
    ).new_page()
    await page.goto(outbox.url)
    assert await page.locator(".code code").inner_text() == "123456"
    assert await page.locator(".code button").count() == 0
    await mailed(outbox, letter())
    await page.get_by_text("Osveži seznam").click()
    assert await page.locator("li[id]").count() == 2

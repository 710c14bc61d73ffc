"""Adding and removing step-up methods on the session page."""

from __future__ import annotations

import json
import re

import pytest
import segno

from authproxy.access.decision import Reason
from tests.support.pages import FORM, PAGE, TICKET
from tests.support.step_up_script import CODE, RECOVERY_CODES, SECRET, URI

COOKIE = f"__Host-authproxy={TICKET}"
ORIGIN = "https://acq.example.si"
SESSION_PAGE = f"{ORIGIN}/.authproxy/session"
SLOVENE = {**PAGE, "Accept-Language": "sl"}


async def sent(
    house, path: str, body: str, *, cookies: str | None = COOKIE, headers=FORM
) -> tuple[int, str, str]:
    async with house.asked(
        "POST", f"/.authproxy/session/methods{path}", headers=headers, cookies=cookies, body=body
    ) as answer:
        assert "no-store" in answer.headers["Cache-Control"]
        return answer.status, answer.headers.get("Location", ""), await answer.text()


async def session_page(house, query: str = "", *, headers=PAGE) -> str:
    async with house.asked("GET", f"/.authproxy/session{query}", headers=headers, cookies=COOKIE) as answer:
        return await answer.text()


def events(house) -> list[tuple[str, str | None]]:
    return [(line["event"], line["method"]) for line in map(json.loads, house.audit_lines)]


def path_of(code: segno.QRCode) -> str:
    """The dark modules of a QR code as lines, computed from strings instead of runs."""
    rows = ["".join("#" if dark else "." for dark in row) for row in code.matrix_iter(border=4)]
    lines = [
        re.sub(r"\.+", lambda gap: f"m{len(gap[0])} 0", re.sub("#+", lambda run: f"h{len(run[0])}", row))
        for row in rows
    ]
    return "".join(f"M0 {y}.5{line}" for y, line in enumerate(lines) if "h" in line)


async def test_the_page_lists_every_method_and_a_button_of_its_own_name_for_each(house):
    house.enrolling.enrols("push", "Anin <telefon>")
    house.enrolling.enrols("totp", "")
    text = await session_page(house)

    assert "Push notification: Anin &lt;telefon&gt;" in text
    assert ">One-time password</b>" in text
    assert "2026-02-27 14:05</time>" in text
    assert "••• 456" in text
    assert 'href="/.authproxy/session/methods/remove?id=push-1"' in text
    assert 'aria-labelledby="remove-1 method-1"' in text


async def test_the_page_says_when_and_by_which_methods_the_person_gave_proofs(house):
    text = await session_page(house)
    assert re.search(r"<dt>Identity proven</dt>\s*<dd>Rekono account <small>\s*<time", text)


async def test_the_page_says_so_if_no_method_was_added(house):
    assert "You have not added any yet." in await session_page(house)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (1, "je še 1 koda"),
        (2, "sta še 2 kodi"),
        (4, "so še 4 kode"),
        (10, "je še 10 kod"),
        (0, "je še 0 kod"),
    ],
)
async def test_recovery_codes_that_are_left_are_counted_in_slovene(house, left, words):
    house.enrolling.enrols("recovery", "")
    house.enrolling.recovery_left = left
    assert f"Na voljo {words}." in await session_page(house, headers=SLOVENE)


async def test_an_application_is_added_with_a_picture_and_the_key_in_groups(house):
    status, _location, text = await sent(house, "", "method=totp&label=Moj+telefon")

    assert status == 200
    assert text.count('class="qr"') == 2
    assert re.search(r'<path id="dark" d="([^"]+)"/>', text)[1] == path_of(segno.make(URI, error="l"))
    assert re.findall(r"<span>(\w+)</span>", text)[:8] == re.findall("....", SECRET)
    assert 'href="otpauth://totp/' in text
    assert house.enrolling.labels == ["Moj telefon"]
    assert events(house) == []


async def test_the_first_code_ends_the_adding(house):
    status, location, _text = await sent(house, "/finish", f"name={'n' * 43}&code={CODE}")

    assert (status, location) == (303, f"{SESSION_PAGE}?said=method-added")
    assert events(house) == [("method.enrolled", "totp")]
    assert "The way to confirm has been added." in await session_page(house, "?said=method-added")


async def test_a_wrong_first_code_shows_the_key_once_more(house):
    status, _location, text = await sent(house, "/finish", f"name={'n' * 43}&code=1")

    assert status == 200
    assert text.count('role="alert"') == 2
    assert text.count("autofocus") == 1
    assert house.enrolling.enrolments == []
    assert events(house) == [("challenge.refused", "totp")]


async def test_a_phone_is_added_when_it_has_been_activated(house):
    _status, _location, text = await sent(house, "", "method=push&label=x")
    assert "AB12-CD34" in text
    assert "has not been added yet" not in text
    _status, _location, text = await sent(house, "/finish", f"name={'p' * 43}")
    assert "has not been added yet" in text
    house.enrolling.is_activated = True
    status, location, _text = await sent(house, "/finish", f"name={'p' * 43}")

    assert (status, location) == (303, f"{SESSION_PAGE}?said=method-added")
    assert events(house) == [("method.enrolled", "push")]


async def test_recovery_codes_are_shown_in_the_answer_and_nowhere_else(house):
    _status, _location, text = await sent(house, "", "method=recovery")

    assert re.findall(r"<li>(\w+-\w+)</li>", text) == [*RECOVERY_CODES, *RECOVERY_CODES]
    assert events(house) == [("method.enrolled", "recovery")]
    assert RECOVERY_CODES[0] not in await session_page(house) + "".join(house.audit_lines)


@pytest.mark.parametrize("method", ["totp", "push", "recovery"])
async def test_adding_asks_for_a_proof_by_another_method_and_comes_back(house, method):
    house.enrolling.has_proof = False
    status, location, _text = await sent(house, "", f"method={method}")
    assert (status, location) == (303, f"{ORIGIN}/.authproxy/step-up?rt=/.authproxy/session&for=%3A{method}")
    script = {"X-Requested-With": "XMLHttpRequest", "Origin": ORIGIN, "Accept": "application/json"}
    status, _location, text = await sent(house, "", f"method={method}", headers=script)
    assert (status, json.loads(text)["reason"]) == (401, "step_up_required")


@pytest.mark.parametrize(
    ("path", "reason", "said", "words"),
    [
        ("", None, "method-impossible", "not available at the moment"),
        ("/finish", Reason.CHALLENGE_OVER, "method-expired", "You can begin again"),
        ("/finish", Reason.STEP_UP_TOO_OFTEN, "method-too-many", "Remove one first"),
    ],
)
async def test_the_page_says_why_a_method_could_not_be_added(house, path, reason, said, words):
    house.enrolling.refusal = reason
    status, location, _text = await sent(house, path, "method=voice&name=x")

    assert (status, location) == (303, f"{SESSION_PAGE}?said={said}")
    assert words in await session_page(house, f"?said={said}")
    script = {"X-Requested-With": "XMLHttpRequest", "Origin": ORIGIN, "Accept": "application/json"}
    assert (await sent(house, path, "method=voice&name=x", headers=script))[0] in {403, 429}


async def test_a_method_is_removed_after_a_confirmation(house):
    house.enrolling.enrols("push", "Anin <telefon>")
    async with house.asked(
        "GET", "/.authproxy/session/methods/remove?id=push-1&lang=en", cookies=COOKIE
    ) as answer:
        text = await answer.text()
        assert (answer.status, "Push notification: Anin &lt;telefon&gt;" in text) == (200, True)
        assert "lang=sl&amp;id=push-1" in text or "id=push-1&amp;lang=sl" in text
    assert len(house.enrolling.enrolments) == 1
    status, location, _text = await sent(house, "/remove", "id=push-1")

    assert (status, location) == (303, f"{SESSION_PAGE}?said=method-removed")
    assert (house.enrolling.enrolments, events(house)) == ([], [("method.removed", "push")])


async def test_a_removal_asks_for_a_proof(house):
    house.enrolling.enrols("push")
    house.enrolling.has_proof = False
    _status, location, _text = await sent(house, "/remove", "id=push-1")
    assert location == f"{ORIGIN}/.authproxy/step-up?rt=/.authproxy/session&for=%3Aany"
    assert len(house.enrolling.enrolments) == 1


async def test_a_method_that_is_gone_already_is_said_to_be_gone(house):
    async with house.asked("GET", "/.authproxy/session/methods/remove?id=gone", cookies=COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, f"{SESSION_PAGE}?said=method-gone")
    assert (await sent(house, "/remove", "id=gone"))[1] == f"{SESSION_PAGE}?said=method-gone"
    assert "no longer there" in await session_page(house, "?said=method-gone")
    assert house.audit_lines == []


@pytest.mark.parametrize(
    ("path", "body"), [("", "method=totp"), ("/finish", "name=x&code=1"), ("/remove", "id=push-1")]
)
async def test_nobody_without_a_session_and_no_other_page_changes_a_method(house, path, body):
    house.enrolling.enrols("push")
    assert (await sent(house, path, body, cookies=None))[:2] == (
        303,
        f"{ORIGIN}/.authproxy/login?rt=/.authproxy/session",
    )
    assert (await sent(house, path, body, headers={**FORM, "Sec-Fetch-Site": "cross-site"}))[0] == 403
    async with house.asked("GET", "/.authproxy/session/methods/remove?id=push-1") as answer:
        assert answer.headers["Location"] == f"{ORIGIN}/.authproxy/login?rt=/.authproxy/session"
    assert len(house.enrolling.enrolments) == 1

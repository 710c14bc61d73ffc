from __future__ import annotations

import json
from dataclasses import replace

import pytest

from authproxy.access.decision import Reason
from authproxy.access.personal_cookies import PersonalCookies
from tests.support.pages import ELSEWHERE, FORM, PAGE, PROVIDER_LOGOUT, SESSION, TICKET, running_pages

TICKET_COOKIE = f"__Host-authproxy={TICKET}"


async def test_looking_at_the_sign_out_page_ends_nothing(house):
    async with house.asked("GET", "/.authproxy/logout", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert "Sign out?" in text
        assert "Ana &lt;Novak&gt;" in text
        assert "Set-Cookie" not in answer.headers
    assert house.flows.open_sessions


@pytest.mark.parametrize("kind", ["frame", "iframe"])
async def test_in_a_frame_of_the_portal_the_sign_out_page_only_leads_out_of_it(house, kind):
    async with house.asked(
        "GET", "/.authproxy/logout", headers={**PAGE, "Sec-Fetch-Dest": kind}, cookies=TICKET_COOKIE
    ) as answer:
        text = await answer.text()

        assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert 'href="https://acq.example.si/.authproxy/logout" target="_top"' in text
        assert "<form" not in text
        assert "Novak" not in text
    async with house.asked("GET", "/.authproxy/logout", headers=PAGE, cookies=TICKET_COOKIE) as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_whoever_is_not_signed_in_is_told_so(house):
    async with house.asked("GET", "/.authproxy/logout?state=from-the-provider") as answer:
        text = await answer.text()

        assert answer.status == 200
        assert "You have no session at Merchant portal." in text
        assert "from-the-provider" not in text


async def test_signing_out_ends_the_session_and_clears_the_browser(house):
    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body=""
    ) as answer:
        text = await answer.text()

        assert answer.status == 200
        assert "Your session at Merchant portal has ended." in text
        *removed, left = answer.headers.getall("Set-Cookie")
        assert [line.partition(";")[0] for line in removed] == ["__Host-authproxy=", "__Host-authproxy-flow="]
        assert all("Max-Age=0" in line for line in removed)
        assert left == "__Host-authproxy-left=hu-; Path=/; Secure; HttpOnly; SameSite=Lax"
        assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
        assert "<script" not in text
    assert house.flows.open_sessions == {}
    event = json.loads(house.audit_lines[0])
    assert (event["event"], event["by"]) == ("session.ended", "person")


async def test_signing_out_removes_the_portals_cookies_of_this_person_too():
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))
    mark = cookies.marks([(b"Set-Cookie", b"JSESSIONID=a; Path=/app")], cookies.owner(SESSION.person), "/")
    sent = f"{TICKET_COOKIE}; look=blue; {mark.decode().removeprefix('Set-Cookie: ').partition(';')[0]}"
    async with running_pages(personal_cookies={"acq": cookies}) as house:
        async with house.asked("POST", "/.authproxy/logout", headers=FORM, cookies=sent, body="") as answer:
            gone = [line for line in answer.headers.getall("Set-Cookie") if "Max-Age=0" in line]
            assert "JSESSIONID=; Max-Age=0; Path=/app; Secure; HttpOnly" in gone
            assert "JSESSIONID=; Max-Age=0; Path=/; Secure; HttpOnly" in gone
            assert any(line.startswith("__Host-authproxy-mark-") for line in gone)
            assert not any(line.startswith("look") for line in gone)
        assert house.flows.signed_out_with == sent
        async with house.asked(
            "POST",
            "/.authproxy/logout",
            headers={**FORM, "X-Authproxy-Portal": "b2b", "Origin": "http://b2b.example.si"},
            cookies=sent,
            body="",
        ) as answer:
            assert answer.status == 200
            assert not any("JSESSIONID" in line for line in answer.headers.getall("Set-Cookie"))


async def test_the_browser_goes_straight_on_to_the_provider_once_the_session_here_has_ended(house):
    house.flows.provider_logout = PROVIDER_LOGOUT

    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body=""
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, PROVIDER_LOGOUT.location)
        assert [line.partition(";")[0] for line in answer.headers.getall("Set-Cookie")] == [
            "__Host-authproxy=",
            "__Host-authproxy-flow=",
            "__Host-authproxy-left=ha-",
        ]
        assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert house.flows.open_sessions == {}


async def test_a_provider_that_wants_a_form_gets_one_that_works_without_a_script(house):
    house.flows.provider_logout = replace(
        PROVIDER_LOGOUT, by="post", fields={**PROVIDER_LOGOUT.fields, "id_token_hint": "e30.<i>.e30"}
    )

    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body=""
    ) as answer:
        text = await answer.text()

        assert '<form method="post" action="https://idp.example.si/endsession" data-continue>' in text
        assert "session.js" in text
        assert 'name="id_token_hint" value="e30.&lt;i&gt;.e30"' in text
        assert 'name="client_id" value="prehod"' in text
        assert "<button>Sign out of Rekono</button>" in text
        assert "form-action" not in answer.headers["Content-Security-Policy"]
        assert "Location" not in answer.headers


async def test_a_script_that_signs_somebody_out_is_not_sent_to_another_origin(house):
    house.flows.provider_logout = PROVIDER_LOGOUT
    script = {**FORM, "Sec-Fetch-Mode": "cors", "Accept": "*/*"}

    async with house.asked(
        "POST", "/.authproxy/logout", headers=script, cookies=TICKET_COOKIE, body=""
    ) as answer:
        assert (answer.status, "Location" in answer.headers) == (200, False)
        assert "You may still be signed in at Rekono." in await answer.text()


@pytest.mark.parametrize(
    ("left", "said", "unsaid"),
    [
        (
            "ha-",
            [
                "Your session at Merchant portal has ended.",
                "If you have signed out of Rekono as well",
                "close all windows",
            ],
            ["no session", "certificate"],
        ),
        (
            "hu-",
            [
                "Your session at Merchant portal has ended.",
                "You may still be signed in at Rekono.",
                "close all windows",
            ],
            ["no session", "If you have signed out"],
        ),
        ("ea-", ["All your sessions have ended", "If you have signed out of Rekono as well"], ["no session"]),
        (
            "h-c",
            ["Your session at Merchant portal has ended.", "remembers your certificate until it is closed"],
            ["at Rekono", "of Rekono"],
        ),
        (
            "hac",
            ["If you have signed out of Rekono as well", "remembers your certificate until it is closed"],
            ["no session"],
        ),
        (None, ["You have no session at Merchant portal."], ["at Rekono", "certificate", "has ended"]),
        ("zzz", ["You have no session at Merchant portal."], ["at Rekono", "certificate", "has ended"]),
    ],
)
async def test_whoever_comes_back_from_the_provider_reads_what_has_ended_and_what_may_go_on(
    house, left, said, unsaid
):
    cookies = None if left is None else f"__Host-authproxy-left={left}"
    async with house.asked("GET", "/.authproxy/logout?state=x", cookies=cookies) as answer:
        text = await answer.text()

    assert [words for words in said if words not in text] == []
    assert [words for words in unsaid if words in text] == []


async def test_a_session_that_rests_on_a_certificate_leaves_word_of_it(house):
    session = replace(SESSION, method="acnlb", id_token=None)
    house.flows.open_sessions = {TICKET: session}
    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body=""
    ) as answer:
        assert "remembers your certificate" in await answer.text()
        assert answer.headers.getall("Set-Cookie")[-1].startswith("__Host-authproxy-left=h-c;")


async def test_a_sign_out_that_the_store_did_not_hear_is_not_claimed(house):
    house.flows.down = Reason.STORE_UNAVAILABLE

    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body=""
    ) as answer:
        text = await answer.text()

        assert answer.status == 503
        assert "have not been signed out" in text
        assert "Set-Cookie" not in answer.headers
        assert "Clear-Site-Data" not in answer.headers
    assert house.audit_lines == []


@pytest.mark.parametrize("cookie", [None, "__Host-authproxy=nonsense"])
async def test_signing_out_twice_is_no_fault(house, cookie):
    async with house.asked("POST", "/.authproxy/logout", headers=FORM, cookies=cookie, body="") as answer:
        text = await answer.text()

        assert answer.status == 200
        assert "You have no session" in text
    assert house.audit_lines == []


async def test_signing_out_everywhere_is_asked_about_first(house):
    async with house.asked("GET", "/.authproxy/logout?everywhere=yes", cookies=TICKET_COOKIE) as answer:
        text = await answer.text()

        assert "Sign out everywhere?" in text
        assert "all your sessions at all portals" in text
        assert '<input type="hidden" name="everywhere" value="yes">' in text
        assert 'href="/.authproxy/logout?lang=sl&amp;everywhere=yes"' in text
    assert house.flows.open_sessions
    assert house.flows.elsewhere


async def test_signing_out_everywhere_ends_every_session_and_says_so(house):
    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body="everywhere=yes"
    ) as answer:
        assert "All your sessions have ended" in await answer.text()
        assert "__Host-authproxy=;" in answer.headers["Set-Cookie"]
    assert (house.flows.open_sessions, house.flows.elsewhere) == ({}, [])
    events = [json.loads(line) for line in house.audit_lines]
    assert [(event["event"], event["session"]) for event in events] == [
        ("session.revoked", ELSEWHERE.session_id),
        ("session.ended", "s" * 24),
    ]


async def test_signing_out_here_leaves_the_others(house):
    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body="everywhere=no"
    ) as answer:
        assert "Your session at Merchant portal has ended." in await answer.text()
    assert house.flows.elsewhere == [ELSEWHERE]


async def test_what_has_just_been_done_is_said_in_both_languages_at_once(house):
    """Asking again for the page in the other language would no longer be told the same."""
    async with house.asked(
        "POST", "/.authproxy/logout", headers=FORM, cookies=TICKET_COOKIE, body=""
    ) as answer:
        text = await answer.text()

        assert 'href="#sl" lang="sl"' in text
        assert "Vaša seja na portalu »Portal za trgovce« je končana." in text

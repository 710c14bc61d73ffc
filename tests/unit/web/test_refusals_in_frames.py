"""A refusal in a frame: a page that the portal may frame, and that does nothing but lead out of the frame."""

from __future__ import annotations

import re

import pytest

from authproxy.access.decision import Reason
from tests.support.pages import EDGE, FORM, PAGE, TICKET

FRAMES = ["frame", "iframe", "object", "embed"]
LOGIN = "https://acq.example.si/.authproxy/login?rt=/&lost=yes"


def asked(reason, status, destination, *, language="en", **more):
    """What the edge asks for a refusal; `more` are further headers of its own."""
    question = {f"X-Authproxy-{name.replace('_', '-')}": value for name, value in more.items()}
    return {
        **EDGE,
        **PAGE,
        "Accept-Language": language,
        "Sec-Fetch-Dest": destination,
        "X-Authproxy-Reason": reason.value,
        "X-Authproxy-Status": str(status),
        **question,
    }


def framing(answer):
    policy = answer.headers["Content-Security-Policy"]
    [ancestors] = re.findall(r"frame-ancestors ([^;]*)", policy)
    return ancestors, answer.headers["X-Frame-Options"]


@pytest.mark.parametrize("destination", FRAMES)
async def test_a_missing_session_is_a_page_that_the_portal_may_frame_and_opens_the_sign_in_in_the_whole_window(
    house, destination
):
    headers = asked(Reason.SESSION_ENDED, 401, destination, Location=LOGIN)
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        text = await answer.text()
        # An `object` shows nothing of an answer whose status is an error.
        status = 200 if destination == "object" else 401
        assert (answer.status, framing(answer)) == (status, ("'self'", "SAMEORIGIN"))
        assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    link = f'<a class="button" href="{LOGIN.replace("&", "&amp;")}" target="_top" data-back>'
    assert text.count(link) == 2  # once in each language
    assert "session_ended-0123abcd" in text


@pytest.mark.parametrize("language", ["sl", "en"])
@pytest.mark.parametrize("reason", Reason)
async def test_no_refusal_in_a_frame_has_a_form_or_a_link_that_stays_in_the_frame(house, reason, language):
    headers = asked(reason, 403, "iframe", language=language, Return_To="/orders%3Fa%3D1", Person="Ana")
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        text = await answer.text()
        assert (answer.status, framing(answer)) == (403, ("'self'", "SAMEORIGIN"))
    assert not re.search(r"<form|<button|<input|<header|name=\"method\"", text)
    for link in re.findall(r"<a [^>]*>", text):
        href = re.search(r'href="([^"]*)"', link)[1]
        assert 'target="_top"' in link or href.startswith(("#", "mailto:", "tel:")), link
    assert 'href="/orders?a=1" target="_top">' in text


async def test_where_no_address_is_known_the_frames_own_opens_in_the_whole_window(house):
    headers = asked(Reason.PORTAL_TIMEOUT, 504, "iframe")
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        assert 'href="" target="_top">' in await answer.text()


async def test_only_a_form_that_was_not_sent_is_said_to_be_lost(house):
    for reason, is_said in (
        (Reason.NO_SESSION, False),
        (Reason.SESSION_ENDED, False),
        (Reason.NOT_SENT, True),
    ):
        headers = asked(reason, 401, "frame", language="sl", Location=LOGIN)
        async with house.asked("GET", "/refusal", headers=headers) as answer:
            assert ("Poslanih podatkov nismo posredovali" in await answer.text()) is is_said


@pytest.mark.parametrize("destination", ["document", "empty", "image", ""])
async def test_a_refusal_in_a_window_can_be_framed_by_nobody(house, destination):
    headers = asked(Reason.LEVEL_TOO_LOW, 403, destination, Return_To="/orders")
    async with house.asked("GET", "/refusal", headers=headers) as answer:
        assert framing(answer) == ("'none'", "DENY")
        assert "_top" not in await answer.text()


@pytest.mark.parametrize("destination", FRAMES)
@pytest.mark.parametrize(
    "path",
    ["login?rt=/", "session", "step-up?rt=/a", "login/refused?why=x", "callback/rekono", "nothing"],
)
async def test_no_page_of_ours_but_that_of_the_sign_out_can_be_framed(house, path, destination):
    headers = {**FORM, "Sec-Fetch-Dest": destination}
    for cookies in (None, f"__Host-authproxy={TICKET}"):
        async with house.asked("GET", f"/.authproxy/{path}", headers=headers, cookies=cookies) as answer:
            assert framing(answer) == ("'none'", "DENY")


@pytest.mark.parametrize("destination", FRAMES)
async def test_the_sign_out_in_a_frame_does_nothing_but_link(house, destination):
    headers = {**FORM, "Sec-Fetch-Dest": destination}
    cookies = f"__Host-authproxy={TICKET}"
    async with house.asked("GET", "/.authproxy/logout", headers=headers, cookies=cookies) as answer:
        text = await answer.text()
        assert framing(answer) == ("'self'", "SAMEORIGIN")
    assert not re.search(r"<form|<button|<input|Ana", text)
    async with house.asked("POST", "/.authproxy/logout", headers=headers, cookies=cookies, body="") as answer:
        assert framing(answer) == ("'none'", "DENY")

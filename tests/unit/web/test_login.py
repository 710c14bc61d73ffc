from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import quote, unquote

import pytest

from authproxy.access.decision import Reason
from authproxy.access.personal_cookies import PersonalCookies
from authproxy.access.unavailable import CannotAsk
from authproxy.flows.sign_in.attempts import AlreadySignedIn, SignedIn, SignInRefused
from authproxy.flows.step_up.outcomes import NotProved, SteppedUp
from authproxy.identity.assurance import Level
from authproxy.identity.person import Issuer, Person, Subject
from tests.support.pages import FLOW, FORM, OTHER_TICKET, PAGE, SESSION, TICKET, running_pages
from tests.support.step_up_script import HELD, a_form

FLOW_COOKIE = f"__Host-authproxy-flow={FLOW}"
TICKET_COOKIE = f"__Host-authproxy={TICKET}"
BACK = "/orders?tab=1&x=%C4%8D"
EXPLORER = {
    "Accept": "text/html, application/xhtml+xml, */*",
    "Accept-Language": "sl-SI",
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
}
CALLBACK = "/.authproxy/callback/rekono?code=c0de-of-the-provider&state=st4te-of-ours"


async def test_the_chooser_offers_rekono_and_carries_the_way_back(house):
    async with house.asked("GET", f"/.authproxy/login?rt={quote(BACK)}") as answer:
        text = await answer.text()

        assert answer.status == 200
        assert 'value="/orders?tab=1&amp;x=%C4%8D"' in text
        assert "Sign in with a Rekono account" in text
        assert "Create account" in text
        assert "form-action" not in answer.headers["Content-Security-Policy"]
        # Under `no-referrer` a browser without Fetch Metadata would send this form with `Origin: null`.
        assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("question", [f"rt={quote(BACK)}&cut=yes", "rt=/reports%3F" + "q" * 2050])
async def test_the_chooser_tells_when_the_way_back_could_not_be_kept_whole(house, question):
    for query, is_told in ((question, True), (f"rt={quote(BACK)}", False)):
        async with house.asked("GET", f"/.authproxy/login?{query}") as answer:
            text = await answer.text()
            assert ("too long for us to remember" in text) == is_told
            assert ("cut=yes" in text) == is_told  # also for the other language


async def test_the_chooser_binds_a_new_browser_and_keeps_a_known_one(house):
    async with (
        house.asked("GET", "/.authproxy/login") as new,
        house.asked("GET", "/.authproxy/login", cookies=FLOW_COOKIE) as known,
    ):
        assert new.headers["Set-Cookie"].startswith("__Host-authproxy-flow=0")
        assert "Set-Cookie" not in known.headers


@pytest.mark.parametrize("held", ["__Host-authproxy-flow=short", f"{FLOW_COOKIE}; {FLOW_COOKIE}"])
async def test_a_binding_that_cannot_be_ours_is_replaced(house, held):
    async with house.asked("GET", "/.authproxy/login", cookies=held) as answer:
        assert "Set-Cookie" in answer.headers


async def test_whoever_is_signed_in_goes_straight_on(house):
    async with house.asked("GET", f"/.authproxy/login?rt={quote(BACK)}", cookies=TICKET_COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "https://acq.example.si" + BACK)
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "place", ["//evil.test", "https://evil.test/", "/\\evil.test", "/%09/evil.test", "/.authproxy/logout"]
)
async def test_nobody_is_led_away_from_the_portal(house, place):
    async with house.asked("GET", f"/.authproxy/login?rt={quote(place)}", cookies=TICKET_COOKIE) as answer:
        assert answer.headers["Location"] == "https://acq.example.si/"


@pytest.mark.parametrize(
    ("cookie", "cause"),
    [
        (FLOW_COOKIE, "does not keep cookies"),
        (f"{FLOW_COOKIE}; __Host-authproxy={OTHER_TICKET}", "your session has ended each time"),
        (f"{TICKET_COOKIE}; {FLOW_COOKIE}; {TICKET_COOKIE}", "a session cookie that is not ours"),
    ],
)
async def test_a_loop_ends_on_a_page_that_names_its_cause(house, cookie, cause):
    house.flows.is_looping = True

    async with house.asked("GET", "/.authproxy/login", cookies=cookie) as answer:
        text = await answer.text()

        assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
        assert cause in text
        assert "sign_in_loop-0123abcd" in text


async def test_a_click_begins_a_sign_in_at_the_provider(house):
    body = f"method=rekono&cookie=given&rt={quote(BACK, safe='')}"
    async with house.asked(
        "POST", "/.authproxy/login", headers=FORM, cookies=FLOW_COOKIE, body=body
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (
            303,
            "https://idp.example.si/authorize?state=x",
        )
    assert house.flows.begun == [
        {"portal": "acq", "return_to": BACK, "browser": FLOW, "locale": "en", "anew": False}
    ]
    event = json.loads(house.audit_lines[0])
    assert (event["event"], event["request_id"], event["client"], event["portal"]) == (
        "sign_in.begun",
        "0123abcd",
        "203.0.113.7",
        "acq",
    )


async def test_a_browser_that_threw_the_cookie_away_is_told_so(house):
    async with house.asked(
        "POST", "/.authproxy/login", headers=FORM, body="method=rekono&cookie=given&rt=%2Fa"
    ) as answer:
        text = await answer.text()

        assert answer.status == 400
        assert "keeps no cookies" in text
        assert 'href="/.authproxy/login?rt=/a"' in text
    assert house.flows.begun == []


async def test_a_form_of_another_page_of_ours_binds_the_browser_itself(house):
    async with house.asked("POST", "/.authproxy/login", headers=FORM, body="method=rekono") as answer:
        assert answer.status == 303
        assert house.flows.begun[0]["browser"] in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {**PAGE, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"},
        {**PAGE, "Sec-Fetch-Site": "same-site"},
        {**PAGE, "Origin": "null"},
        {**PAGE, "Origin": "https://evil.test"},
        {**EXPLORER, "Referer": "https://evil.test/https://acq.example.si/"},
        {**EXPLORER, "Referer": "https://acq.example.si.evil.test/"},
        PAGE,
    ],
)
@pytest.mark.parametrize("path", ["login", "logout", "session/end"])
async def test_a_form_of_a_stranger_does_nothing(house, headers, path):
    # `SameSite=Lax` withholds the cookies from a stranger's form; even where a browser sent them, the headers
    # decide.
    cookie = None if headers is PAGE else f"{TICKET_COOKIE}; {FLOW_COOKIE}"
    async with house.asked(
        "POST", f"/.authproxy/{path}", headers=headers, cookies=cookie, body="method=rekono&session_id=x"
    ) as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers
    assert house.flows.begun == []
    assert house.flows.open_sessions
    assert json.loads(house.audit_lines[0])["event"] == "request.refused"


@pytest.mark.parametrize("cookies", [None, FLOW_COOKIE])
async def test_a_form_of_internet_explorer_is_known_by_its_referer(house, cookies):
    headers = {**EXPLORER, "Referer": "https://acq.example.si/.authproxy/login?rt=/orders"}

    async with house.asked(
        "POST", "/.authproxy/login", headers=headers, cookies=cookies, body="method=rekono"
    ) as answer:
        assert answer.status == 303
    assert len(house.flows.begun) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("method=rekono&method=rekono", "application/x-www-form-urlencoded", 400),
        ("&".join(f"a{number}=1" for number in range(30)), "application/x-www-form-urlencoded", 400),
        (b"method=\xff", "application/x-www-form-urlencoded", 400),
        ("rt=%FF", "application/x-www-form-urlencoded", 400),
        ("method=rekono", "text/plain", 415),
        ('{"method":"rekono"}', "application/json", 415),
        ("method=" + "x" * 20_000, "application/x-www-form-urlencoded", 413),
        ("method=acnlb", "application/x-www-form-urlencoded", 403),
        ("", "application/x-www-form-urlencoded", 403),
    ],
)
async def test_a_form_that_is_not_ours_in_shape_is_refused(house, body, content_type, status):
    headers = {**FORM, "Content-Type": content_type}
    async with house.asked(
        "POST", "/.authproxy/login", headers=headers, cookies=FLOW_COOKIE, body=body
    ) as answer:
        assert answer.status == status
    assert house.flows.begun == []


async def test_a_session_of_which_no_event_can_be_written_is_taken_back_and_its_ticket_given_to_nobody():
    async def never(_line):
        return False

    async with running_pages(written=never) as house:
        async with house.asked(
            "POST", "/.authproxy/login", headers=FORM, cookies=FLOW_COOKIE, body="method=rekono"
        ) as answer:
            assert (answer.status, "audit_unavailable" in await answer.text()) == (503, True)
        async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
            assert (answer.status, answer.headers.get("Set-Cookie")) == (503, None)
        assert SESSION not in house.flows.open_sessions.values()
        event = json.loads(house.audit_lines[-1])
        assert (event["event"], event["by"], event["session"]) == (
            "session.revoked",
            "gateway",
            SESSION.session_id,
        )
        assert house.metrics.sessions_started == {}


async def test_a_completed_sign_in_sets_the_ticket_and_leaves_the_address_with_the_code(house):
    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "https://acq.example.si/")
        assert answer.headers["Set-Cookie"] == f"{TICKET_COOKIE}; Path=/; Secure; HttpOnly; SameSite=Lax"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert house.flows.completed[0]["parameters"] == (
        ("code", "c0de-of-the-provider"),
        ("state", "st4te-of-ours"),
    )
    assert house.metrics.sessions_started["acq", "rekono"] == 1
    event = json.loads(house.audit_lines[0])
    assert (event["event"], event["session"], event["level"]) == ("session.started", SESSION.session_id, 20)


async def test_a_parameter_given_twice_reaches_the_judgement_twice(house):
    async with house.asked("GET", "/.authproxy/callback/rekono?state=a&state=b", cookies=FLOW_COOKIE):
        assert house.flows.completed[0]["parameters"] == (("state", "a"), ("state", "b"))


async def test_a_sign_in_removes_the_cookies_that_others_have_left_at_the_portal():
    cookies = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=bytes(32))

    def left_by(person, path):
        lines = cookies.marks(
            [(b"Set-Cookie", f"JSESSIONID=x; Path={path}".encode())], cookies.owner(person), "/"
        )
        return lines.decode().removeprefix("Set-Cookie: ").partition(";")[0]

    bor = replace(SESSION.person, subject="bor")
    sent = f"{FLOW_COOKIE}; {left_by(bor, '/of-bor')}; {left_by(SESSION.person, '/own')}"
    async with (
        running_pages(personal_cookies={"acq": cookies}) as house,
        house.asked("GET", CALLBACK, cookies=sent) as answer,
    ):
        set_here = answer.headers.getall("Set-Cookie")
        assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
        async with house.asked(
            "GET", CALLBACK, cookies=f"{FLOW_COOKIE}; {left_by(SESSION.person, '/own')}"
        ) as own:
            assert "Clear-Site-Data" not in own.headers
    assert "JSESSIONID=; Max-Age=0; Path=/of-bor; Secure; HttpOnly" in set_here
    assert not any("/own" in value for value in set_here)
    assert len([value for value in set_here if value.startswith("__Host-authproxy-mark-")]) == 1


async def test_a_replayed_callback_of_somebody_signed_in_goes_on_silently(house):
    house.flows.outcome = AlreadySignedIn(BACK)

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "https://acq.example.si" + BACK)
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("reason", "status", "says"),
    [
        (Reason.ATTEMPT_USED, 400, "has been used"),
        (Reason.ATTEMPT_UNKNOWN, 400, "cannot be found"),
        (Reason.ATTEMPT_TOO_OLD, 400, "has timed out"),
        (Reason.ATTEMPT_OF_ANOTHER_BROWSER, 400, "begun in another browser"),
        (Reason.CONSENT_REFUSED, 403, "not allowed access"),
        (Reason.PROVIDER_ANSWER_INVALID, 502, "could not be verified"),
    ],
)
async def test_a_refused_sign_in_is_explained_and_leads_back_to_the_same_place(house, reason, status, says):
    house.flows.outcome = SignInRefused(reason, "/orders", detail="nothing secret")

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        text = await answer.text()

        assert answer.status == status
        assert says in text
        assert 'href="/.authproxy/login?rt=/orders"' in text
        assert f"{reason.value}-0123abcd" in text
        assert "c0de" not in text
        assert "st4te" not in text
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert house.metrics.sign_ins_refused[(reason,)] == 1
    assert json.loads(house.audit_lines[0])["reason"] == reason.value


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (Reason.TAX_NUMBER_MISSING, "has no tax number"),
        (Reason.TAX_NUMBER_INVALID, "is not valid"),
        (Reason.TAX_NUMBER_INCOMPLETE, "has only seven"),
        (Reason.PERSONAL_DATA_MISSING, "lacks personal data"),
        (Reason.CLAIMS_CONTRADICT, "two different tax numbers"),
        (Reason.LEVEL_TOO_LOW, "is not enough"),
        (Reason.ESSENTIAL_CLAIM_MISSING, "needs a stronger confirmation"),
    ],
)
async def test_whoever_may_not_come_in_can_sign_in_anew_with_one_click(house, reason, says):
    person = Person(
        issuer=Issuer("https://idp/"), subject=Subject("90342.A"), name="Bor <Kranjc>", email="bor@example.si"
    )
    house.flows.outcome = SignInRefused(reason, "/orders?a=1", person=person)

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        text = await answer.text()

        assert says in text
        assert "as Bor &lt;Kranjc&gt;, bor@example.si." in text
        assert 'name="rt" value="/orders?a=1"' in text
        assert 'name="anew" value="yes"' in text
        assert "c0de" not in text
        assert "form-action" not in answer.headers["Content-Security-Policy"]
        # The address has a code in it: no page gets to see it, but the form of this one must have an Origin.
        assert answer.headers["Referrer-Policy"] == "strict-origin"
        assert "Set-Cookie" not in answer.headers
    async with house.asked(
        "POST",
        "/.authproxy/login",
        headers=FORM,
        cookies=FLOW_COOKIE,
        body="method=rekono&rt=%2Forders&anew=yes",
    ):
        assert (house.flows.begun[0]["anew"], house.flows.begun[0]["return_to"]) == (True, "/orders")


async def test_a_level_too_low_is_told_with_the_one_that_is_needed(house):
    house.flows.outcome = SignInRefused(Reason.LEVEL_TOO_LOW, "/", level=Level.LOW, level_needed=Level.MEDIUM)

    async with (
        house.asked("GET", CALLBACK) as page,
        house.asked("GET", CALLBACK, headers={"Sec-Fetch-Mode": "cors"}) as script,
    ):
        text = await page.text()

        assert "<dd>low (10)</dd>" in text
        assert "<dd>medium (20)</dd>" in text
        told = await script.json(content_type="application/problem+json")
        assert (told["level"], told["level_needed"]) == (10, 20)


async def test_the_edge_says_what_it_knows_of_its_refusal(house):
    said = {
        "X-Authproxy-Reason": "level_too_low",
        "X-Authproxy-Status": "403",
        "X-Authproxy-Levels": "20 30",
        "X-Authproxy-Person": "%C5%BDiva%2C%20ziva%40example.si",
        "X-Authproxy-Return-To": "/izpis%3Fa%3D%2520b",
    }
    async with house.asked("GET", "/refusal", headers=PAGE | said) as answer:
        text = await answer.text()

        assert "as Živa, ziva@example.si." in text
        assert "<dd>medium (20)</dd>" in text
        assert "<dd>high (30)</dd>" in text
        assert 'name="rt" value="/izpis?a=%20b"' in text


async def test_missing_data_are_named(house):
    house.flows.outcome = SignInRefused(Reason.PERSONAL_DATA_MISSING, "/", missing=("birthdate", "address"))

    async with house.asked("GET", CALLBACK) as answer:
        text = await answer.text()

        assert "<li>date of birth</li>" in text
        assert "<li>address</li>" in text
        assert "mobile number" not in text
    async with house.asked("GET", CALLBACK, headers={"Sec-Fetch-Mode": "cors"}) as script:
        assert (await script.json(content_type="application/problem+json"))["missing"] == [
            "birthdate",
            "address",
        ]


async def test_a_head_request_does_not_spend_the_code(house):
    async with house.asked("HEAD", CALLBACK, cookies=FLOW_COOKIE) as answer:
        assert answer.status == 405
    assert house.flows.completed == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/.authproxy/login"), ("POST", "/.authproxy/login"), ("GET", CALLBACK)]
)
@pytest.mark.parametrize("reason", [Reason.STORE_UNAVAILABLE, Reason.PROVIDER_UNAVAILABLE])
async def test_who_cannot_be_asked_costs_nobody_their_cookies(house, method, path, reason):
    house.flows.down = reason

    async with house.asked(
        method, path, headers=FORM, cookies=FLOW_COOKIE, body="method=rekono" if method == "POST" else None
    ) as answer:
        text = await answer.text()

        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "Set-Cookie" not in answer.headers
        assert "asked in vain" not in text
        # Only an address that may be asked again is offered again: never the one with the code in it.
        assert ('href=""' in text) == (method == "GET" and path != CALLBACK)


async def test_an_outage_at_the_begin_keeps_the_way_back(house):
    house.flows.down = Reason.PROVIDER_UNAVAILABLE

    async with house.asked(
        "POST", "/.authproxy/login", headers=FORM, cookies=FLOW_COOKIE, body="method=rekono&rt=%2Forders%3Fa"
    ) as answer:
        assert 'href="/.authproxy/login?rt=/orders?a"' in (await answer.text()).replace("%3F", "?")


async def test_where_certificates_are_not_taken_there_is_no_way_back_from_showing_one(house):
    async with house.asked("GET", "/.authproxy/callback/acnlb?hop=x") as answer:
        assert answer.status == 404


# Fresh proofs that were made elsewhere come back to the same address.

AGAIN = NotProved(
    reason=Reason.CONSENT_REFUSED,
    return_to="/orders?a=1",
    held="h" * 43,
    session=SESSION,
    method="rekono",
    route="acq/orders POST",
    detail="nothing secret",
)


@pytest.mark.parametrize(
    ("held", "location"),
    [
        (None, "https://acq.example.si" + BACK),
        ("h" * 43, f"https://acq.example.si/.authproxy/step-up/send?held={'h' * 43}&rt={quote(BACK)}"),
    ],
)
async def test_a_proof_that_comes_back_brings_a_new_ticket_and_leads_on(house, held, location):
    house.flows.outcome = SteppedUp(OTHER_TICKET, SESSION, "rekono", BACK, held)

    async with house.asked("GET", CALLBACK, cookies=f"{FLOW_COOKIE}; {TICKET_COOKIE}") as answer:
        assert (answer.status, unquote(answer.headers["Location"])) == (303, unquote(location))
        assert answer.headers["Set-Cookie"].startswith(f"__Host-authproxy={OTHER_TICKET};")
    assert house.metrics.sessions_started["acq", "rekono"] == 0
    assert house.metrics.step_ups["rekono", "approved"] == 1


async def test_whoever_has_signed_in_at_the_provider_too_long_ago_is_asked_there_again(house):
    house.flows.outcome = SignInRefused(Reason.PROOF_TOO_OLD, "/orders", detail="longer ago than max_age")

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        text = await answer.text()

        assert answer.status == 403
        assert "Your sign-in at Rekono is too old" in text
        assert '<input type="hidden" name="anew" value="yes">' in text
        assert '<input type="hidden" name="rt" value="/orders">' in text


async def test_a_repeated_proof_goes_on_to_the_request_that_waits(house):
    house.flows.outcome = AlreadySignedIn(BACK, "h" * 43)

    async with house.asked("GET", CALLBACK, cookies=f"{FLOW_COOKIE}; {TICKET_COOKIE}") as answer:
        assert answer.headers["Location"].startswith(
            f"https://acq.example.si/.authproxy/step-up/send?held={'h' * 43}&"
        )
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.CONSENT_REFUSED, 403),
        (Reason.ATTEMPT_USED, 400),
        (Reason.ATTEMPT_TOO_OLD, 400),
        (Reason.STEP_UP_BY_ANOTHER, 403),
        (Reason.PROOF_TOO_OLD, 403),
        (Reason.PROVIDER_ANSWER_INVALID, 502),
        (Reason.PROVIDER_REFUSED, 403),
        (Reason.PROVIDER_UNAVAILABLE, 503),
        (Reason.STORE_UNAVAILABLE, 503),
        (Reason.CERTIFICATE_UNKNOWN, 403),
        (Reason.ESSENTIAL_CLAIM_MISSING, 403),
    ],
)
async def test_what_proves_nothing_leads_back_to_the_same_choice_and_leaves_the_session_alone(
    house, reason, status
):
    house.flows.outcome = replace(AGAIN, reason=reason)

    async with house.asked("GET", CALLBACK, cookies=f"{FLOW_COOKIE}; {TICKET_COOKIE}") as answer:
        text = await answer.text()

        assert answer.status == status
        assert (
            f'href="/.authproxy/step-up?rt=/orders%3Fa%3D1&amp;for=acq/orders+POST&amp;held={"h" * 43}"'
            in text
        )
        assert "login?rt=" not in text
        assert "Set-Cookie" not in answer.headers
    event = json.loads(house.audit_lines[0])
    assert (event["event"], event["reason"], event["method"], event["session"]) == (
        "challenge.refused",
        reason.value,
        "rekono",
        SESSION.session_id,
    )
    assert house.metrics.sign_ins_refused == {}
    assert house.flows.open_sessions


async def test_who_has_refused_at_rekono_is_told_that_they_are_still_signed_in(house):
    house.flows.outcome = AGAIN

    async with house.asked("GET", CALLBACK, cookies=f"{FLOW_COOKIE}; {TICKET_COOKIE}") as answer:
        assert "You are still signed in, but your identity has not been confirmed." in await answer.text()


async def test_after_a_sign_out_nobody_is_signed_in_again_unasked(house):
    for held, anew in (
        (f"{FLOW_COOKIE}; __Host-authproxy-left=ha-", True),
        (f"{FLOW_COOKIE}; __Host-authproxy-left=odd", False),
        (FLOW_COOKIE, False),
    ):
        async with house.asked(
            "POST", "/.authproxy/login", headers=FORM, cookies=held, body="method=rekono&rt=%2F"
        ) as answer:
            assert answer.status == 303
        assert house.flows.begun[-1]["anew"] is anew


@pytest.mark.parametrize(("left", "is_removed"), [("; __Host-authproxy-left=h-c", True), ("", False)])
async def test_a_sign_in_that_comes_about_ends_what_a_sign_out_has_left(house, left, is_removed):
    async with house.asked(
        "GET", "/.authproxy/callback/rekono?code=c&state=s", cookies=FLOW_COOKIE + left
    ) as answer:
        assert answer.status == 303
        removed = [
            line
            for line in answer.headers.getall("Set-Cookie")
            if line.startswith("__Host-authproxy-left=; Max-Age=0")
        ]
        assert len(removed) == is_removed


SEND = f"https://acq.example.si/.authproxy/step-up/send?held={HELD}&rt=/orders"


@pytest.mark.parametrize(("is_kept", "location"), [(True, SEND), (False, "https://acq.example.si/orders")])
async def test_a_sign_in_leads_to_the_form_that_waits_for_this_person_and_mentions_no_other(
    house, is_kept, location
):
    if is_kept:
        house.held.kept[HELD] = a_form()
    house.flows.outcome = SignedIn(TICKET, "/orders", SESSION, held=HELD)

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, location)
        assert answer.headers["Set-Cookie"].startswith(f"{TICKET_COOKIE};")


async def test_a_form_of_somebody_else_is_not_mentioned_to_whoever_signs_in(house):
    house.held.kept[HELD] = a_form()
    somebody = replace(SESSION, person=replace(SESSION.person, subject=Subject("else")))
    house.flows.outcome = SignedIn(TICKET, "/orders", somebody, held=HELD)

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "https://acq.example.si/orders")
    assert HELD in house.held.kept


@pytest.mark.parametrize(("is_kept", "location"), [(True, SEND), (False, "https://acq.example.si/orders")])
async def test_whoever_has_signed_in_in_another_tab_goes_on_to_their_form(house, is_kept, location):
    if is_kept:
        house.held.kept[HELD] = a_form()
    chooser = f"/.authproxy/login?rt=/orders&held={HELD}"

    async with house.asked("GET", chooser, cookies=TICKET_COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, location)


async def test_whether_a_form_waits_that_nobody_can_say_is_said_by_its_own_page(house):
    async def away(name, session):
        raise CannotAsk(Reason.STORE_UNAVAILABLE, "the store is away")

    house.held.preview = away
    house.flows.outcome = SignedIn(TICKET, "/orders", SESSION, held=HELD)

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, SEND)
        assert answer.headers["Set-Cookie"].startswith(f"{TICKET_COOKIE};")


@pytest.mark.parametrize("reason", [Reason.ATTEMPT_TOO_OLD, Reason.CONSENT_REFUSED, Reason.LEVEL_TOO_LOW])
async def test_a_refused_sign_in_leaves_the_form_waiting_for_the_next_one(house, reason):
    house.flows.outcome = SignInRefused(reason, "/orders", held=HELD)

    async with house.asked("GET", CALLBACK, cookies=FLOW_COOKIE) as answer:
        text = await answer.text()

    assert (f"login?rt=/orders&amp;held={HELD}" in text) or (
        f'<input type="hidden" name="held" value="{HELD}">' in text
    )


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/.authproxy/login?rt=/orders&held={HELD}", None),
        ("POST", "/.authproxy/login", f"method=rekono&rt=/orders&held={HELD}"),
    ],
)
async def test_an_outage_on_the_way_to_the_sign_in_loses_no_form(house, method, path, body):
    house.flows.down = Reason.PROVIDER_UNAVAILABLE

    async with house.asked(method, path, headers=FORM, cookies=FLOW_COOKIE, body=body) as answer:
        assert answer.status == 503
        text = await answer.text()
    # A GET is tried again at its own address.
    assert f"login?rt=/orders&amp;held={HELD}" in text if method == "POST" else 'href=""' in text

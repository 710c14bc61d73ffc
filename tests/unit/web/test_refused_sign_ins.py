"""A refused sign-in is told at an address of its own, which says nothing to whoever reads it and the same to
its person each time."""

from __future__ import annotations

import secrets
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from authproxy.access.decision import Reason
from authproxy.flows.sign_in.attempts import SignedIn, SignInRefused
from authproxy.flows.step_up.outcomes import NotProved
from authproxy.identity.assurance import Level
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.storage.records.sealed_texts import Seals
from authproxy.storage.records.sealing import KeyRing
from authproxy.web.rates import Rates
from tests.support.clock import Clock
from tests.support.pages import FLOW, NOW, PAGE, SESSION, TICKET, running_pages

COOKIE = f"__Host-authproxy-flow={FLOW}"
CALLBACK = "/.authproxy/callback/rekono?code=c0de-of-the-provider&state=st4te-of-ours"
BOR = Person(
    issuer=Issuer("https://idp/"),
    subject=Subject("90342.A"),
    name="Bor <Kranjc> Čepič",
    email="bor@example.si",
)
MISSING = SignInRefused(
    Reason.TAX_NUMBER_MISSING, "/orders?a=1", missing=("tax_number", "birthdate"), person=BOR
)
LATER = {**PAGE, "X-Request-Id": "ffff0000"}
"""Another request."""


@pytest.fixture
def time():
    return Clock(NOW)


@pytest.fixture
async def house(time):
    async with running_pages(
        seals=Seals(KeyRing((bytes(32),), random_bytes=secrets.token_bytes)), clock=time
    ) as opened:
        yield opened


async def address(house, *, cookies=COOKIE, path=CALLBACK, headers=PAGE):
    """Where the browser is sent from the callback."""
    async with house.asked("GET", path, cookies=cookies, headers=headers) as answer:
        assert (answer.status, answer.headers.get("Set-Cookie")) == (303, None)
        where = urlsplit(answer.headers["Location"])
        assert (
            f"{where.scheme}://{where.netloc}{where.path}"
            == "https://acq.example.si/.authproxy/login/refused"
        )
        return f"{where.path}?{where.query}"


async def read(house, path, *, cookies=COOKIE, headers=LATER):
    async with house.asked("GET", path, cookies=cookies, headers=headers) as answer:
        return answer.status, answer.headers, await answer.text()


async def test_the_page_can_be_loaded_again_and_says_the_same_with_the_code_of_the_request_that_was_refused(
    house,
):
    house.flows.outcome = MISSING
    refused = await address(house)
    house.flows.outcome = SignInRefused(Reason.ATTEMPT_USED, "/orders?a=1")

    first = await read(house, refused)
    again = await read(house, refused)

    for status, _, text in (first, again):
        assert status == 403
        assert "Your Rekono account has no tax number or date of birth</h1>" in text
        assert "<li>date of birth</li>" in text
        assert "as Bor &lt;Kranjc&gt; Čepič, bor@example.si." in text
        assert 'name="rt" value="/orders?a=1"' in text
        assert "<code>tax_number_missing-0123abcd</code>" in text
        assert "attempt_used" not in text
    assert len(house.flows.completed) == 1
    assert first[1]["Referrer-Policy"] == "strict-origin"


@pytest.mark.parametrize("secret", ["Bor", "bor@example.si", "tax_number", "orders", "c0de", "st4te", FLOW])
async def test_the_address_tells_its_readers_nothing(house, secret):
    house.flows.outcome = MISSING
    assert secret not in (refused := await address(house))
    assert len(refused) < 1500


@pytest.mark.parametrize(
    ("outcome", "status", "says"),
    [
        (
            SignInRefused(Reason.LEVEL_TOO_LOW, "/a", level=Level.LOW, level_needed=Level.MEDIUM),
            403,
            "<dd>medium (20)</dd>",
        ),
        (SignInRefused(Reason.ATTEMPT_USED, "/a"), 400, 'href="/.authproxy/login?rt=/a"'),
        (SignInRefused(Reason.PROVIDER_ANSWER_INVALID, "/a"), 502, "could not be verified"),
        (SignInRefused(Reason.STORE_UNAVAILABLE, "/a"), 503, "is not available at the moment"),
        (
            NotProved(
                reason=Reason.CONSENT_REFUSED,
                return_to="/a?b",
                held="h" * 43,
                session=SESSION,
                method="rekono",
                route="acq/a POST",
            ),
            403,
            f'href="/.authproxy/step-up?rt=/a%3Fb&amp;for=acq/a+POST&amp;held={"h" * 43}"',
        ),
    ],
)
async def test_every_end_keeps_its_status_and_its_way_on(house, outcome, status, says):
    house.flows.outcome = outcome
    told, headers, text = await read(house, await address(house))
    assert (told, says in text, headers.get("Retry-After")) == (status, True, "5" if status == 503 else None)


@pytest.mark.parametrize("fault", ["down", "broken"])
async def test_what_could_not_be_asked_and_faults_of_ours_leave_the_address_with_the_code_too(house, fault):
    setattr(house.flows, fault, Reason.STORE_UNAVAILABLE if fault == "down" else RuntimeError("inside"))
    status, _, text = await read(house, await address(house))
    assert (status, "inside" in text) == (503 if fault == "down" else 500, False)


async def test_who_comes_too_often_leaves_the_address_with_the_code_too(time):
    async with running_pages(
        seals=Seals(KeyRing((bytes(32),), random_bytes=secrets.token_bytes)),
        rates=Rates({"callbacks": 1}),
        clock=time,
    ) as house:
        house.flows.outcome = SignedIn(TICKET, "/", SESSION)
        async with house.asked("GET", CALLBACK, cookies=COOKIE) as answer:
            assert answer.headers["Location"] == "https://acq.example.si/"
        status, headers, _ = await read(house, await address(house))
        assert (status, headers["Retry-After"]) == (429, "60")


async def test_another_browser_and_another_portal_get_the_chooser_and_learn_nothing(house):
    house.flows.outcome = MISSING
    refused = await address(house)
    for cookies, headers, origin in (
        (None, LATER, "https://acq.example.si"),
        (f"__Host-authproxy-flow={'x' * 43}", LATER, "https://acq.example.si"),
        (COOKIE, {**LATER, "X-Authproxy-Portal": "b2b"}, "http://b2b.example.si"),
    ):
        status, sent, text = await read(house, refused, cookies=cookies, headers=headers)
        assert (status, sent["Location"], text) == (303, f"{origin}/.authproxy/login", "")


async def test_what_was_told_to_a_browser_without_cookies_names_nobody(house):
    house.flows.outcome = SignInRefused(Reason.COOKIES_OFF, "/", person=BOR)
    refused = await address(house, cookies=None)
    for cookies in (None, COOKIE):
        status, _, text = await read(house, refused, cookies=cookies)
        assert (status, "keeps no cookies" in text, "Bor" in text) == (400, True, False)


@pytest.mark.parametrize("minutes", [31, -31])
async def test_after_half_an_hour_the_address_leads_to_the_chooser_and_the_same_place(house, time, minutes):
    house.flows.outcome = MISSING
    refused = await address(house)
    time.now = NOW + timedelta(minutes=minutes)
    status, headers, _ = await read(house, refused)
    assert (status, parse_qs(urlsplit(headers["Location"]).query)) == (303, {"rt": ["/orders?a=1"]})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _text: "",
        lambda text: text[:-8],
        lambda text: text[:9] + "AAAA" + text[13:],
        lambda text: text + "AAAA",
        lambda _text: "%C4%8D" * 80,
    ],
)
async def test_what_was_not_written_here_leads_to_the_chooser(house, spoil):
    house.flows.outcome = MISSING
    place, _, text = (await address(house)).partition("why=")
    status, headers, _ = await read(house, f"{place}why={spoil(text)}")
    assert (status, headers["Location"]) == (303, "https://acq.example.si/.authproxy/login")


async def test_a_script_is_told_where_it_has_asked_and_the_chosen_language_goes_along(house):
    house.flows.outcome = MISSING
    async with house.asked("GET", CALLBACK, cookies=COOKIE, headers={"Sec-Fetch-Mode": "cors"}) as answer:
        assert (answer.status, (await answer.json(content_type=None))["missing"]) == (
            403,
            ["tax_number", "birthdate"],
        )
    refused = await address(house, path=CALLBACK + "&lang=sl")
    assert (
        "V računu Rekono manjkata davčna številka ter datum rojstva</h1>" in (await read(house, refused))[2]
    )


async def test_a_long_way_back_is_cut_as_it_is_in_an_attempt(house):
    house.flows.outcome = SignInRefused(
        Reason.ATTEMPT_USED, "/" + secrets.token_urlsafe(60) + "?" + secrets.token_urlsafe(1200)
    )
    refused = await address(house)
    assert len(refused) < 1500
    assert "?" not in (await read(house, refused))[2].partition("login?rt=/")[2].partition('"')[0]

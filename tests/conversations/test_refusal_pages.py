"""Every end of a sign-in that signs nobody in: a page of its own in both languages, a problem for scripts,
and one way on that works."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from authproxy.bootstrap.open_sessions import list_sessions
from tests.support.gateway import ANA, BOR, CVETKA, DAVID, FLOW, TICKET
from tests.support.http_client import Browser

PLACE = "/izpis/2026/11?od=1"
AGAIN = "/.authproxy/login?rt=/izpis/2026/11%3Fod%3D1"

# By reason: status, title in Slovene and English, and the way on: the chooser, or a new sign-in at Rekono
# that asks anew.
PAGES = {
    "tax_number_missing": (
        403,
        "V računu Rekono manjka davčna številka",
        "Your Rekono account has no tax number",
        "anew",
    ),
    "tax_number_invalid": (403, "Davčna številka ni veljavna", "The tax number is not valid", "anew"),
    "tax_number_incomplete": (403, "Davčni številki manjka števka", "The tax number lacks a digit", "anew"),
    "personal_data_missing": (
        403,
        "V računu Rekono manjka datum rojstva",
        "Your Rekono account has no date of birth",
        "anew",
    ),
    "claims_contradict": (
        403,
        "Podatki iz računa Rekono se ne ujemajo",
        "The data from your Rekono account contradict each other",
        "anew",
    ),
    "level_too_low": (403, "Vaša stopnja zaupanja ne zadošča", "Your level of trust is not enough", "anew"),
    "consent_refused": (403, "Soglasje zavrnjeno", "You have not allowed access", "chooser"),
    "provider_refused": (403, "Rekono je prijavo zavrnil", "Rekono has refused the sign-in", "chooser"),
    "provider_answer_invalid": (
        502,
        "Odgovora storitve Rekono ni mogoče preveriti",
        "The answer from Rekono could not be verified",
        "chooser",
    ),
    "provider_unavailable": (503, "Rekono se ne odziva", "Rekono does not answer", "chooser"),
    "attempt_used": (
        400,
        "Ta prijava je že bila uporabljena",
        "This sign-in has been used already",
        "chooser",
    ),
    "attempt_too_old": (400, "Čas za prijavo je potekel", "Your sign-in attempt has timed out", "chooser"),
    "attempt_unknown": (400, "Te prijave ni mogoče najti", "This sign-in cannot be found", "front page"),
    "attempt_of_another_browser": (
        400,
        "Ta prijava se je začela v drugem brskalniku",
        "This sign-in was begun in another browser",
        "front page",
    ),
    "cookies_off": (
        400,
        "Vaš brskalnik ne shranjuje piškotkov",
        "Your browser keeps no cookies",
        "front page",
    ),
}
QUIRKS = {
    "tax_number_missing": "tax_number_missing",
    "tax_number_invalid": "tax_number_wrong_check_digit",
    "tax_number_incomplete": "tax_number_seven_digits",
    "personal_data_missing": "birthdate_missing",
    "claims_contradict": "tax_numbers_differ",
    "level_too_low": "level_10",
    "consent_refused": "access_denied",
    "provider_refused": "error_with_state",
    "provider_answer_invalid": "wrong_nonce",
    "provider_unavailable": "token_500_html",
}


async def address_that_ends_with(reason, house, person):
    """The address at which the person's browser is told the reason."""
    if reason in QUIRKS:
        await house.quirk(QUIRKS[reason])
    callback = await person.goes_to_callback(house.acq + PLACE)
    match reason:
        case "attempt_used":
            await person.browser.navigate(callback)
            person.browser.cookies.put(house.acq, TICKET, None)
        case "attempt_too_old":
            house.clock.advance(minutes=31)
        case "attempt_unknown":
            return re.sub(r"state=[^&]+", "state=somebody-elses", callback)
        case "attempt_of_another_browser":
            person.browser.cookies.put(house.acq, FLOW, "x" * 43)
        case "cookies_off":
            person.browser.cookies.put(house.acq, FLOW, None)
    return callback


@pytest.mark.parametrize("reason", PAGES)
async def test_a_sign_in_that_ends_with(houses, reason):
    """… is a page in the person's language with one way on and a short code, and a problem for a script;
    nobody is signed in."""
    status, slovene, english, way = PAGES[reason]
    async with houses(acq={"level": 20}) as house:
        for language, title in (("sl", slovene), ("en", english)):
            person = house.person(browser=Browser(language=language))
            page = await person.browser.navigate(
                await address_that_ends_with(reason, house, person), site="cross-site"
            )
            assert (page.status, page.all("set-cookie"), person.ticket(house.acq)) == (status, [], None)
            assert f"<title>{title} – ACQ</title>" in page.text
            assert re.search(rf"<code>{reason}-[0-9a-f]+</code>", page.text)
            assert leads_on(page, house, way)
        script = house.person()
        answer = await script.browser.fetch(await address_that_ends_with(reason, house, script))
        assert (answer.status, answer.header("content-type")) == (
            status,
            "application/problem+json; charset=utf-8",
        )
        assert (answer.json["reason"], script.ticket(house.acq), answer.all("set-cookie")) == (
            reason,
            None,
            [],
        )
        assert ANA not in answer.text


def leads_on(page, house, way):
    """Whether the page leads where it should, and to nothing of ours but that."""
    ours = {
        re.sub("&lang=(sl|en)$", "", link)
        for link in page.links
        if link.startswith(house.acq) and "#" not in link
    }
    if way == "anew":
        fields = [form.fields for form in page.forms]
        return ours == set() and {"method": "rekono", "rt": PLACE, "anew": "yes"} in fields
    return (
        ours == {house.acq + (AGAIN if way == "chooser" else "/.authproxy/login?rt=/")} and page.forms == ()
    )


@pytest.mark.parametrize(
    ("quirks", "missing", "title"),
    [
        (["birthdate_missing"], ["birthdate"], "manjka datum rojstva"),
        (["name_missing", "address_missing"], ["name", "address"], "manjkajo ime in priimek ter naslov"),
        (
            ["tax_number_missing", "birthdate_missing"],
            ["tax_number", "birthdate"],
            "manjkata davčna številka ter datum rojstva",
        ),
    ],
    ids=["one thing", "two things", "the tax number and more"],
)
async def test_everything_that_is_missing_is_named_in_the_title_on_the_page_and_to_scripts(
    house, ana, quirks, missing, title
):
    words = {
        "birthdate": "datum rojstva",
        "name": "ime in priimek",
        "address": "naslov",
        "tax_number": "davčna številka",
    }
    for quirk in quirks:
        await house.quirk(quirk)
    page = await ana.signs_in(house.acq + PLACE)
    listed = re.findall(r"<li>(.*?)</li>", page.text.partition("<main>")[2].partition("</main>")[0])
    assert listed == ([words[claim] for claim in missing] if len(missing) > 1 else [])
    assert f"<title>V računu Rekono {title} –" in page.text
    assert f"<h1>V računu Rekono {title}</h1>" in page.text
    assert house.settings.rekono.dashboard_url in page.links
    assert (await ana.browser.fetch(await ana.goes_to_callback(house.acq + PLACE))).json["missing"] == missing


async def clicks_anew(page, person):
    return await person.browser.submit(page, next(form for form in page.forms if "anew" in form.fields))


async def test_whoever_has_repaired_the_account_may_load_the_page_again_and_comes_in_with_the_next_click(
    house,
):
    bor = house.person(BOR)
    page = await bor.signs_in(house.acq + PLACE)
    assert (page.status, bor.ticket(house.acq)) == (403, None)
    assert "Bor Kranjc, bor.kranjc@example.si" in page.text
    assert page.url.startswith(f"{house.acq}/.authproxy/login/refused?")
    house.accounts.put(replace(bor.account, tax_number="99990032"))
    assert (again := await bor.opens(page.url)).text == page.text
    assert "attempt_used" not in again.text

    asked = await clicks_anew(page, bor)

    assert asked.is_redirect
    assert asked.location.startswith(house.issuer + "authorize")
    assert "prompt=login&max_age=300" in asked.location
    landed = await bor.walk(asked)
    assert (landed.status, landed.url) == (200, house.acq + PLACE)
    assert (await bor.browser.fetch(f"{house.acq}/api/jaz")).json["tax_number"] == "99990032"


async def test_a_wrong_account_gives_way_to_another_though_rekono_still_knows_the_first(house):
    bor = house.person(BOR)
    page = await bor.signs_in(house.acq + PLACE)
    david = house.person(DAVID, browser=bor.browser)

    window = await david.walk(
        await clicks_anew(page, bor),
        stop=lambda answer: any("password" in form.inputs for form in answer.forms),
    )
    landed = await david.walk(window)

    assert (landed.status, landed.url) == (200, house.acq + PLACE)
    assert (await david.browser.fetch(f"{house.acq}/api/jaz")).json["email"] == DAVID


async def test_the_way_through_the_chooser_works_as_well_after_a_repair(house):
    bor = house.person(BOR)
    assert (await bor.signs_in(house.acq + PLACE)).status == 403
    house.accounts.put(replace(bor.account, tax_number="99990032"))
    assert (await bor.signs_in(house.acq + PLACE)).url == house.acq + PLACE


async def test_a_refused_sign_in_ends_the_session_that_rested_on_older_data(house, ana):
    chooser = await ana.browser.follow(await ana.opens(house.acq + PLACE))
    await ana.signs_in(house.acq + "/")
    ticket = ana.ticket(house.acq)
    await house.quirk("tax_number_missing")
    page = await ana.walk(await ana.browser.submit(chooser, chooser.forms[0], {"method": "rekono"}))
    assert page.status == 403
    assert (await ana.browser.fetch(f"{house.acq}/api/jaz")).json["reason"] == "session_ended"
    assert await list_sessions(house.settings) == []
    await house.quirk(None)
    assert (await ana.walk(await clicks_anew(page, ana))).url == house.acq + PLACE
    assert ana.ticket(house.acq) not in {None, ticket}


async def test_a_provider_that_lies_ends_nobodys_session(house, ana):
    chooser = await ana.browser.follow(await ana.opens(house.acq + PLACE))
    await ana.signs_in(house.acq + "/")
    await house.quirk("wrong_nonce")
    assert (
        await ana.walk(await ana.browser.submit(chooser, chooser.forms[0], {"method": "rekono"}))
    ).status == 502
    assert (await ana.opens(house.acq + PLACE)).status == 200


@pytest.mark.parametrize(
    ("language", "says"), [("sl", ["srednja (20)", "visoka (30)"]), ("en", ["medium (20)", "high (30)"])]
)
async def test_a_part_that_demands_more_says_which_level_there_is_and_leads_somebody_else_there(
    houses, language, says
):
    async with houses(acq={"routes": [{"path": "/izpis", "level": 30}]}) as house:
        ana = house.person(browser=Browser(language=language))
        await ana.signs_in(house.acq + "/")
        page = await ana.opens(house.acq + PLACE)
        assert page.status == 403
        assert re.findall(r"<dd>(.*?)</dd>", page.text.partition("<main>")[2].partition("</main>")[0]) == says
        assert "Ana Novak, ana.novak@example.si" in page.text
        script = await ana.browser.fetch(house.acq + PLACE)
        assert (script.json["reason"], script.json["level"], script.json["level_needed"]) == (
            "level_too_low",
            20,
            30,
        )
        assert (await ana.opens(house.acq + "/")).status == 200

        cvetka = house.person(CVETKA, browser=ana.browser)
        landed = await cvetka.walk(await clicks_anew(page, ana))

        assert (landed.status, landed.url) == (200, house.acq + PLACE)
        assert (await cvetka.browser.fetch(f"{house.acq}/api/jaz")).json["email"] == CVETKA
        assert len(await list_sessions(house.settings)) == 1


@pytest.mark.parametrize("path", ["/a%2Fb", "/a%", "/..;/admin", "/a%00"])
async def test_a_person_reads_that_a_target_is_wrong_and_not_the_sign_in(house, path):
    ana = house.person()
    for signed_in in (False, True):
        if signed_in:
            await ana.signs_in(house.acq + "/")
        page = await ana.browser.navigate(house.acq + path)
        assert (page.status, page.header("connection")) == (400, "close")
        assert "<h1>Zahteve ni mogoče obdelati</h1>" in page.text
        script = await ana.browser.fetch(house.acq + path)
        assert (script.status, script.header("connection"), "<h1>" in script.text) == (400, "close", False)


async def test_what_a_client_says_of_a_refusal_is_not_believed(houses):
    async with houses(acq={"routes": [{"path": "/izpis", "level": 30}]}) as house:
        ana = house.person()
        await ana.signs_in(house.acq + "/")
        forged = {
            "X-Authproxy-Person": "Mallory",
            "X-Authproxy-Levels": "10 30",
            "X-Authproxy-Return-To": "/evil",
            "X-Authproxy-Reason": "unexpected",
        }
        page = await ana.browser.navigate(house.acq + PLACE, headers=forged)
        assert "level_too_low" in page.text
        assert not re.search("Mallory|/evil|<dd>nizka", page.text)


async def test_an_outage_at_the_click_keeps_the_way_back(houses):
    async with houses(provider_is_up=False) as house:
        ana = house.person()
        page = await ana.signs_in(house.acq + PLACE)
        assert (page.status, page.header("retry-after"), page.all("set-cookie")) == (503, "5", [])
        assert house.acq + AGAIN in page.links
        await house.provider.start()
        house.clock.advance(minutes=1)
        assert (await ana.signs_in(house.acq + AGAIN)).url == house.acq + PLACE

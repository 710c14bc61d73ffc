"""Ways to confirm, added and taken away on the page about one's session: only after a proof, and never
without the person hearing of it."""

from __future__ import annotations

import re

import pyotp
import pytest

from tests.support.gateway import ANA, CVETKA, DAVID
from tests.support.step_up import (
    PLACE,
    STEP_UP,
    answered,
    asked,
    begun,
    chosen,
    landed,
    offered,
    open_step_up_house,
    proved_again,
    sent,
    stepped_up,
    wrong,
)
from tests.support.waiting import until

SESSION = "/.authproxy/session"
METHODS = "/.authproxy/session/methods"


@pytest.fixture
async def house(redis_server):
    redis_server.command("FLUSHALL")
    async with open_step_up_house(redis_server.socket_url) as opened:
        yield opened


@pytest.fixture
async def david(house):
    """Is in no register, has enrolled nothing, and signed in six minutes ago."""
    person = await house.signed_in(DAVID)
    house.advance(minutes=6)
    return person


async def proved(house, person):
    """A fresh proof by text message, for a first method."""
    await proved_again(house, person, "sms")


async def adds(house, person, method, label=""):
    """What comes after the click on the session page."""
    page = await person.opens(house.acq + SESSION)
    [form] = [form for form in page.forms if ("method", method) in form.buttons]
    return await person.browser.submit(
        page, form, {"method": method} | ({"label": label} if "label" in form.inputs else {})
    )


def finishing(page):
    return next(form for form in page.forms if form.action.endswith("/session/methods/finish"))


def secret_on(house, page):
    """The key as it is typed into an application."""
    groups = re.search(r'<p class="groups">(.*?)</p>', page.text)[1]
    return house.keep_secret("".join(re.findall(r"<span>([A-Z2-7]+)</span>", groups)))


def activation_code_on(house, page):
    return house.keep_secret(re.search(r'<p class="number">([A-Z0-9-]+)</p>', page.text)[1])


def shown_codes(house, page):
    return [
        house.keep_secret(code)
        for code in dict.fromkeys(re.findall(r"<li>([2-9a-z]{5}-[2-9a-z]{5})</li>", page.text))
    ]


def code_of(house, secret, *, steps=0):
    return house.keep_secret(pyotp.TOTP(secret).at(int(house.clock().timestamp()) + 30 * steps))


async def with_application(house, person, label="Aplikacija"):
    """Adds an application, whose secret this is."""
    page = await adds(house, person, "totp", label)
    secret = secret_on(house, page)
    answer = await person.browser.submit(page, finishing(page), {"code": code_of(house, secret)})
    assert answer.location == f"{house.acq}{SESSION}?said=method-added"
    return secret


async def test_an_application_is_added_after_a_proof_and_proves_from_then_on(house, david):
    needed = await adds(house, david, "totp", "Moj telefon")
    assert (needed.status, needed.location.partition("?")[0]) == (303, f"{house.acq}{STEP_UP}")
    page = await david.browser.follow(needed)
    assert offered(page) == {"rekono", "sms"}
    assert "To bo vaš prvi način potrjevanja" in page.text
    answer = await answered(david, await chosen(david, page, "sms"), await house.code_sent(DAVID))
    assert answer.location == f"{house.acq}{SESSION}"

    page = await adds(house, david, "totp", "Moj telefon")
    secret = secret_on(house, page)
    assert "<svg" in page.text
    again = await david.browser.submit(page, finishing(page), {"code": wrong(code_of(house, secret))[0]})
    assert (again.status, "Koda ni bila sprejeta" in again.text, secret_on(house, again)) == (
        200,
        True,
        secret,
    )
    added = await landed(
        david, await david.browser.submit(again, finishing(again), {"code": code_of(house, secret)})
    )
    assert "Moj telefon" in added.text
    assert secret not in added.text
    assert [event["method"] for event in house.events("method.enrolled")][-1] == "totp"
    assert "dodana aplikacija" in (await house.messages(DAVID))[0]

    house.advance(minutes=6)
    page = await begun(david, house.acq + PLACE, "totp")
    assert "Moj telefon" in page.text
    assert (await landed(david, await answered(david, page, code_of(house, secret)))).url == house.acq + PLACE


async def test_a_code_is_good_once_though_the_enrolment_has_just_taken_it(house, david):
    await proved(house, david)
    page = await adds(house, david, "totp")
    secret = secret_on(house, page)
    code = code_of(house, secret)
    await david.browser.submit(page, finishing(page), {"code": code})
    # Another session of the same person, at the same moment.
    other = await house.signed_in(DAVID)
    challenge = await begun(other, house.acq + PLACE, "totp")
    assert not stepped_up(await answered(other, challenge, code))
    assert stepped_up(await answered(other, challenge, code_of(house, secret, steps=1)))


async def test_a_phone_is_added_by_its_code_and_answers_from_then_on(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "totp", ":push")
    page = await adds(house, ana, "push", "Službeni telefon")
    code = activation_code_on(house, page)
    waiting = await ana.browser.submit(page, finishing(page))
    assert (waiting.status, activation_code_on(house, waiting)) == (200, code)
    assert (await house.activates(code, "Telefon")).status == 201
    added = await landed(ana, await ana.browser.submit(waiting, finishing(waiting)))
    assert "Službeni telefon" in added.text
    assert "dodan telefon" in (await house.messages())[0]

    house.advance(minutes=6)
    challenge = await begun(ana, house.acq + PLACE, "push")
    assert "Službeni telefon" in challenge.text  # of several phones the newest is asked
    await house.answers_push()
    assert (await landed(ana, await answered(ana, challenge))).url == house.acq + PLACE


async def test_recovery_codes_are_shown_once_and_new_ones_make_the_old_ones_worthless(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "push", ":recovery")
    old = shown_codes(house, await adds(house, ana, "recovery"))
    new = shown_codes(house, await adds(house, ana, "recovery"))
    assert len(set(old) | set(new)) == 20
    page = await ana.opens(house.acq + SESSION)
    assert not any(code in page.text for code in old + new)
    challenge = await landed(
        ana, await sent(ana, house.acq + STEP_UP, {"method": "recovery", "rt": SESSION, "for": ":any"})
    )
    assert not stepped_up(await answered(ana, challenge, old[0]))
    assert stepped_up(await answered(ana, challenge, new[0]))
    assert [event["method"] for event in house.events("method.enrolled")][-2:] == ["recovery", "recovery"]
    # The first sheet was told at once; the second, and that a code of it was used, make one message together.
    assert ["nove rezervne kode" in text for text in await house.messages()] == [True]
    house.advance(minutes=5)

    async def told_together():
        return ["2 sprememb" in text for text in await house.messages()] == [True, False]

    await until(told_together, within=15)


async def test_the_earlier_number_hears_at_the_next_sign_in_that_codes_go_to_another_one(house):
    await house.signed_in()
    await house.moves_phone("+38640999111")
    assert await house.messages() == []
    await house.signed_in()
    [text] = await house.messages()
    assert "drugo številko: ••• 111" in text
    await house.signed_in()
    assert len(await house.messages()) == 1


@pytest.mark.parametrize(
    ("method", "proofs"), [("totp", {"push"}), ("push", {"totp"}), ("recovery", {"push", "totp"})]
)
async def test_nothing_is_added_without_a_fresh_proof_by_something_else_of_ones_own(house, method, proofs):
    ana = await house.signed_in()
    house.advance(minutes=6)
    needed = await adds(house, ana, method)
    assert (needed.status, needed.location.partition("?")[0]) == (303, f"{house.acq}{STEP_UP}")
    page = await ana.browser.follow(needed)
    assert offered(page) == proofs
    assert "z enim od načinov, ki jih že imate" in page.text
    # Nor by asking for it at the form: not by the same, and not by what a thief of the account has.
    for other in (method, "rekono", "sms"):
        refused = await sent(ana, house.acq + STEP_UP, {"method": other, "rt": SESSION, "for": f":{method}"})
        assert refused.status == 403
    script = await sent(ana, house.acq + METHODS, {"method": method, "label": ""}, is_script=True)
    assert (script.status, script.json["reason"]) == (403, "foreign_origin")
    assert await house.messages() == []


async def test_a_sign_in_at_rekono_alone_makes_and_removes_no_factor_beside_those_that_are_there(house):
    """A fresh session of whoever has the account at Rekono, and nothing else of its person's."""
    thief = await house.signed_in()
    link, *_ = removals(await thief.opens(house.acq + SESSION))
    refused = [await adds(house, thief, method) for method in ("totp", "push", "recovery")]
    refused.append(await sent(thief, f"{house.acq}{METHODS}/remove", {"id": link.partition("id=")[2]}))
    assert [answer.location.partition("?")[0] for answer in refused] == [f"{house.acq}{STEP_UP}"] * 4
    pages = [await thief.browser.follow(answer) for answer in refused]
    assert [offered(page) & {"rekono", "sms"} for page in pages] == [set()] * 4
    assert house.events("challenge.issued") == []


async def test_the_first_factor_takes_a_sign_in_that_was_asked_for_and_is_told_of(house):
    david = await house.signed_in(DAVID)
    page = await david.browser.follow(await adds(house, david, "totp"))
    assert offered(page) == {"rekono", "sms"}
    back = await david.walk(await chosen(david, page, "rekono"))
    assert back.url == house.acq + SESSION
    secret_on(house, await adds(house, david, "totp"))


async def test_a_proof_by_the_same_method_adds_no_other_of_its_kind(house):
    ana = await house.signed_in()
    house.advance(minutes=6)
    await landed(ana, await answered(ana, await begun(ana, house.acq + PLACE, "totp"), house.app_code()))
    assert (await adds(house, ana, "totp")).status == 303
    assert (await adds(house, ana, "push")).status == 200


async def test_what_was_begun_in_one_session_is_not_finished_in_another(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "push")
    page = await adds(house, ana, "totp")
    secret = secret_on(house, page)
    other = await house.signed_in()
    answer = await other.browser.submit(page, finishing(page), {"code": code_of(house, secret)})
    assert answer.location.endswith("said=method-expired")
    cvetka = await house.signed_in(CVETKA)
    answer = await cvetka.browser.submit(page, finishing(page), {"code": code_of(house, secret)})
    assert answer.location.endswith("said=method-expired")
    assert len([event for event in house.events("method.enrolled") if event["by"] != "operator"]) == 0


async def test_what_is_begun_waits_ten_minutes(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "push")
    page = await adds(house, ana, "totp")
    secret = secret_on(house, page)
    house.advance(minutes=10, seconds=1)
    late = await ana.browser.submit(page, finishing(page), {"code": code_of(house, secret)})
    assert late.location.endswith("said=method-expired")


def removals(page):
    return [link for link in page.links if "/session/methods/remove?" in link and "lang=" not in link]


async def test_what_is_removed_proves_nothing_any_more_and_the_person_hears_of_it(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "totp")
    first, *_ = removals(await ana.opens(house.acq + SESSION))
    question = await ana.opens(first)
    assert len(removals(await ana.opens(house.acq + SESSION))) == 2
    [form] = [form for form in question.forms if form.action.endswith("/session/methods/remove")]
    page = await landed(ana, await ana.browser.submit(question, form))
    assert len(removals(page)) == 1
    [removed] = house.events("method.removed")
    house.advance(minutes=6)
    assert removed["method"] not in offered(await asked(ana, house.acq + PLACE))
    assert "odstranjen" in (await house.messages())[0]
    again = await ana.browser.submit(question, form)
    assert again.location.endswith("said=method-gone")


async def test_nothing_is_removed_without_a_fresh_proof_and_nothing_of_somebody_elses(house):
    ana, cvetka = await house.signed_in(), await house.signed_in(CVETKA)
    link, *_ = removals(await ana.opens(house.acq + SESSION))
    enrolment_id = link.partition("id=")[2]
    theirs = await sent(cvetka, f"{house.acq}{METHODS}/remove", {"id": enrolment_id})
    assert theirs.location.endswith("said=method-gone")
    house.advance(minutes=6)
    needed = await sent(ana, f"{house.acq}{METHODS}/remove", {"id": enrolment_id})
    assert f"{STEP_UP}?" in needed.location
    assert len(removals(await ana.opens(house.acq + SESSION))) == 2
    assert house.events("method.removed") == []


async def test_a_challenge_that_waits_for_a_removed_phone_cannot_be_approved_by_it(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "totp")
    page = await begun(ana, f"{house.acq}/piskotek", "push")
    await house.answers_push()
    phone = next(link for link in removals(await ana.opens(house.acq + SESSION)) if "phone" in link)
    await sent(ana, f"{house.acq}{METHODS}/remove", {"id": phone.partition("id=")[2]})
    assert [event["method"] for event in house.events("method.removed")] == ["push"]
    assert not stepped_up(await answered(ana, page))


async def test_more_than_ten_methods_are_not_kept(house):
    ana = await house.signed_in()
    await proved_again(house, ana, "push")
    for _ in range(8):
        await with_application(house, ana)
    page = await adds(house, ana, "totp")
    answer = await ana.browser.submit(page, finishing(page), {"code": code_of(house, secret_on(house, page))})
    assert answer.location.endswith("said=method-too-many")
    assert len(removals(await ana.opens(house.acq + SESSION))) == 10


async def test_enrolled_methods_belong_to_the_person_at_every_portal_and_in_every_session(house, david):
    await proved(house, david)
    await with_application(house, david, "Aplikacija")
    other = await house.signed_in(DAVID)
    assert "totp" in offered(await asked(other, house.acq + PLACE))
    ana = await house.signed_in(ANA)
    assert "Aplikacija" not in (await ana.opens(house.acq + SESSION)).text

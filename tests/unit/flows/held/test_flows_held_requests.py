from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.held_request import HeldRequest, is_name
from authproxy.flows.held.requests import HeldRequests
from authproxy.identity.person import MemberId, Subject
from authproxy.storage.memory import MemoryLimits, MemorySharedOctets
from authproxy.storage.retention import BlockRules
from tests.support.session_builders import NOW, new_ticket, session_for

RULES = BlockRules(after=5, lasts=timedelta(minutes=15), at_most=timedelta(hours=24))
FORM = HeldRequest(
    target="/payments?new",
    content_type="Application/X-WWW-Form-Urlencoded; charset=utf-8",
    fields=(
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("Referer", "https://acq.example/\xe8"),
    ),
    body=b"amount=12\n50&\x00\xff",
)


class HeldRequestsFixture:
    def __init__(self):
        self.now = NOW
        self.kept = MemorySharedOctets(clock=lambda: self.now)
        self.held = self.anew()
        self.ana = session_for(new_ticket())

    def anew(self, *, size=1024, types=("application/x-www-form-urlencoded", "text/plain")):
        return HeldRequests(
            store=self.kept,
            limits=MemoryLimits(people=RULES, addresses=RULES),
            random_text=secrets.token_urlsafe,
            lives_for=timedelta(minutes=30),
            size=size,
            types=types,
        )


@pytest.fixture
def house():
    return HeldRequestsFixture()


async def test_a_form_comes_back_byte_for_byte_and_once(house):
    name = await house.held.keep(house.ana, FORM, now=NOW)
    assert is_name(name)
    assert await house.held.take(name, house.ana, "/payments?new") == FORM
    assert await house.held.take(name, house.ana, "/payments?new") is None
    assert await house.held.preview(name, house.ana) is None


class AskedOverTheNetwork(MemorySharedOctets):
    """Others take the form between its reading and its taking."""

    async def get(self, key):
        octets = await super().get(key)
        await asyncio.sleep(0)
        return octets


async def test_if_many_take_a_form_at_one_moment_one_gets_it(house):
    house.kept = AskedOverTheNetwork(clock=lambda: house.now)
    held = house.anew()
    name = await held.keep(house.ana, FORM, now=NOW)
    taken = await asyncio.gather(
        *(held.take(name, house.ana, "/payments?new") for _ in range(5)), held.discard(name, house.ana)
    )
    assert taken == [FORM, None, None, None, None, False]


async def test_each_of_two_forms_comes_back_under_its_own_name(house):
    other = replace(FORM, body=b"amount=7")
    names = [await house.held.keep(house.ana, form, now=NOW) for form in (FORM, other)]
    assert [await house.held.take(name, house.ana, "/payments?new") for name in names] == [FORM, other]


async def test_a_form_is_still_its_persons_under_a_new_ticket_and_after_signing_in_again(house):
    name = await house.held.keep(house.ana, FORM, now=NOW)
    anew = session_for(new_ticket(), started_at=NOW + timedelta(minutes=1), method="acnlb")
    assert await house.held.take(name, anew, "/payments?new") == FORM


@pytest.mark.parametrize(
    "stranger",
    [
        lambda ana: replace(ana, person=replace(ana.person, subject=Subject("bor.kranjc"))),
        lambda ana: replace(ana, person=replace(ana.person, member=MemberId("m-1"))),
        lambda ana: replace(ana, portal="b2b"),
    ],
)
async def test_another_person_or_portal_finds_nothing_and_takes_nothing(house, stranger):
    name = await house.held.keep(house.ana, FORM, now=NOW)
    other = stranger(house.ana)
    assert await house.held.preview(name, other) is None
    assert await house.held.take(name, other, "/payments?new") is None
    assert not await house.held.discard(name, other)
    assert await house.held.take(name, house.ana, "/payments?new") == FORM


async def test_a_form_goes_only_to_the_address_that_it_was_sent_to(house):
    name = await house.held.keep(house.ana, FORM, now=NOW)
    for target in ("/payments", "/payments?new=", "/", ""):
        assert await house.held.take(name, house.ana, target) is None
    assert await house.held.take(name, house.ana, "/payments?new") == FORM


async def test_a_form_is_held_as_long_as_an_attempt_lives(house):
    name = await house.held.keep(house.ana, FORM, now=NOW)
    house.now = NOW + timedelta(minutes=30)
    assert await house.held.take(name, house.ana, "/payments?new") is None


async def test_the_preview_is_what_would_be_sent_and_the_form_stays(house):
    name = await house.held.keep(house.ana, replace(FORM, body=b"amount=12%2C50&to=%3Cscript%3E"), now=NOW)
    for _ in range(2):
        shown = await house.held.preview(name, house.ana)
        assert (shown.method, shown.target, shown.content_type, shown.size) == (
            "POST",
            "/payments?new",
            "application/x-www-form-urlencoded",
            30,
        )
        assert (shown.fields, shown.files, shown.is_whole) == (
            (("amount", "12,50"), ("to", "<script>")),
            (),
            True,
        )
    assert "12,50" not in repr(shown)


async def test_a_form_that_could_not_be_sent_is_held_again(house):
    name = await house.held.keep(house.ana, FORM, now=NOW)
    await house.held.give_back(name, house.ana, await house.held.take(name, house.ana, "/payments?new"))
    assert await house.held.take(name, house.ana, "/payments?new") == FORM


async def test_a_discarded_form_is_gone(house):
    name = await house.held.keep(house.ana, FORM, now=NOW)
    assert await house.held.discard(name, house.ana)
    assert not await house.held.discard(name, house.ana)


async def test_one_person_cannot_fill_the_store(house):
    names = [await house.held.keep(house.ana, FORM, now=NOW) for _ in range(31)]
    assert [name is None for name in names] == [False] * 30 + [True]
    other = replace(house.ana, person=replace(house.ana.person, subject=Subject("bor.kranjc")))
    assert await house.held.keep(other, FORM, now=NOW) is not None
    assert await house.held.keep(house.ana, FORM, now=NOW + timedelta(hours=1)) is not None


@pytest.mark.parametrize(
    ("content_type", "size", "takes"),
    [
        ("text/plain", 1024, True),
        ("text/plain", 1025, False),
        ("text/plain", 0, True),
        ("TEXT/Plain; charset=x", 1, True),
        ("text/html", 1, False),
        ("text/plainer", 1, False),
        ("", 1, False),
    ],
)
async def test_only_listed_types_up_to_a_size_are_taken(house, content_type, size, takes):
    assert house.held.takes(content_type, size) is takes


async def test_with_a_size_of_0_not_even_an_empty_form_is_held(house):
    assert not house.anew(size=0).takes("text/plain", 0)


@pytest.mark.parametrize("name", ["", "x", "../" * 20, "a" * 42 + "\n"])
async def test_the_store_is_not_asked_for_a_text_that_is_not_a_name(house, name):
    octets = await house.kept.get(f"held request {await house.held.keep(house.ana, FORM, now=NOW)}")
    await house.kept.put(f"held request {name}", octets, timedelta(minutes=1))
    assert await house.held.preview(name, house.ana) is None
    assert await house.held.take(name, house.ana, "/") is None


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b"not json\nbody", b'{"owner": 1}\n', b'{"owner": [], "portal": "acq"}\n', b"[]\n"]
)
async def test_a_record_in_the_format_of_another_version_is_treated_as_absent(house, octets):
    name = secrets.token_urlsafe(32)
    await house.kept.put(f"held request {name}", octets, timedelta(minutes=1))
    assert await house.held.preview(name, house.ana) is None

from __future__ import annotations

import json
import secrets
from dataclasses import replace

import pytest
from stdnum.si import ddv

from authproxy.sandbox.accounts import Accounts, EmailTaken, ProviderAccount, TaxNumberTaken, people
from authproxy.sandbox.identity_provider.openid.claims import released

EVA = ProviderAccount(
    subject="90400.EVA", email="Eva.Cuk@example.si", password_hash="scrypt$…", phone="+38640123456"
)
EVERYTHING = ("openid", "profile", "email", "phone", "address", "http://idp.rekono.si/openid/taxnumber")


@pytest.fixture
def accounts():
    return people(secrets.token_bytes)


def test_accounts_are_found_however_the_address_is_typed(accounts):
    assert accounts.find(" Ana.NOVAK@example.si ").name == "Ana Novak"
    assert "Ana.NOVAK@example.si" in accounts
    assert accounts.find("nobody@example.si") is None


def test_people_have_valid_tax_numbers_of_their_own_and_distinct_subjects(accounts):
    numbers = [account.tax_number for account in accounts if account.tax_number]
    assert all(ddv.is_valid(number) for number in numbers)
    assert len({account.subject for account in accounts}) == len(list(accounts)) == 4
    assert len(set(numbers)) == 3
    assert {account.level for account in accounts} == {10, 20, 30}


def test_an_account_shows_neither_password_nor_secret_nor_personal_numbers_of_itself(accounts):
    account = accounts.find("ana.novak@example.si")
    for hidden in (
        account.password_hash,
        account.puk_hash,
        account.totp_secret,
        account.tax_number,
        account.phone,
        account.birthdate,
    ):
        assert hidden not in repr(account)


def test_an_address_belongs_to_one_account_whatever_its_case(accounts):
    accounts.add(EVA)
    with pytest.raises(EmailTaken):
        accounts.add(replace(EVA, subject="other", email="eva.cuk@EXAMPLE.si"))
    assert accounts.find("eva.cuk@example.si").subject == "90400.EVA"


def test_a_tax_number_belongs_to_one_account_and_stays_with_its_own(accounts):
    accounts.add(EVA)
    with pytest.raises(TaxNumberTaken):
        accounts.put(replace(EVA, tax_number="99990008"))
    accounts.put(replace(EVA, tax_number="99990032"))
    accounts.put(replace(EVA, tax_number="99990032", given_name="Eva"))
    assert accounts.find(EVA.email).given_name == "Eva"
    assert not accounts.tax_number_is_taken("99990032", by_other_than=EVA.email.upper())


def test_a_telephone_may_be_shared(accounts):
    accounts.add(EVA)
    assert accounts.find(EVA.email).phone == accounts.find("ana.novak@example.si").phone


def test_only_the_people_of_the_beginning_are_named_on_pages_as_they_are_now(accounts):
    accounts.add(EVA)
    accounts.put(replace(accounts.find("bor.kranjc@example.si"), tax_number="99990032"))
    assert [account.email.partition(".")[0] for account in accounts.seeded] == [
        "ana",
        "bor",
        "cvetka",
        "david",
    ]
    assert accounts.seeded[1].tax_number == "99990032"


def test_a_new_account_states_only_what_it_knows():
    assert released(EVA, EVERYTHING) == {
        "sub": "90400.EVA",
        "loa": 10,
        "preferred_username": EVA.email,
        "locale": "sl",
        "email": EVA.email,
        "email_verified": True,
        "phone_number": "+38640123456",
        "phone_number_verified": True,
    }
    assert released(replace(EVA, family_name="Cuk"), ("profile",))["name"] == "Cuk"


def test_what_was_saved_comes_back_as_it_was(accounts):
    accounts.add(EVA)
    accounts.put(replace(accounts.find("ana.novak@example.si"), totp_secret="SECRET"))
    saved = json.loads(json.dumps(accounts.snapshot()))
    after = people(secrets.token_bytes)
    after.restore(saved)
    assert list(after) == list(accounts)
    assert after.find("ana.novak@example.si").totp_secret == "SECRET"


def test_somebody_who_was_not_there_when_it_was_saved_stays_without_a_tax_number_that_is_taken(accounts):
    earlier = Accounts([replace(EVA, tax_number="99990008")])
    accounts.restore(earlier.snapshot())
    assert accounts.find(EVA.email).tax_number == "99990008"
    assert accounts.find("ana.novak@example.si").tax_number is None
    assert accounts.find("david.horvat@example.si").tax_number == "99990024"


@pytest.mark.parametrize(
    "damage",
    [
        lambda saved: 3,
        lambda saved: [3],
        lambda saved: [{}],
        lambda saved: [saved[0] | {"level": "20"}],
        lambda saved: [saved[0] | {"level": True}],
        lambda saved: [saved[0] | {"phone": 3}],
        lambda saved: [saved[0] | {"unknown": "x"}],
        lambda saved: [saved[0] | {"address": {"street_address": "x"}}],
        lambda saved: [saved[0], saved[0]],
    ],
    ids=[
        "number",
        "list of numbers",
        "empty account",
        "level as text",
        "level as truth",
        "telephone as number",
        "unknown member",
        "half an address",
        "twice the same",
    ],
)
def test_what_was_not_written_by_us_is_an_error_and_changes_nothing(accounts, damage):
    before = list(accounts)
    with pytest.raises((TypeError, ValueError)):
        accounts.restore(damage(accounts.snapshot()))
    assert list(accounts) == before

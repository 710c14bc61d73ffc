from __future__ import annotations

import secrets

from stdnum.si import ddv

from authproxy.sandbox.accounts import people


def test_accounts_are_found_however_the_address_is_typed():
    accounts = people(secrets.token_bytes)
    assert accounts.find(" Ana.NOVAK@example.si ").name == "Ana Novak"
    assert accounts.find("nobody@example.si") is None


def test_people_have_valid_tax_numbers_of_their_own_and_distinct_subjects():
    accounts = list(people(secrets.token_bytes))
    numbers = [account.tax_number for account in accounts if account.tax_number]
    assert all(ddv.is_valid(number) for number in numbers)
    assert len({account.subject for account in accounts}) == len(accounts) == 4
    assert len(set(numbers)) == 3
    assert {account.level for account in accounts} == {10, 20, 30}


def test_an_account_shows_neither_password_nor_secret_nor_personal_numbers_of_itself():
    account = people(secrets.token_bytes).find("ana.novak@example.si")
    for hidden in (account.password, account.totp_secret, account.tax_number, account.phone, account.birthdate):
        assert hidden not in repr(account)

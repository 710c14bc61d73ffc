from __future__ import annotations

import secrets

from authproxy.sandbox.accounts import people
from authproxy.sandbox.installation import installed_beforehand


def test_everybody_with_a_code_secret_has_the_app_from_the_start_and_nobody_else():
    accounts = people(secrets.token_bytes)
    installed = installed_beforehand(accounts, secrets.token_bytes)
    assert {one.email: (one.name, one.totp_secret) for one in installed} == {
        account.email: (account.name, account.totp_secret)
        for account in accounts
        if account.totp_secret is not None
    }
    assert "david.horvat@example.si" not in {one.email for one in installed}
    assert len({one.device_token for one in installed} | {one.device_id for one in installed}) == 2 * len(
        installed
    )


def test_neither_token_nor_secret_appears_where_an_installation_is_printed():
    [one, *_] = installed_beforehand(people(secrets.token_bytes), secrets.token_bytes)
    assert one.device_token not in repr(one)
    assert one.totp_secret not in repr(one)

from __future__ import annotations

import pytest
from stdnum.si import ddv

from authproxy.sandbox.accounts import people
from authproxy.sandbox.certificate_authority.orders import ORDERS, ordered


@pytest.mark.parametrize("asked", ["ana.novak", "ana", "Ana.Novak@example.si", " ANA "])
def test_a_person_is_found_by_whatever_they_are_called(asked):
    assert ordered(asked).name == "ana.novak"


@pytest.mark.parametrize("asked", ["", "bor.kranjc", "ana.novak.p12", "novak"])
def test_who_has_no_certificate_is_not_found(asked):
    assert ordered(asked) is None


def test_a_variant_is_found_by_its_name_and_never_instead_of_a_person():
    assert [ordered(order.name) for order in ORDERS] == list(ORDERS)
    assert ordered("seal").is_seal


def test_people_with_an_account_have_its_name_and_address():
    accounts = people(bytes)
    for name in ("ana.novak", "cvetka.zupan"):
        account, order = accounts.find(f"{name}@example.si"), ordered(name)
        assert (order.common_name, order.email) == (account.name, account.email)
    assert ordered("cvetka").serial_number == f"TINSI-{accounts.find('cvetka.zupan@example.si').tax_number}"


def test_tax_numbers_can_exist_and_whoever_shares_a_key_shares_its_size():
    numbers = [
        order.serial_number.removeprefix("TINSI-")
        for order in ORDERS
        if order.serial_number.startswith("TINSI-")
    ]
    numbers += [order.organization[1] for order in ORDERS if order.organization]
    assert numbers
    assert all(ddv.is_valid(number) for number in numbers)
    sizes = {}
    assert all(sizes.setdefault(order.key, order.bits) == order.bits for order in ORDERS)

from __future__ import annotations

from authproxy.sandbox.portals.ledger import GENERATED, instant_payments, transactions

BANKS = ["Banka Nanos", "Banka Pohorje", "Hranilnica Kolpa"]


def test_what_is_listed_is_the_same_at_every_start():
    assert transactions(["Pekarna"], 30) == transactions(["Pekarna"], 30)
    assert sorted(GENERATED) == ["instant_payments", "transactions"]


def test_transactions_are_of_november_up_to_today_and_each_has_a_number_of_its_own():
    rows = transactions(["Pekarna", "Market"], 120)
    assert len({row[0] for row in rows}) == 120
    assert (min(row[1] for row in rows), max(row[1] for row in rows)) == ("2026-11-01", "2026-11-22")
    assert {row[5] for row in rows} == {"poravnano", "v obdelavi", "zavrnjeno"}


def test_no_bank_pays_itself_and_the_newest_payment_comes_first():
    rows = instant_payments(BANKS, 90)
    assert len({row[0] for row in rows}) == 90
    assert all(payer != payee for _, _, payer, payee, *_ in rows)
    assert [row[1][:5] for row in rows] == sorted((row[1][:5] for row in rows), reverse=True)

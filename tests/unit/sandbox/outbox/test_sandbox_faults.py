from __future__ import annotations

import asyncio

import pytest

from authproxy.sandbox.faults import NotAFault
from authproxy.sandbox.outbox.faults import DeliveryFaults, delivery_fault
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({}, "service"),
        ({"service": "fax"}, "service"),
        ({"service": "sms"}, "how"),
        ({"service": "sms", "how": "explode"}, "how"),
        ({"service": "sms", "how": "lose", "to": 5}, "to"),
        ({"service": "sms", "how": "slow", "seconds": True}, "seconds"),
        ({"service": "sms", "how": "slow", "seconds": -1}, "seconds"),
        ({"service": "mail", "how": "slow", "seconds": 601}, "seconds"),
        ({"service": "mail", "how": "slow", "seconds": "9"}, "seconds"),
    ],
)
def test_what_cannot_be_broken_is_named(body, member):
    with pytest.raises(NotAFault, match=f"^{member}$"):
        delivery_fault(body)


async def test_a_fault_meets_its_service_and_its_recipient_only():
    faults = DeliveryFaults()
    faults.add(delivery_fault({"service": "mail", "how": "reject", "to": "Ana@example.si"}))
    assert await faults.met("mail", "ana@example.si") == "reject"
    assert await faults.met("mail", "bor@example.si") is None
    assert await faults.met("sms", "+38640123456") is None
    assert [each.as_json() for each in faults] == [
        {"service": "mail", "how": "reject", "to": "Ana@example.si", "seconds": 30.0}
    ]


async def test_a_slow_answer_waits_for_its_time_or_until_all_is_mended():
    faults = DeliveryFaults()
    faults.add(delivery_fault({"service": "sms", "how": "slow", "seconds": 0}))
    assert await faults.met("sms", "+38640123456") == "slow"
    faults.add(delivery_fault({"service": "sms", "how": "slow", "seconds": 600}))
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as waiting:
        answer = waiting.create_task(faults.met("sms", "+38640123456"))
        await asyncio.sleep(0)  # until it waits
        assert not answer.done()
        faults.mend()
    assert list(faults) == []


async def test_another_fault_ends_the_waiting_for_the_one_before():
    faults = DeliveryFaults()
    faults.add(delivery_fault({"service": "sms", "how": "slow", "seconds": 600}))
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as waiting:
        answer = waiting.create_task(faults.met("sms", "+38640123456"))
        await asyncio.sleep(0)
        faults.add(delivery_fault({"service": "sms", "how": "error"}))
    assert answer.result() == "slow"
    assert await faults.met("sms", "+38640123456") == "error"

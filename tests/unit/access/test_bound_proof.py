from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access import bound_proof
from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Requirement, StepUp
from authproxy.flows.step_up.elevation import with_proof
from authproxy.identity.assurance import AuthenticationEvent, Level
from tests.support.session_builders import NOW

FORM = HeldRequest(
    target="/pay?x=1",
    content_type="application/x-www-form-urlencoded",
    fields=(("Referer", "https://a/"),),
    body=b"amount=1",
)
NAME = "h" * 43
BINDING = bound_proof.of_form(NAME, FORM)
ALONE = Requirement(
    level=Level.MEDIUM, step_up=StepUp(methods=("push", "rekono"), max_age=timedelta(0), acr=("high",))
)
PROOF = AuthenticationEvent(
    method="push", at=NOW, source="g", is_step_up=False, level=Level.MEDIUM, bound_to=f"{BINDING}.1"
)


@pytest.mark.parametrize(
    "changed",
    [
        {"target": "/pay?x=2"},
        {"content_type": "application/x-www-form-urlencoded; charset=x"},
        {"fields": ()},
        {"fields": (("Referer", "https://b/"),)},
        {"fields": (("Referer", "https://a/"), ("Origin", "x"))},
        {"body": b"amount=2"},
        {"body": b""},
        # The same bytes, divided otherwise into parts.
        {"target": "/pay?x=", "content_type": "1application/x-www-form-urlencoded"},
    ],
)
def test_every_part_of_a_form_is_in_its_name(changed):
    assert bound_proof.of_form(NAME, replace(FORM, **changed)) != BINDING
    assert bound_proof.of_form("i" * 43, FORM) != BINDING
    assert bound_proof.of_form(NAME, replace(FORM)) == BINDING


def test_the_name_of_a_get_differs_from_that_of_a_form():
    assert (
        len(
            {
                bound_proof.of_get("/pay"),
                bound_proof.of_get("/pay?"),
                bound_proof.of_get("/Pay"),
                BINDING,
            }
        )
        == 4
    )


@pytest.mark.parametrize(
    ("changed", "is_found"),
    [
        ({}, True),
        ({"at": NOW - timedelta(minutes=5)}, True),
        ({"at": NOW - timedelta(minutes=5, microseconds=1)}, False),
        ({"at": NOW + timedelta(seconds=3)}, True),
        ({"bound_to": None}, False),
        ({"bound_to": f"{bound_proof.of_get('/pay')}.1"}, False),
        ({"bound_to": BINDING}, False),
        ({"method": "sms"}, False),
        ({"method": "rekono"}, False),
        ({"method": "rekono", "acr": "high"}, True),
        ({"level": Level.LOW}, False),
        ({"level": None}, False),
    ],
)
def test_a_proof_is_found_for_its_request_while_it_is_fresh_and_sufficient(changed, is_found):
    proof = replace(PROOF, **changed)
    assert bound_proof.matching_proofs([proof], BINDING, ALONE, NOW) == ([proof] if is_found else [])
    assert bound_proof.matching_proofs([proof], "", ALONE, NOW) == []
    assert bound_proof.matching_proofs([proof], BINDING, Requirement(), NOW) == []


@pytest.mark.parametrize("acr", [None, "low"])
def test_without_an_essential_acr_any_proof_by_the_provider_is_found(acr):
    proof = replace(PROOF, method="rekono", acr=acr)
    anything = replace(ALONE, step_up=replace(ALONE.step_up, acr=()))
    assert bound_proof.matching_proofs([proof], BINDING, anything, NOW) == [proof]


def test_the_newest_of_several_comes_first():
    later = replace(PROOF, at=NOW + timedelta(seconds=1), bound_to=f"{BINDING}.2")
    assert bound_proof.matching_proofs([PROOF, later], BINDING, ALONE, NOW) == [later, PROOF]


@pytest.mark.parametrize("at", [NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)])
def test_no_earlier_proof_satisfies_a_demand_for_each_request(at):
    """Not even one of this moment, or of a clock that is ahead."""
    event = AuthenticationEvent(method="push", at=at, source="g", is_step_up=True, level=Level.HIGH)
    assert not ALONE.step_up.is_met_by([event], NOW)
    assert ALONE.is_per_request
    assert not any(
        each.is_per_request
        for each in (
            Requirement(),
            Requirement(step_up=StepUp()),
            Requirement(step_up=StepUp(max_age=timedelta(1))),
        )
    )


def test_a_session_carries_the_last_eight_valid_proofs_besides_those_of_the_session():
    sign_in = AuthenticationEvent(method="rekono", at=NOW, source="r", is_step_up=True)
    stale = replace(PROOF, at=NOW - timedelta(minutes=6), bound_to="stale.0")
    events = with_proof((sign_in, stale), replace(sign_in, method="totp", source="g"))
    assert stale not in events
    for number in range(20):
        events = with_proof(events, replace(PROOF, bound_to=f"{BINDING}.{number}"))
    assert [event.bound_to for event in events[2:]] == [f"{BINDING}.{number}" for number in range(12, 20)]
    assert events[:2] == (sign_in, replace(sign_in, method="totp", source="g"))
    again = with_proof(events, replace(sign_in, method="totp", source="g", at=NOW + timedelta(seconds=9)))
    assert len(again) == len(events)
    assert [event.method for event in again if event.is_step_up] == ["rekono", "totp"]

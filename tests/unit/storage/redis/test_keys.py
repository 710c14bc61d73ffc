from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.session import SessionId
from authproxy.storage.redis import keys as keyspace
from tests.support.session_builders import new_ticket

SESSION_ID = new_ticket().session_id


def test_every_key_has_one_hash_tag_and_says_what_it_is():
    names = [
        keyspace.session(SESSION_ID),
        keyspace.subject("name"),
        keyspace.used_attempt("name"),
        keyspace.sign_ins_of("name"),
        keyspace.provider_session("name"),
        keyspace.logout_token("https://provider.example/", "token"),
        keyspace.shared_octets("name"),
        keyspace.successor(SESSION_ID),
        keyspace.ended_session(SESSION_ID),
        keyspace.challenges_of(SESSION_ID),
        keyspace.challenge("name"),
        keyspace.issuing("name"),
        keyspace.pending_push("name"),
        keyspace.enrolments("name"),
        keyspace.recovery("name"),
        keyspace.recovery_codes("name"),
        keyspace.accepted_step("name"),
        keyspace.answer_count("name"),
        keyspace.message_times("name"),
        keyspace.notes("name"),
        keyspace.noticed("name"),
        keyspace.last_number("name"),
        keyspace.person("name"),
        keyspace.used_proof("name"),
        keyspace.machine_key("0f" * 16),
        keyspace.grant("name"),
        keyspace.staged(keyspace.person("name"), "import"),
    ]
    assert all(re.fullmatch(r"authproxy:\{[A-Za-z0-9_-]+\}:[a-z-]+(:\w+)?", name) for name in names)
    assert len(set(names)) == len(names)


def test_what_a_replica_confirms_is_written_in_the_slot_of_the_key_that_it_confirms():
    key = keyspace.session(SESSION_ID).encode()
    tag = re.search(rb"\{.+?\}", key)[0]
    assert re.fullmatch(rb"authproxy:" + re.escape(tag) + rb":[a-z-]+", keyspace.confirmation(key))
    assert keyspace.confirmation(key) != key


def test_a_sessions_key_leads_back_to_the_session():
    assert keyspace.session_id_in(keyspace.session(SESSION_ID).encode()) == SESSION_ID


def test_a_machine_keys_key_leads_back_to_it_and_those_of_other_kinds_to_none():
    assert keyspace.machine_key_id_in(keyspace.machine_key("0f" * 16).encode()) == "0f" * 16
    others = [keyspace.session(SESSION_ID), keyspace.subject("x"), "other:{x}:machine-key", "\xff"]
    assert [keyspace.machine_key_id_in(name.encode("latin-1")) for name in others] == [""] * 4


def test_keys_of_other_kinds_lead_to_no_session():
    others = [
        keyspace.subject("x"),
        keyspace.used_attempt("x"),
        keyspace.sign_ins_of("x"),
        "other:{x}:session",
        "\xff",
    ]
    assert [keyspace.session_id_in(name.encode("latin-1")) for name in others] == [None] * 5


def test_a_logout_token_is_named_by_issuer_and_token_together():
    names = {
        keyspace.logout_token(issuer, token)
        for issuer, token in (("a", "b"), ("ab", ""), ("", "ab"), ("b", "a"))
    }
    assert len(names) == 4


@given(st.text(st.characters(codec="utf-8"), min_size=8))
def test_no_state_or_browser_shows_in_its_name(value):
    assert value not in keyspace.attempt_name(value)
    assert value not in keyspace.logout_token("issuer", value)
    assert value not in keyspace.browser_name(value)
    assert keyspace.attempt_name(value) != keyspace.browser_name(value)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        (keyspace.EVERY_SESSION, keyspace.session(SessionId("x"))),
        (keyspace.EVERY_ENROLMENTS, keyspace.enrolments("x")),
        (keyspace.EVERY_RECOVERY, keyspace.recovery("x")),
    ],
)
def test_the_patterns_of_scans_fit_what_they_are_for(pattern, name):
    head, tail = pattern.split("*")
    assert (name.startswith(head), name.endswith(tail)) == (True, True)
    assert keyspace.owner_name_in(name.encode()) == "x"


def test_what_takes_the_place_of_a_session_is_in_its_slot():
    tag = re.compile(r"\{(.+)\}")
    keys = [keyspace.session(SESSION_ID), keyspace.successor(SESSION_ID), keyspace.challenges_of(SESSION_ID)]
    assert {tag.search(key)[1] for key in keys} == {SESSION_ID}


def test_a_recovery_code_is_another_one_in_another_set():
    names = {keyspace.recovery_code_name(of, code) for of in ("a", "b") for code in ("c", "d")}
    assert len(names) == 4


NAMES = {
    keyspace.proof_name,
    keyspace.shared_octets_name,
    keyspace.grant_name,
    keyspace.attempt_name,
    keyspace.browser_name,
    keyspace.challenge_name,
    keyspace.enrolment_name,
    keyspace.recovery_set_name,
}


def test_a_secret_has_another_name_for_each_of_its_uses_and_no_name_says_it():
    names = {name("secret") for name in NAMES} | {keyspace.recovery_code_name("secret", "hash")}
    assert len(names) == len(NAMES) + 1
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", name) for name in names)

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.session import SessionId
from authproxy.storage import keyspace
from tests.support.session_builders import new_ticket

SESSION_ID = new_ticket().session_id


def test_every_key_has_one_hash_tag_and_says_what_it_is():
    names = [
        keyspace.session(SESSION_ID), keyspace.subject("name"), keyspace.attempt("name"), keyspace.attempts_of("name"),
        keyspace.sign_ins_of("name"), keyspace.provider_session("name"), keyspace.logout_token("https://provider.example/", "token"),
        keyspace.kept("name"),
    ]  # fmt: skip
    assert all(re.fullmatch(r"authproxy:\{[A-Za-z0-9_-]+\}:[a-z-]+", name) for name in names)
    assert len(set(names)) == len(names)


def test_the_keys_of_one_browser_are_in_one_slot_of_a_cluster():
    tag = re.compile(r"\{(.+)\}")
    browser = keyspace.browser_name("value of the flow cookie")
    assert tag.search(keyspace.attempts_of(browser))[1] == tag.search(keyspace.sign_ins_of(browser))[1] == browser


def test_a_sessions_key_leads_back_to_the_session():
    assert keyspace.session_id_in(keyspace.session(SESSION_ID).encode()) == SESSION_ID


def test_keys_of_other_kinds_lead_to_no_session():
    others = [keyspace.subject("x"), keyspace.attempt("x"), keyspace.attempts_of("x"), "other:{x}:session", "\xff"]
    assert [keyspace.session_id_in(name.encode("latin-1")) for name in others] == [None] * 5


def test_a_logout_token_is_named_by_issuer_and_token_together():
    names = {keyspace.logout_token(issuer, token) for issuer, token in (("a", "b"), ("ab", ""), ("", "ab"), ("b", "a"))}
    assert len(names) == 4


@given(st.text(st.characters(codec="utf-8"), min_size=8))
def test_no_state_or_browser_shows_in_its_name(value):
    assert value not in keyspace.attempt_name(value)
    assert value not in keyspace.logout_token("issuer", value)
    assert value not in keyspace.browser_name(value)
    assert keyspace.attempt_name(value) != keyspace.browser_name(value)


def test_the_pattern_of_scans_fits_sessions():
    head, tail = keyspace.EVERY_SESSION.split("*")
    name = keyspace.session(SessionId("x"))
    assert name.startswith(head)
    assert name.endswith(tail)

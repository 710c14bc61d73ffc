from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.session import SessionId
from authproxy.identity.ticket import SessionTicket
from authproxy.storage.records import sealing as codec
from authproxy.storage.records.sealing import KeyRing

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
RING = KeyRing((KEY,))
NONCE = b"twelve bytes"
TICKET = SessionTicket(b"i" * 16, b"s" * 32)
SESSION_ID = TICKET.session_id

FORMS = {
    "record": (
        lambda ring: codec.seal_record(b"plain", ring=ring, ticket=TICKET, nonce=NONCE),
        lambda sealed, ring: codec.open_record(sealed, ring=ring, ticket=TICKET),
    ),
    "summary": (
        lambda ring: codec.seal_summary(b"plain", ring=ring, session_id=SESSION_ID, nonce=NONCE),
        lambda sealed, ring: codec.open_summary(sealed, ring=ring, session_id=SESSION_ID),
    ),
    "attempt": (
        lambda ring: codec.seal_attempt(b"plain", ring=ring, name="name", nonce=NONCE),
        lambda sealed, ring: codec.open_attempt(sealed, ring=ring, name="name"),
    ),
    "member": (
        lambda ring: codec.seal_member(b"plain", ring=ring, name="name", nonce=NONCE),
        lambda sealed, ring: codec.open_member(sealed, ring=ring, name="name"),
    ),
    "kept": (
        lambda ring: codec.seal_kept(b"plain", ring=ring, name="name", nonce=NONCE),
        lambda sealed, ring: codec.open_kept(sealed, ring=ring, name="name"),
    ),
    "challenge": (
        lambda ring: codec.seal_challenge(b"plain", ring=ring, name="name", nonce=NONCE),
        lambda sealed, ring: codec.open_challenge(sealed, ring=ring, name="name"),
    ),
    "enrolment": (
        lambda ring: codec.seal_enrolment(b"plain", ring=ring, name="name", nonce=NONCE),
        lambda sealed, ring: codec.open_enrolment(sealed, ring=ring, name="name"),
    ),
}


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


@given(
    plaintext=st.binary(max_size=5000),
    key=st.binary(min_size=32, max_size=32),
    nonce=st.binary(min_size=12, max_size=12),
)
def test_what_was_sealed_opens(plaintext, key, nonce):
    ring = KeyRing((key,))
    sealed = codec.seal_record(plaintext, ring=ring, ticket=TICKET, nonce=nonce)
    assert codec.open_record(sealed, ring=ring, ticket=TICKET) == plaintext


def test_every_form_opens_with_its_key(form):
    seal, open_ = form
    assert open_(seal(RING), RING) == b"plain"


def test_the_sealed_form_is_format_key_id_nonce_and_ciphertext_with_tag(form):
    seal, _ = form
    sealed = seal(RING)
    assert sealed[0] == 1
    assert sealed[1:5] == RING.sealing[0]
    assert sealed[5:17] == NONCE
    assert len(sealed) == 17 + len(b"plain") + 16


def test_no_flipped_bit_anywhere_goes_unnoticed(form):
    seal, open_ = form
    sealed = seal(RING)
    for place in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[place // 8] ^= 1 << place % 8
        assert open_(bytes(flipped), RING) is None


def test_what_is_cut_short_does_not_open(form):
    seal, open_ = form
    sealed = seal(RING)
    assert [open_(sealed[:size], RING) for size in range(len(sealed))] == [None] * len(sealed)


def test_another_server_key_opens_nothing(form):
    seal, open_ = form
    assert open_(seal(RING), KeyRing((OTHER_KEY,))) is None


def test_another_server_key_under_the_same_key_id_opens_nothing(form):
    seal, open_ = form
    impostor = KeyRing((OTHER_KEY,))
    impostor._by_id = {RING.sealing[0]: OTHER_KEY}
    assert open_(seal(RING), impostor) is None


def test_a_record_does_not_open_without_the_secret_of_its_ticket():
    sealed = codec.seal_record(b"plain", ring=RING, ticket=TICKET, nonce=NONCE)
    assert codec.open_record(sealed, ring=RING, ticket=SessionTicket(TICKET.identifier, b"t" * 32)) is None


def test_a_record_moved_to_another_session_does_not_open_even_with_the_right_secret():
    sealed = codec.seal_record(b"plain", ring=RING, ticket=TICKET, nonce=NONCE)
    assert codec.open_record(sealed, ring=RING, ticket=SessionTicket(b"j" * 16, TICKET.secret)) is None


def test_a_summary_and_an_attempt_do_not_open_under_another_name():
    summary = codec.seal_summary(b"plain", ring=RING, session_id=SESSION_ID, nonce=NONCE)
    attempt = codec.seal_attempt(b"plain", ring=RING, name="name", nonce=NONCE)
    assert codec.open_summary(summary, ring=RING, session_id=SessionId("another")) is None
    assert codec.open_attempt(attempt, ring=RING, name="another") is None


def test_one_kind_of_record_does_not_open_as_another():
    summary = codec.seal_summary(b"plain", ring=RING, session_id=SESSION_ID, nonce=NONCE)
    openings = (
        codec.open_attempt,
        codec.open_challenge,
        codec.open_enrolment,
        codec.open_member,
        codec.open_kept,
    )
    assert [open_(summary, ring=RING, name=SESSION_ID) for open_ in openings] == [None] * 5
    assert codec.open_record(summary, ring=RING, ticket=TICKET) is None


def test_after_a_key_change_old_records_open_and_new_ones_are_under_the_new_key(form):
    seal, open_ = form
    rotated = KeyRing((OTHER_KEY, KEY))
    assert open_(seal(RING), rotated) == b"plain"
    assert open_(seal(rotated), RING) is None
    assert open_(seal(rotated), KeyRing((OTHER_KEY,))) == b"plain"


def test_a_subject_is_found_under_the_names_of_retiring_keys_too():
    before = RING.subject_names("issuer", "subject")
    after = KeyRing((OTHER_KEY, KEY)).subject_names("issuer", "subject")
    assert len(after) == 2
    assert after[1:] == before
    assert after[0] != before[0]


def test_what_belongs_to_people_or_is_counted_for_them_is_found_under_retiring_keys_too_and_shows_nobody():
    rotated = KeyRing((OTHER_KEY, KEY))
    for names in (
        lambda ring: ring.owner_names("enrolments", ("member", "ana")),
        lambda ring: ring.owner_names("push", ("member", "ana")),
        lambda ring: ring.limit_names("answers", "person:ana"),
        lambda ring: ring.limit_names("messages", "person:ana"),
    ):
        assert names(rotated)[1:] == names(RING) != names(rotated)[:1]
        assert "ana" not in "".join(names(rotated))
    kinds = {
        *RING.owner_names("enrolments", ("a",)),
        *RING.owner_names("push", ("a",)),
        *RING.limit_names("answers", "a"),
        *RING.limit_names("messages", "a"),
    }
    assert len(kinds) == 4


def test_subjects_and_issuers_have_names_of_their_own():
    names = {RING.subject_names(issuer, subject) for issuer in ("i", "j") for subject in ("s", "t")}
    assert len(names) == 4


@pytest.mark.parametrize("keys", [(), (b"short",), (KEY, bytes(33))])
def test_a_key_ring_needs_keys_of_32_bytes(keys):
    with pytest.raises(ValueError, match="32 bytes"):
        KeyRing(keys)


def test_a_key_ring_refuses_the_same_key_twice():
    with pytest.raises(ValueError, match="twice"):
        KeyRing((KEY, KEY))


def test_a_nonce_of_the_wrong_size_is_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="12 bytes"):
        codec.seal_record(b"", ring=RING, ticket=TICKET, nonce=b"short")


def test_a_key_ring_shows_no_key():
    assert repr(KEY)[2:10] not in repr(RING)
    assert KEY.hex() not in repr(RING)

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.identity.member import RegisterKey
from authproxy.storage.records.sealing import KeyRing, Purpose

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
NONCE = b"twelve bytes"
NAME = "2gVU-My2lRelpzzqTXPljw1Y"

# Records that version 0.1 has sealed with KEY and NONCE: the content is `plain`. They must open for ever.
SEALED_BEFORE = {
    Purpose.SESSION: (NAME, b"s" * 32, "caf2c3b0ed3f603baa7d71637872b8b48bab8042ea"),
    Purpose.ENDED_SESSION: (NAME, b"s" * 32, "54e77fc823fc05a0f388b2fa23c77641a8ee38de78"),
    Purpose.GRANT: ("grant", b"secret in the record", "2bff95fe3435f8fadffd6239b3faf1c8c74a64609b"),
    Purpose.SUMMARY: (NAME, None, "025a232c5fe2eb3c1708afd584ac7cc0564bde7066"),
    Purpose.OPEN_SESSION: (NAME, None, "3e3bb87844d47c4fcf086428b6f80d1ca1e2f4f0f3"),
    Purpose.ATTEMPT: ("name", None, "30fecf56490af3020904bfa2fce407d8f860f72e72"),
    Purpose.REFUSAL: ("refusals", None, "2f3043e54c0cd352a0d9291b054445070628d75a60"),
    Purpose.CHALLENGE: ("name", None, "d2c3f14cd06a53957839092a752006b1216174828b"),
    Purpose.ENROLMENT: ("name", None, "b5a79e7cdd81ac04fe7532fcaef8addf83e6749f5a"),
    Purpose.NOTICE: ("name", None, "1726e5e1860b9779e07a27926f8983dbd68ee27fc8"),
    Purpose.MEMBER: ("name", None, "83a47e8313a2c3a46aea31d8439d2d53c5b44d5e7f"),
    Purpose.BLOCKED_ACCOUNT: ("name", None, "a86cfe5c25555465a0c28ff84ef70d354cd0e1229e"),
    Purpose.SHARED_OCTETS: ("name", None, "8dbddfd84a9999bda3430c204044dc7b730c288545"),
    Purpose.AUDIT_ENTRY: ("acts", None, "70b015329e5eddcdfb7a54638f09123f4e13fd5adf"),
    Purpose.MACHINE_KEY: ("name", None, "1e6976de533196c97ace4214aeec997249e1ee6f24"),
    Purpose.BACKUP: ("line", None, "e92631a2997f5402621f8621e73c2f2f57dee1c464"),
}
HEAD = "01630dcd29" + NONCE.hex()


def ring_of(*keys, random_bytes=lambda size: NONCE):
    return KeyRing(keys, random_bytes=random_bytes)


RING = ring_of(KEY)


@pytest.fixture(params=Purpose, ids=lambda purpose: purpose.name)
def purpose(request):
    return request.param


def sealed_with(ring, purpose):
    bound_to, secret, _ = SEALED_BEFORE[purpose]
    return ring.seal(purpose, b"plain", bound_to=bound_to, secret=secret)


def opened_with(ring, purpose, sealed):
    bound_to, secret, _ = SEALED_BEFORE[purpose]
    return ring.open(purpose, sealed, bound_to=bound_to, secret=secret)


def test_what_an_earlier_version_has_sealed_opens_and_is_sealed_the_same_way_now(purpose):
    sealed_before = bytes.fromhex(HEAD + SEALED_BEFORE[purpose][2])
    assert opened_with(RING, purpose, sealed_before) == b"plain"
    assert sealed_with(RING, purpose) == sealed_before


def test_names_are_those_of_an_earlier_version():
    owner = ("member", "m")
    assert {
        "subject": RING.subject_names("i", "s"),
        "provider session": RING.provider_session_names("i", "s"),
        "member": RING.person_names("member", "m"),
        "tax number": RING.person_names("tax number", "1"),
        "enrolments": RING.owner_names("enrolments", owner),
        "push": RING.owner_names("push", owner),
        "notices": RING.owner_names("notices", owner),
        "number": RING.owner_names("number", owner),
        "answers": RING.limit_names("answers", "n"),
        "messages": RING.limit_names("messages", "n"),
        "register": tuple(RING.register_names([RegisterKey("id", "m")], RING.key_ids[0])),
    } == {
        "subject": ("aIqzzuYSAm-EYeGsTqV5PXgnEK-BISmHXsfeWfYTKCs",),
        "provider session": ("SzwVfC05JFc1igU4VBs-dOSbUfXv36GgWbN60C3mpb0",),
        "member": ("PQloOQy5gt88altXFq8AQ19bTmQfLMCDwhAeuJUcyT8",),
        "tax number": ("NT7wHh2F9_Ek_YULyqtQmpSsbYiCH4LGNLOkoL0FTrs",),
        "enrolments": ("E1cgMfFnAM9_Q3CMI7ednDPQc1UHhZRcifQuNISzqCQ",),
        "push": ("ZPlQKXIMIRgFyvQzDPpw3Q6GnKrX_hL-2nT-60euVbU",),
        "notices": ("of9i1oRSNRVqGCvUlD1ReYmuUoolk9xfLHLDx1nadik",),
        "number": ("mTD4oMQLNDZozzOL0SUohjhCd12Y2jjmJfI5qwQiTrM",),
        "answers": ("gWfB4rFrl_eeCeUhyBWe01kwRv_hu1vLv9mysOcogNs",),
        "messages": ("r5-tnz5qdhoVh9_Nfsdls8NL-QAdcCfQSHqfIs2ECnA",),
        "register": ("6kiYKx-HSmjQAKl-JP47gaMTouUpRD3rCf__azEi74E",),
    }


@given(
    plaintext=st.binary(max_size=5000),
    key=st.binary(min_size=32, max_size=32),
    nonce=st.binary(min_size=12, max_size=12),
)
def test_what_was_sealed_opens(plaintext, key, nonce):
    ring = ring_of(key, random_bytes=lambda size: nonce)
    sealed = ring.seal(Purpose.SESSION, plaintext, bound_to=NAME, secret=b"s" * 32)
    assert ring.open(Purpose.SESSION, sealed, bound_to=NAME, secret=b"s" * 32) == plaintext


def test_the_sealed_form_is_format_key_id_nonce_and_ciphertext_with_tag(purpose):
    sealed = sealed_with(RING, purpose)
    assert sealed[0] == 1
    assert sealed[1:5] == RING.key_ids[0]
    assert sealed[5:17] == NONCE
    assert len(sealed) == 17 + len(b"plain") + 16


def test_each_record_has_a_nonce_of_its_own():
    ring = ring_of(KEY, random_bytes=secrets.token_bytes)
    assert sealed_with(ring, Purpose.NOTICE) != sealed_with(ring, Purpose.NOTICE)


def test_no_flipped_bit_anywhere_goes_unnoticed(purpose):
    sealed = sealed_with(RING, purpose)
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        assert opened_with(RING, purpose, bytes(flipped)) is None


def test_what_is_cut_short_does_not_open(purpose):
    sealed = sealed_with(RING, purpose)
    opened = [opened_with(RING, purpose, sealed[:size]) for size in range(len(sealed))]
    assert opened == [None] * len(sealed)


def test_another_server_key_opens_nothing(purpose):
    assert opened_with(ring_of(OTHER_KEY), purpose, sealed_with(RING, purpose)) is None


def test_another_server_key_under_the_same_key_id_opens_nothing(purpose):
    impostor = ring_of(OTHER_KEY)
    impostor._by_id = {RING.key_ids[0]: OTHER_KEY}
    assert opened_with(impostor, purpose, sealed_with(RING, purpose)) is None


@pytest.mark.parametrize("purpose", [Purpose.SESSION, Purpose.ENDED_SESSION, Purpose.GRANT])
def test_a_record_with_a_secret_does_not_open_with_another_secret_or_none(purpose):
    bound_to, _, _ = SEALED_BEFORE[purpose]
    for secret in (b"t" * 32, None):
        assert RING.open(purpose, sealed_with(RING, purpose), bound_to=bound_to, secret=secret) is None


def test_a_record_does_not_open_under_another_name(purpose):
    _, secret, _ = SEALED_BEFORE[purpose]
    assert RING.open(purpose, sealed_with(RING, purpose), bound_to="another", secret=secret) is None


def test_a_record_does_not_open_as_one_of_another_purpose(purpose):
    bound_to, secret, _ = SEALED_BEFORE[purpose]
    sealed = sealed_with(RING, purpose)
    others = [other for other in Purpose if other is not purpose]
    opened = [RING.open(other, sealed, bound_to=bound_to, secret=secret) for other in others]
    assert opened == [None] * (len(Purpose) - 1)


def test_after_a_key_change_old_records_open_and_new_ones_are_under_the_new_key(purpose):
    rotated = ring_of(OTHER_KEY, KEY)
    assert opened_with(rotated, purpose, sealed_with(RING, purpose)) == b"plain"
    assert opened_with(RING, purpose, sealed_with(rotated, purpose)) is None
    assert opened_with(ring_of(OTHER_KEY), purpose, sealed_with(rotated, purpose)) == b"plain"


def test_a_subject_is_found_under_the_names_of_retiring_keys_too():
    before = RING.subject_names("issuer", "subject")
    after = ring_of(OTHER_KEY, KEY).subject_names("issuer", "subject")
    assert len(after) == 2
    assert after[1:] == before
    assert after[0] != before[0]


def test_what_belongs_to_people_or_is_counted_for_them_is_found_under_retiring_keys_too_and_shows_nobody():
    rotated = ring_of(OTHER_KEY, KEY)
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
        ring_of(*keys)


def test_a_key_ring_refuses_the_same_key_twice():
    with pytest.raises(ValueError, match="twice"):
        ring_of(KEY, KEY)


def test_a_nonce_of_the_wrong_size_is_a_mistake_of_the_program():
    ring = ring_of(KEY, random_bytes=lambda size: b"short")
    with pytest.raises(ValueError, match="12 bytes"):
        sealed_with(ring, Purpose.NOTICE)


def test_a_key_ring_shows_no_key():
    assert repr(KEY)[2:10] not in repr(RING)
    assert KEY.hex() not in repr(RING)


def test_a_record_tells_whether_it_needs_another_key_than_the_first():
    sealed = RING.seal(Purpose.MACHINE_KEY, b"plain", bound_to="name")
    assert RING.is_under_first_key(sealed)
    assert not ring_of(OTHER_KEY, KEY).is_under_first_key(sealed)
    assert ring_of(KEY, OTHER_KEY).is_under_first_key(sealed)
    assert not RING.is_under_first_key(b"")

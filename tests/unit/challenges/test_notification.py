"""The exact bytes that phones sign: the gateway computes the example in the README, and no two questions have
the same text."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from authproxy.challenges.notification import (
    Notification,
    answer_statement,
    enrolment_statement,
    is_signed,
    lines,
    on_one_line,
    public_key_pem,
    time_text,
)
from tests.support.push_service import PhoneKey, base64url

README = Path(__file__).parents[3] / "authproxy" / "delivery" / "README.md"
NOW = datetime(2026, 11, 22, 10, 0, 12, tzinfo=UTC)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def example():
    """The example of the README: notification, answer, signed text, and the phone's enrolment."""
    documents = [json.loads(block) for block in blocks("json")]
    texts = blocks("text")
    return {
        "push": next(one for one in documents if "push_id" in one),
        "answer": next(one["answer"] for one in documents if "answer" in one),
        "enrolled": next(one for one in documents if "proof" in one),
        "signed": next(text for text in texts if text.startswith("onepass-answer-v1")),
        "enrolment": next(text for text in texts if text.startswith("onepass-enrolment-v1")),
    }


def test_the_example_in_the_readme_is_what_is_sent_and_signed(example):
    sent = example["push"]
    times = {name: datetime.fromisoformat(sent[name]) for name in ("issued_at", "expires_at")}
    question = Notification(**{**sent, **times, "choices": tuple(sent["choices"])}).question
    statement = answer_statement(
        question, action=example["answer"]["action"], number=example["answer"]["number"]
    )
    assert statement == example["signed"].encode()
    assert is_signed(
        statement, example["answer"]["signature"], public_key_pem(example["enrolled"]["public_key"])
    )


def test_the_shown_fields_of_a_form_are_signed_and_no_two_forms_give_the_same_text():
    push = Notification(
        push_id="p",
        device_id="d",
        portal="P",
        place="/pay",
        browser="B",
        address="a",
        issued_at=NOW,
        expires_at=NOW,
        number="47",
        choices=("47",),
        shows=(("amount", "120,50"), ("payee", "Ana")),
    )
    [block] = [text for text in blocks("text") if text.startswith("place: ")]
    assert block in push.question
    assert push.question.startswith("onepass-answer-v2\n")
    others = [
        (("amount", "120,50"),),
        (("amount", "120,50"), ("payee", "Bor")),
        (("amount", ""), ("name", "120,50"), ("payee", "Ana")),
        (),
    ]
    assert len({push.question, *(replace(push, shows=shows).question for shows in others)}) == 5
    assert replace(push, shows=()).question.startswith("onepass-answer-v1\n")
    with pytest.raises(ValueError, match="control character"):
        _ = replace(push, shows=(("amount", "1\nvalue: 2"),)).question


def test_the_example_of_an_enrolment_in_the_readme_is_what_a_phone_proves(example):
    enrolled = example["enrolled"]
    said = dict(line.split(": ", 1) for line in example["enrolment"].splitlines()[1:])
    statement = enrolment_statement(
        enrolment_id=said["enrolment"],
        relying_party=said["relying_party"],
        secret=said["secret"],
        device_id=enrolled["device_id"],
        device_name=enrolled["device_name"],
        public_key=enrolled["public_key"],
    )
    assert statement == example["enrolment"].encode()
    assert is_signed(statement, enrolled["proof"], public_key_pem(enrolled["public_key"]))


def test_a_refusal_has_no_number():
    assert answer_statement("", action="refuse", number="") == b"action: refuse\nnumber: -\n"


def test_times_are_utc_and_whole_seconds():
    assert (
        time_text(datetime(2026, 11, 22, 11, 0, 12, 999999, tzinfo=timezone(timedelta(hours=1))))
        == "2026-11-22T10:00:12Z"
    )


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\0", "\x7f", "\x85", "\x1b[1m"])
def test_a_value_of_more_than_one_line_is_not_signed(value):
    with pytest.raises(ValueError, match="control character"):
        lines("head", name=value)


@given(
    st.lists(st.text(max_size=8), min_size=3, max_size=3),
    st.lists(st.text(max_size=8), min_size=3, max_size=3),
)
def test_no_two_lists_of_values_give_the_same_text(one, other):
    def text(values):
        try:
            return lines("head", **dict(zip(("a", "b", "c"), values, strict=True)))
        except ValueError:
            return None

    assert text(one) is None or (text(one) == text(other)) == (one == other)


@given(st.text(max_size=400))
def test_a_text_on_one_line_is_printable_and_can_always_be_signed(text):
    assert on_one_line(text).isprintable()
    assert len(on_one_line(text)) <= 200
    assert lines("head", name=on_one_line(text)).count("\n") == 2


def test_a_signature_holds_for_its_own_text_and_key():
    phone = PhoneKey()
    signature = phone.sign("text\n")
    assert is_signed(b"text\n", signature, phone.pem)
    assert not is_signed(b"text", signature, phone.pem)
    assert not is_signed(b"text\n", signature, PhoneKey().pem)


@pytest.mark.parametrize(
    "signature",
    ["", "A", "=", "AA==", "A" * 85 + "B", "A" * 85, "+" * 86, "A" * 40 + "\n" + "A" * 46, "č", "\ud800"],
)
def test_a_text_that_is_not_a_signature_does_not_hold(signature):
    assert not is_signed(b"", signature, PhoneKey().pem)


def test_a_signature_in_another_spelling_does_not_hold():
    phone = PhoneKey()
    signature = phone.sign("text")
    last = signature[-1]
    # Four bits of the last character are unused.
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".replace(last, ""):
        assert not is_signed(b"text", signature[:-1] + other, phone.pem)


def test_a_signature_whose_numbers_are_written_longer_does_not_hold():
    phone = PhoneKey()
    octets = base64.urlsafe_b64decode(phone.sign("text") + "==")
    assert is_signed(b"text", base64url(octets), phone.pem)
    assert not is_signed(b"text", base64url(octets[:32] + b"\0" + octets[32:]), phone.pem)


def pem_of(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.mark.parametrize(
    "pem", ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_without_a_key_nothing_holds(pem):
    assert not is_signed(b"text", PhoneKey().sign("text"), pem)


def test_keys_of_other_kinds_verify_nothing_and_are_not_taken():
    secp256k1, p384 = ec.generate_private_key(ec.SECP256K1()), ec.generate_private_key(ec.SECP384R1())
    for key in (secp256k1, p384, rsa.generate_private_key(public_exponent=65537, key_size=2048)):
        assert not is_signed(b"text", PhoneKey().sign("text"), pem_of(key))
        der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert public_key_pem(base64url(der)) is None


def test_a_public_key_is_taken_in_one_spelling_only():
    phone = PhoneKey()
    assert public_key_pem(base64url(phone.der)) == phone.pem
    compressed = phone.key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    info = (
        bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + compressed
    )  # the same point, half as long
    for text in (
        "",
        "AAAA",
        base64url(phone.der) + "=",
        base64url(phone.der + b"\0"),
        base64url(info),
        base64url(phone.der)[:-4],
        "č",
        phone.pem,
    ):
        assert public_key_pem(text) is None

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from authproxy.sandbox.outbox.messages import CAPACITY, Messages, NotAMessage, read, recipient_asked_for

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SMS = {"to": "+38640123456", "from": "Rekono", "text": "koda"}


def test_only_the_newest_messages_are_kept():
    messages = Messages()
    for number in range(CAPACITY + 1):
        messages.add(read("sms", SMS, identifier=str(number), now=NOW))
    kept = messages.to(None)
    assert len(kept) == CAPACITY
    assert (kept[0].id, kept[-1].id) == (str(CAPACITY), "1")
    messages.clear()
    assert messages.to(None) == ()


def test_mail_has_a_subject_and_a_text_message_none():
    mail = read(
        "mail", {"to": "a@example.si", "from": "b", "text": "c", "subject": "d"}, identifier="1", now=NOW
    )
    assert mail.as_json()["subject"] == "d"
    assert "subject" not in read("sms", SMS, identifier="1", now=NOW).as_json()


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"to": "40123456"}, "to"),
        ({"to": "+0123456789"}, "to"),
        ({"to": None}, "to"),
        ({"from": ""}, "from"),
        ({"text": None}, "text"),
        ({"subject": "x" * 501}, "subject"),
        ({"subject": 5}, "subject"),
    ],
)
def test_a_fault_is_named_by_its_member(change, member):
    with pytest.raises(NotAMessage, match=f"^{member}$"):
        read("sms", SMS | change, identifier="1", now=NOW)


@pytest.mark.parametrize(
    ("text", "recipient"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        (" 38640123456", "+38640123456"),
        ("+38640123456", "+38640123456"),
        ("a@example.si", "a@example.si"),
    ],
)
def test_a_telephone_number_in_a_query_survives_the_loss_of_its_plus(text, recipient):
    assert recipient_asked_for(text) == recipient


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Vaša koda je 123456. Velja 5 minut.", "123456"),
        ("482915", "482915"),
        ("Pokličite +38640123456 ali 040123456", None),
        ("1234567 in 654321", "654321"),
        ("ni je", None),
    ],
)
def test_a_one_time_code_is_found_among_other_numbers(text, code):
    assert read("sms", SMS | {"text": text}, identifier="1", now=NOW).code == code


def test_a_message_is_found_by_its_identifier():
    messages = Messages()
    messages.add(read("sms", SMS, identifier="7", now=NOW))
    assert messages.find("7").text == "koda"
    assert messages.find("8") is None


def test_attachments_are_named_where_there_are_any():
    plain = read("mail", {"to": "a@example.si", "from": "b", "text": "c"}, identifier="1", now=NOW)
    assert "attachments" not in plain.as_json()
    assert replace(plain, attachments=("a.pdf",)).as_json()["attachments"] == ["a.pdf"]

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from authproxy.challenges.message import Delivered, Sms
from authproxy.delivery.agreement import (
    Agreement,
    DeliveryReports,
    GatewayAnswer,
    Judgement,
    Signature,
    Success,
    judged,
    message_id,
    reported,
)
from authproxy.delivery.sms import Unsendable
from authproxy.delivery.template import Template

SMS = Sms(recipient="+38640123456", text='Koda 123456 "š"', reference="ref-1")
BODY = Template('{"to": "{recipient}", "text": "{text}"}', "application/json")


def agreement(**agreed):
    return Agreement(**{"url": "https://sms.example.si/send", "body": BODY, "sender": "Bankart", **agreed})


def said(value, status=200):
    return GatewayAnswer(status, json.dumps(value).encode())


def test_a_request_is_the_filled_body_and_the_agreed_headers():
    headers, body = agreement(headers={"X-API-Key": "k"}, recipient_form="00").request(SMS)
    assert json.loads(body) == {"to": "0038640123456", "text": SMS.text}
    assert headers == {"Content-Type": "application/json", "Accept-Encoding": "identity", "X-API-Key": "k"}


def test_a_gateway_that_knows_messages_by_a_header_gets_it():
    headers, _ = agreement(reference_header="Idempotency-Key").request(SMS)
    assert headers["Idempotency-Key"] == "ref-1"


@pytest.mark.parametrize(("encoding", "prefix"), [("hex", ""), ("base64", "sha256=")])
def test_a_signature_is_over_the_octets_that_are_sent(encoding, prefix):
    signature = Signature(header="X-Signature", key=b"key", encoding=encoding, prefix=prefix)
    headers, body = agreement(signature=signature).request(SMS)
    digest = hmac.new(b"key", body, hashlib.sha256)
    expected = digest.hexdigest() if encoding == "hex" else base64.b64encode(digest.digest()).decode()
    assert headers["X-Signature"] == prefix + expected


def test_an_invalid_number_makes_no_request():
    with pytest.raises(Unsendable):
        agreement().request(Sms(recipient="040123456", text="x", reference="r"))


@pytest.mark.parametrize(
    ("status", "judgement"),
    [
        (200, Judgement.TAKEN),
        (202, Judgement.TAKEN),
        (204, Judgement.BROKEN),
        (302, Judgement.BROKEN),
        (400, Judgement.REFUSED),
        (401, Judgement.BROKEN),
        (403, Judgement.BROKEN),
        (404, Judgement.BROKEN),
        (408, Judgement.LATER),
        (413, Judgement.REFUSED),
        (422, Judgement.REFUSED),
        (425, Judgement.LATER),
        (429, Judgement.LATER),
        (500, Judgement.LATER),
        (503, Judgement.LATER),
        (599, Judgement.LATER),
    ],
)
def test_the_status_decides_whether_another_try_may_help(status, judgement):
    assert judged(GatewayAnswer(status), Success()) is judgement


@pytest.mark.parametrize(
    ("pointer", "values", "body", "is_taken"),
    [
        ("/status", {"accepted"}, {"status": "accepted"}, True),
        ("/status", {"accepted"}, {"status": "rejected"}, False),
        ("/status", {"accepted", "queued"}, {"status": "queued"}, True),
        ("/status", {"0"}, {"status": 0}, True),
        ("/ok", {"true"}, {"ok": True}, True),
        ("/ok", {"true"}, {"ok": 1}, False),
        ("/messages/0/id", (), {"messages": [{"id": "m"}]}, True),
        ("/messages/1/id", (), {"messages": [{"id": "m"}]}, False),
        ("/messages/x/id", (), {"messages": [{"id": "m"}]}, False),
        ("/messages/²/id", (), {"messages": [{"id": "m"}]}, False),
        ("/id", (), {"id": None}, False),
        ("/id", (), {"id": False}, False),
        ("/id", (), {"id": 0}, True),
        ("/id", (), {}, False),
        ("/id", (), "text", False),
        ("/a~1b/c~0d", {"1"}, {"a/b": {"c~d": 1}}, True),
        ("/status", {"accepted"}, {"status": {"accepted": 1}}, False),
    ],
)
def test_a_gateway_must_say_that_it_has_the_message(pointer, values, body, is_taken):
    success = Success(pointer=pointer, values=frozenset(values))
    assert judged(said(body), success) is (Judgement.TAKEN if is_taken else Judgement.REFUSED)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 100_000, b'{"id": '])
def test_an_answer_that_is_not_json_has_no_values(body):
    assert judged(GatewayAnswer(200, body), Success(pointer="/id")) is Judgement.REFUSED
    assert message_id(GatewayAnswer(200, body), Success(id_pointer="/id")) == ""


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ("m-1", "m-1"),
        (42, "42"),
        ("a b", ""),
        ("č", ""),
        ("x" * 201, ""),
        (None, ""),
        ({}, ""),
        ("../../x?y#z", "../../x?y#z"),
    ],
)
def test_a_message_has_the_name_that_the_gateway_gives_it(found, name):
    assert message_id(said({"id": found}), Success(id_pointer="/id")) == name


def test_without_a_pointer_there_is_no_message_id():
    assert message_id(said({"id": "m"}), Success()) == ""
    assert [Success().needs_body, Success(pointer="/a").needs_body, Success(id_pointer="/a").needs_body] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("status", "state", "report"),
    [
        (200, "DELIVERED", "delivered"),
        (200, "failed", "failed"),
        (200, "accepted", None),
        (200, None, None),
        (404, "delivered", None),
    ],
)
def test_a_report_says_delivered_failed_or_not_yet(status, state, report):
    reports = DeliveryReports(
        url="u", pointer="/status", delivered=frozenset({"delivered"}), failed=frozenset({"failed"})
    )
    assert reported(said({"status": state}, status), reports) == report


@pytest.mark.parametrize(
    ("said_so", "wait"),
    [
        ("30", 30),
        (" 5 ", 5),
        ("", 0),
        ("Sun, 22 Nov 2026 10:00:00 GMT", 0),
        ("-1", 0),
        ("1e9", 0),
        ("9" * 30, 0),
    ],
)
def test_a_gateway_may_ask_to_be_left_alone_for_some_seconds(said_so, wait):
    assert GatewayAnswer(429, retry_after=said_so).wait == timedelta(seconds=wait)


def test_no_repr_has_a_message_a_number_or_a_secret():
    shown = repr(
        (
            SMS,
            agreement(headers={"Authorization": "Bearer t0ken"}, signature=Signature(header="X", key=b"k3y")),
            said({"code": "123456"}),
        )
    )
    assert [secret for secret in ("123456", "40123456", "t0ken", "k3y", "ref-1") if secret in shown] == []
    assert Delivered(gateway="mno").message_id == ""

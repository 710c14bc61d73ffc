from __future__ import annotations

import base64
import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from authproxy.bootstrap import text_messages
from authproxy.bootstrap.background import Background
from authproxy.challenges.message import Sms
from authproxy.telemetry.metrics import Metrics

HTTP = {"url": "https://sms.example.si/send"}
SMPP = {"host": "smpp.example.si", "system_id": "prehod", "tls": True}


@pytest.fixture
def smpp(workshop):
    return SMPP | {"password_file": str(workshop.write("smpp", b"geslo-8\n", mode=0o400))}


def with_gateways(**gateways):
    return lambda settings: settings.update(step_up={"sms": {"sender": "Bankart", "gateways": gateways}})


def found(workshop, gateway, severity):
    return [
        (each.key, each.problem)
        for each in workshop.read(with_gateways(mno=gateway)).findings
        if each.severity == severity
    ]


def test_without_the_section_nobody_sends_text_messages(workshop):
    assert workshop.read().settings.step_up.sms is None


def test_gateways_are_asked_in_the_order_in_which_they_are_written(workshop, smpp):
    reading = workshop.read(with_gateways(zeta={"http": HTTP}, alpha={"smpp": smpp}))
    assert [str(each) for each in reading.findings] == []
    assert list(reading.settings.step_up.sms.gateways) == ["zeta", "alpha"]


def test_secrets_of_gateways_come_from_files_of_their_own_and_from_the_environment(workshop, smpp):
    secret = workshop.write("token", b"t0ken\n", mode=0o400)
    bearer = HTTP | {"authentication": "bearer", "secret_file": str(secret)}
    reading = workshop.read(with_gateways(one={"http": bearer}, two={"smpp": smpp}))
    one, two = reading.settings.step_up.sms.gateways.values()
    assert (one.http.secret.get_secret_value(), two.smpp.password.get_secret_value()) == ("t0ken", "geslo-8")
    bearer.pop("secret_file")
    reading = workshop.read(
        with_gateways(one={"http": bearer}),
        {"AUTHPROXY__STEP_UP__SMS__GATEWAYS__ONE__HTTP__SECRET__FILE": str(secret)},
    )
    assert reading.settings.step_up.sms.gateways["one"].http.secret.get_secret_value() == "t0ken"


def test_a_secret_in_the_settings_file_itself_is_told_of_and_not_repeated(workshop):
    [finding] = workshop.read(
        with_gateways(mno={"http": HTTP | {"authentication": "bearer", "secret": "t0ken"}})
    ).findings
    assert (finding.key, finding.severity) == ("step_up.sms.gateways.mno.http.secret", "warning")
    assert "t0ken" not in str(finding)


ERRORS = [
    ({}, "", "is neither `http` nor `smpp`"),
    ({"http": HTTP, "smpp": SMPP | {"password": "geslo-8"}}, "", "is both"),
    ({"http": {"url": "ftp://sms.example.si"}}, ".http.url", "is no address"),
    ({"http": {"url": "https://user:pass@sms.example.si"}}, ".http.url", "is no address"),
    ({"http": {"url": "http://sms.example.si"}}, ".http.url", "would send codes"),
    ({"smpp": SMPP | {"password": "geslo-8", "tls": False}}, ".smpp.tls", "is off"),
    ({"http": HTTP | {"body": '{"to": "{recipient}"}'}}, ".http.body", "has no place for `{text}`"),
    ({"http": HTTP | {"body": "{recipient} {text}"}}, ".http.body", "is not JSON"),
    ({"http": HTTP | {"content_type": "text/html"}}, ".http.content_type", "is not known here"),
    ({"http": HTTP | {"authentication": "basic"}}, ".http.user", "is missing"),
    ({"http": HTTP | {"authentication": "bearer"}}, ".http.secret", "is missing"),
    ({"http": HTTP | {"authentication": "header"}}, ".http.secret_header", "is missing"),
    ({"http": HTTP | {"headers": {"Content-Type": "x"}}}, ".http.headers.Content-Type", "is no header"),
    ({"http": HTTP | {"headers": {"X Y": "x"}}}, '.http.headers."X Y"', "is no header"),
    ({"http": HTTP | {"reference_header": "a:b"}}, ".http.reference_header", "is no header"),
    ({"http": HTTP | {"secret_header": "Host"}}, ".http.secret_header", "is no header"),
    ({"http": HTTP | {"signature": {"header": "", "key": "k"}}}, ".http.signature.header", "is empty"),
    (
        {"http": HTTP | {"signature": {"header": "Host", "key": "k"}}},
        ".http.signature.header",
        "is no header",
    ),
    ({"http": HTTP | {"key_file": "x.key"}}, ".http.certificate_file", "is missing"),
    ({"http": HTTP | {"certificate_file": "x.pem"}}, ".http.key_file", "is missing"),
    ({"http": HTTP | {"ca_file": "/nowhere/ca.pem"}}, ".http.ca_file", "cannot be read"),
    (
        {"http": HTTP | {"reports": {"url": "https://sms.example.si/state"}}},
        ".http.reports.url",
        "has no place for `{message_id}`",
    ),
    (
        {"http": HTTP | {"reports": {"url": "https://sms.example.si/{message_id}"}}},
        ".http.success.id_pointer",
        "is missing",
    ),
    ({"http": HTTP | {"success": {"pointer": "status"}}}, ".http.success.pointer", "is not valid"),
    ({"smpp": SMPP | {"password": "geslo-č"}}, ".smpp.password", "is not printable ASCII"),
    (
        {"smpp": SMPP | {"password": "p", "system_id": "prehod č"}},
        ".smpp.system_id",
        "is not printable ASCII",
    ),
    ({"smpp": SMPP | {"password": "p", "ca_file": "/nowhere/ca.pem"}}, ".smpp.ca_file", "cannot be read"),
    ({"smpp": SMPP | {"password": "p", "port": 0}}, ".smpp.port", "is less than 1"),
]


@pytest.mark.parametrize(("gateway", "key", "problem"), ERRORS)
def test_what_cannot_work_is_an_error(workshop, gateway, key, problem):
    errors = found(workshop, gateway, "error")
    assert [
        (name, text)
        for name, text in errors
        if name == f"step_up.sms.gateways.mno{key}" and text.startswith(problem)
    ], errors


WARNINGS = [
    ({"http": HTTP | {"user": "prehod"}}, ".http.user", "has no effect with `authentication: none`"),
    ({"http": HTTP | {"deadline": "1s"}}, ".http.deadline", "is shorter than `timeout`"),
    (
        {"http": HTTP | {"success": {"values": ["ok"]}}},
        ".http.success.values",
        "have no effect without `pointer`",
    ),
    ({"smpp": SMPP | {"password": "nine-long"}}, ".smpp.password", "is longer than the 8 characters"),
]


@pytest.mark.parametrize(("gateway", "key", "problem"), WARNINGS)
def test_what_has_no_effect_or_is_dangerous_is_told(workshop, gateway, key, problem):
    warnings = [
        each
        for each in found(workshop, gateway, "warning")
        if not each[1].startswith("is a secret in a file")
    ]
    assert [name for name, text in warnings if text.startswith(problem)] == [f"step_up.sms.gateways.mno{key}"]
    assert len(warnings) == 1


def test_a_certificate_authority_without_tls_has_no_effect(workshop, smpp):
    warnings = found(
        workshop,
        {"smpp": smpp | {"tls": False, "host": "127.0.0.1", "ca_file": str(workshop.key_file)}},
        "warning",
    )
    assert warnings == [("step_up.sms.gateways.mno.smpp.ca_file", "has no effect without `tls`")]


def sent_by(sender):
    return lambda settings: settings.update(
        step_up={"sms": {"sender": sender, "gateways": {"mno": {"http": HTTP}}}}
    )


@pytest.mark.parametrize("sender", ["Bankart", "Banka d.d.", "3838", "+38615555555"])
def test_senders_are_short_words_or_numbers(workshop, sender):
    assert workshop.read(sent_by(sender)).settings.step_up.sms.sender == sender


@pytest.mark.parametrize("sender", ["", "Bankart in šumniki", "Varni spletni prehod", "{text}", "+12"])
def test_other_senders_are_refused(workshop, sender):
    assert workshop.finding(sent_by(sender)).key == "step_up.sms.sender"


def test_the_example_of_the_documentation_is_valid(workshop):
    readme = (Path(__file__).parents[3] / "authproxy" / "delivery" / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    workshop.write("sms-key", b"peskovnik-sms-2026\n", mode=0o400)
    reading = workshop.read(lambda settings: settings.update(yaml.safe_load(example)))
    assert reading.findings == ()
    assert list(reading.settings.step_up.sms.gateways) == ["outbox"]


def test_gateways_have_short_names_and_there_is_at_least_one(workshop):
    assert (
        workshop.finding(with_gateways(**{"Glavni prehod": {"http": HTTP}})).problem
        == "is no name that can be used here"
    )
    assert workshop.finding(with_gateways()).problem == "is empty"


async def test_the_settings_become_gateways_that_can_be_asked(workshop, smpp):
    key = workshop.write("signing", b"k\n", mode=0o400)
    http = HTTP | {
        "authentication": "basic",
        "user": "prehod",
        "secret_file": str(workshop.write("password", "gešlo:x\n".encode(), mode=0o400)),
        "signature": {"header": "X-Signature", "key_file": str(key)},
        "headers": {"X-Account": "7"},
        "reference_header": "Idempotency-Key",
        "reports": {"url": "https://sms.example.si/{message_id}", "delivered": ["Delivered"]},
        "success": {"id_pointer": "/id"},
    }
    settings = workshop.read(
        with_gateways(one={"http": http}, two={"smpp": smpp | {"host": "127.0.0.1"}})
    ).settings.step_up.sms
    agreement = text_messages.agreement_of(settings.gateways["one"].http, settings.sender)
    headers, body = agreement.request(Sms(recipient="+38640123456", text="x", reference="r"))
    assert headers["Authorization"] == "Basic " + base64.b64encode("prehod:gešlo:x".encode()).decode()
    assert (headers["X-Account"], headers["Idempotency-Key"], len(headers["X-Signature"])) == ("7", "r", 64)
    assert (body, agreement.reports.delivered) == (
        b'{"sender": "Bankart", "recipient": "+38640123456", "text": "x"}',
        frozenset({"delivered"}),
    )
    background = Background(clock=lambda: datetime.now(UTC))
    async with contextlib.AsyncExitStack() as resources:
        sender = await text_messages.sms_sender(
            settings, clock=lambda: datetime.now(UTC), background=background, resources=resources
        )
        check = await text_messages.check(sender)
        metrics = Metrics(version="1")
        text_messages.count(sender, metrics)
        await background.end()
    assert (list(background.checks), check.status, check.detail) == (
        ["sms_connection_two"],
        "ok",
        "2 gateways",
    )
    assert dict(metrics.sms_sent) == {}


@pytest.mark.parametrize(
    ("http", "headers"),
    [
        ({}, {}),
        ({"authentication": "bearer"}, {"Authorization": "Bearer s3cret"}),
        ({"authentication": "header", "secret_header": "X-API-Key"}, {"X-API-Key": "s3cret"}),
    ],
)
def test_a_secret_is_shown_as_the_gateway_wants_it(workshop, http, headers):
    secret = {"secret_file": str(workshop.write("secret", b"s3cret\n", mode=0o400))} if http else {}
    settings = workshop.read(with_gateways(mno={"http": HTTP | http | secret})).settings.step_up.sms
    assert dict(text_messages.agreement_of(settings.gateways["mno"].http, "Bankart").headers) == headers


async def test_a_check_tells_which_gateways_fail(workshop):
    away = {"http": {"url": "http://127.0.0.1:1/", "tries": 1}}
    settings = workshop.read(with_gateways(one=away, two=away)).settings.step_up.sms
    async with contextlib.AsyncExitStack() as resources:
        sender = await text_messages.sms_sender(
            settings,
            clock=lambda: datetime.now(UTC),
            background=Background(clock=lambda: datetime.now(UTC)),
            resources=resources,
        )
        with pytest.raises(Exception, match="no SMS gateway took a message"):
            await sender.send(Sms(recipient="+38640123456", text="x", reference="r"))
        check, metrics = await text_messages.check(sender), Metrics(version="1")
        text_messages.count(sender, metrics)
    assert (
        check.status,
        check.detail.startswith("one could not be asked: ClientConnectorError (1 in a row); two "),
    ) == ("failed", True)
    assert dict(metrics.sms_sent) == {("one", "failed"): 1, ("two", "failed"): 1}

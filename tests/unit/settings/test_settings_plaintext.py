"""What would go to another machine in plain text is refused, unless the address is this machine's or the
operator says so."""

from __future__ import annotations

import contextlib
import socket

import pytest
import yaml

from authproxy.settings.sources import read
from authproxy.settings.this_machine import this_machine
from tests.support.machine import MACHINE, OWN_ADDRESS

SMS = {"sender": "Banka", "gateways": {"mno": {}}}


def store(host, **more):
    return {"store": {"url": f"redis://{host}:6379/0"} | more}, ("store.url", "the store's password")


def sentinels(host, **more):
    url = f"redis+sentinel://127.0.0.1:26380,localhost:26381,{host}:26379/bank"
    return {"store": {"url": url} | more}, ("store.url", "the store's password")


def nodes(host, **more):
    url = f"redis+cluster://127.0.0.1:7000,{host}:6379"
    return {"store": {"url": url} | more}, ("store.url", "the store's password")


def upstream(host, **more):
    return {"portals": {"acq": {"upstream": f"http://{host}:9001"} | more}}, (
        "portals.acq.upstream",
        "identities",
    )


def onepass(host, **more):
    section = {"url": f"http://{host}/push", "api_key": "a-key-of-good-length"} | more
    return {"step_up": {"onepass": section}}, ("step_up.onepass.url", "notifications")


def sms(host, **more):
    return {
        "step_up": {"sms": SMS | {"gateways": {"mno": {"http": {"url": f"http://{host}/send"} | more}}}}
    }, ("step_up.sms.gateways.mno.http.url", "codes")


def sms_reports(host, **more):
    reports = {"url": f"http://{host}/{{message_id}}"}
    http = {"url": "https://sms.example.si/send", "success": {"id_pointer": "/id"}, "reports": reports} | more
    return {"step_up": {"sms": SMS | {"gateways": {"mno": {"http": http}}}}}, (
        "step_up.sms.gateways.mno.http.reports.url",
        "codes",
    )


def smpp(host, **more):
    centre = {"host": host.strip("[]"), "system_id": "prehod", "password": "geslo-8"} | more
    return {"step_up": {"sms": SMS | {"gateways": {"mno": {"smpp": centre}}}}}, (
        "step_up.sms.gateways.mno.smpp.tls",
        "codes",
    )


def mail(host, **more):
    section = {"host": host.strip("[]"), "sender": "prehod@bankart.example", "tls": "none"} | more
    return {"step_up": {"mail": section}}, ("step_up.mail.tls", "letters")


COUNTERPARTS = (store, sentinels, nodes, upstream, onepass, sms, sms_reports, smpp, mail)


def merged(into, what):
    for key, value in what.items():
        into[key] = (
            merged(into[key], value) if isinstance(value, dict) and isinstance(into.get(key), dict) else value
        )
    return into


def errors(workshop, sections):
    file = workshop.write("authproxy.yaml", yaml.safe_dump(merged(workshop.good(), sections)).encode())
    return [
        (each.key, each.problem)
        for each in read(file, {}, machine=MACHINE).findings
        if each.severity == "error"
    ]


@pytest.mark.parametrize("host", ["10.1.2.3", "redis", "store.example.si", "[2001:db8::1]", "198.51.100.7"])
@pytest.mark.parametrize("counterpart", COUNTERPARTS)
def test_plain_text_to_another_machine_is_an_error(workshop, counterpart, host):
    sections, (key, what) = counterpart(host)
    [(found, problem)] = errors(workshop, sections)
    assert (found, "plain text" in problem, what in problem) == (key, True, True)


@pytest.mark.parametrize(
    "host", ["localhost", "portal.localhost", "127.0.0.1", "127.3.2.1", "[::1]", OWN_ADDRESS]
)
@pytest.mark.parametrize("counterpart", COUNTERPARTS)
def test_plain_text_stays_on_this_machine(workshop, counterpart, host):
    assert errors(workshop, counterpart(host)[0]) == []


@pytest.mark.parametrize("counterpart", COUNTERPARTS)
def test_an_operator_may_allow_it_where_it_is_said(workshop, counterpart):
    assert errors(workshop, counterpart("10.1.2.3", allows_plaintext=True)[0]) == []


@pytest.mark.parametrize(
    "sections",
    [
        {"store": {"url": "rediss://store.example.si"}},
        {"store": {"url": "unix:///run/redis.sock"}},
        {"store": {"url": "rediss+sentinel://one,two,three/bank"}},
        {"store": {"url": "valkeys+cluster://one,two"}},
        {"portals": {"acq": {"upstream": "https://10.1.2.3"}}},
        {"portals": {"acq": {"upstream": "unix:/run/portal.sock"}}},
        smpp("10.1.2.3", tls=True)[0],
        mail("10.1.2.3", tls="starttls")[0],
    ],
)
def test_what_is_encrypted_or_a_socket_needs_no_permission(workshop, sections):
    assert errors(workshop, sections) == []


def test_serve_refuses_what_check_config_refuses(workshop):
    file = workshop.write(
        "authproxy.yaml", yaml.safe_dump(merged(workshop.good(), store("10.1.2.3")[0])).encode()
    )
    assert read(file, {}).settings is None


def test_this_machine_knows_its_own_addresses():
    has_address = this_machine().has_address
    assert [
        has_address(each) for each in ("127.0.0.1", "0.0.0.0", "192.0.2.1", "2001:db8::1", "224.0.0.1")
    ] == [True, True, False, False, False]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
        contextlib.suppress(OSError),
    ):  # a machine may have no other address
        asking.connect(("192.0.2.1", 9))  # only a route is looked up; nothing is sent
        assert has_address(asking.getsockname()[0])

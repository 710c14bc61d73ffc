"""What works today and will surprise somebody: who can ask the management listener, upstreams that come round
again, folders, old sign-ins."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.settings.sources import read
from tests.support.host_certificates import host_certificate, new_key
from tests.support.machine import MACHINE, NOW, OWN_ADDRESS


def found(workshop, spoil, *, machine=MACHINE):
    settings = workshop.good()
    spoil(settings)
    file = workshop.write("authproxy.yaml", yaml.safe_dump(settings).encode())
    return [(each.severity, each.key, each.problem) for each in read(file, {}, machine=machine).findings]


def server(**keys):
    return lambda settings: settings["server"].update(keys)


def upstream(url, **more):
    def spoil(settings):
        settings["portals"]["acq"] |= {"upstream": url, "allows_plaintext": True}
        settings["server"] |= more

    return spoil


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("0.0.0.0:8090", True),
        ("[::]:8090", True),
        ("8.8.8.8:8090", True),
        ("127.0.0.1:8090", False),
        ("10.1.2.3:8090", False),
        ("unix:/run/m.sock", False),
    ],
)
def test_a_management_address_that_is_open_to_all_is_told_of(workshop, address, is_open):
    told = [
        (severity, key)
        for severity, key, problem in found(workshop, server(management=address))
        if "every network" in problem
    ]
    assert told == ([("warning", "server.management")] if is_open else [])


@pytest.mark.parametrize(
    "url", ["https://acq.example.si", "https://ACQ.example.si:8443", "http://b2b.example.si"]
)
def test_an_upstream_that_is_the_host_of_a_portal_is_told_of(workshop, url):
    def spoil(settings):
        upstream(url)(settings)
        settings["portals"]["b2b"] = {
            "name": "B2B",
            "url": "https://b2b.example.si",
            "upstream": "http://127.0.0.1:9002",
        }

    [(severity, key, problem)] = found(workshop, spoil)
    assert (severity, key, "go round in circles" in problem) == ("warning", "portals.acq.upstream", True)


def test_an_upstream_by_an_own_address_of_an_open_listener_is_the_gateway_itself(workshop):
    listen = ["unix:/run/authproxy-edge.sock", "0.0.0.0:8080"]
    told = found(workshop, upstream(f"http://{OWN_ADDRESS}:8080", listen=listen))
    assert [each for each in told if each[0] == "error"] == [
        ("error", "portals.acq.upstream", "is the gateway itself: requests would go round in circles")
    ]
    for other in (f"http://{OWN_ADDRESS}:8081", "http://10.1.2.3:8080"):
        assert [each for each in found(workshop, upstream(other, listen=listen)) if each[0] == "error"] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("listen", ["unix:/run/none/edge.sock"]), ("management", "unix:/run/none/management.sock")],
)
def test_a_folder_of_a_socket_that_is_missing_is_told_of(workshop, key, value):
    machine = dataclasses.replace(MACHINE, has_folder=lambda folder: folder != "/run/none")
    [(severity, place, problem)] = found(workshop, server(**{key: value}), machine=machine)
    assert (severity, place.startswith(f"server.{key}"), "/run/none must be there" in problem) == (
        "warning",
        True,
        True,
    )
    assert found(workshop, server(**{key: value})) == []


@pytest.mark.parametrize(
    ("keys", "is_told"),
    [({"max_age": None}, True), ({"max_age": None, "prompt": "login"}, False), ({}, False)],
)
def test_sign_ins_of_any_age_are_told_of(workshop, keys, is_told):
    told = found(workshop, lambda settings: settings["rekono"].update(keys))
    assert [(severity, key) for severity, key, _ in told] == (
        [("warning", "rekono.max_age")] if is_told else []
    )


@pytest.mark.parametrize(
    ("hosts", "days", "said"),
    [
        (["acq.example.si"], -1, "has expired"),
        (["acq.example.si"], 5, "expires on"),
        (["b2b.example.si"], 300, "is not for acq.example.si"),
        (["*.example.si"], 300, None),
    ],
)
def test_an_own_certificate_that_browsers_refuse_or_will_is_a_warning(workshop, hosts, days, said):
    key = new_key()
    workshop.write(
        "tls.pem",
        host_certificate(*hosts, key=key, ends=NOW + timedelta(days=days)).public_bytes(Encoding.PEM),
    )
    workshop.write("tls.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    told = found(workshop, server(tls={"certificate_file": "tls.pem", "key_file": "tls.key"}))
    assert [(severity, place, problem.startswith(said)) for severity, place, problem in told] == (
        [("warning", "server.tls.certificate_file", True)] if said else []
    )

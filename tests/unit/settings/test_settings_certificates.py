from __future__ import annotations

from datetime import timedelta
from typing import get_args, get_type_hints

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.bootstrap.portals import sign_in_methods
from authproxy.certificates.presentation import TerminatorForm
from authproxy.certificates.profiles import ACNLB_PERSONS, ACNLB_SEALS
from authproxy.settings.certificates import AcnlbSettings
from tests.support.certificate_builder import Authority, der, ec_key, lists_at, pem
from tests.support.certificate_builder import at as moment
from tests.support.host_certificates import host_certificate

ROOT = Authority.root(key=ec_key(), end=moment(days=5000))
LISTS = lists_at("http://acldap.nlb.si/crl/acnlb-root.crl")
SUB = ROOT.authority("Test SubCA", key=ec_key(), end=moment(days=4000), lists=LISTS)
STRANGER = Authority.root("Stranger", key=ec_key())


@pytest.fixture
def acnlb(workshop):
    """A section that is all right but for the authority, which is none of AC NLB's."""
    key = ec_key()
    own = host_certificate("potrdila.example.si", key=key)
    return {
        "url": "https://potrdila.example.si",
        "listen": "127.0.0.1:8444",
        "tls": {
            "certificate_file": str(workshop.write("host.pem", pem(own).encode())),
            "key_file": str(workshop.write("host.key", key_pem(key))),
        },
        "root_file": str(workshop.write("root.cer", der(ROOT.certificate))),
        "sub_ca_file": str(workshop.write("sub.pem", pem(SUB.certificate).encode())),
    }


def key_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def with_section(section):
    return lambda settings: settings.update(acnlb=section)


def findings(workshop, section, severity):
    return [
        (each.key, each.problem)
        for each in workshop.read(with_section(section)).findings
        if each.severity == severity
    ]


def test_a_route_for_certificates_behind_one_for_every_sign_in_is_never_reached(workshop, acnlb):
    def spoil(settings):
        with_section(acnlb)(settings)
        settings["portals"]["acq"]["routes"] = [{"path": "/a"}, {"path": "/a/b", "sign_in": ["acnlb"]}]

    [found] = [each for each in workshop.read(spoil).findings if each.key == "portals.acq.routes[1].path"]
    assert "and demand less" in found.problem


def test_an_authority_that_is_not_ac_nlbs_is_told_of_and_accepted(workshop, acnlb):
    reading = workshop.read(with_section(acnlb))
    assert reading.settings is not None
    assert [(each.key, each.severity) for each in reading.findings] == [
        ("acnlb.root_file", "warning"),
        ("acnlb.sub_ca_file", "warning"),
    ]
    assert "is not the ACNLB RootCA of AC NLB" in reading.findings[0].problem


def test_portals_offer_every_way_that_is_set_up(workshop, acnlb):
    with_it, without = workshop.read(with_section(acnlb)).settings, workshop.read().settings
    assert [sign_in_methods(settings, settings.portals["acq"]) for settings in (with_it, without)] == [
        ("rekono", "acnlb"),
        ("rekono",),
    ]


def test_the_defaults_are_those_of_ac_nlb(workshop, acnlb):
    found = workshop.read(with_section(acnlb)).settings.acnlb
    assert (set(found.accepted_policies), set(found.seal_policies)) == (ACNLB_PERSONS, ACNLB_SEALS)
    assert (str(found.warn_from), str(found.stop_at), int(found.level)) == ("2027-06-28", "2028-06-28", 20)
    assert found.revocation.sessions_checked_every == timedelta(minutes=5)


def test_every_form_that_can_be_read_can_be_set():
    choice = get_args(get_args(get_type_hints(AcnlbSettings, include_extras=True)["presented_by"])[0])
    assert set(choice) == {"listener", *TerminatorForm}


ERRORS = [
    ({"url": "https://acq.example.si"}, "acnlb.url", "is the host of portal acq"),
    ({"url": "https://acq.example.si:443/"}, "acnlb.url", "is the host of portal acq"),
    ({"url": "https://a..b"}, "acnlb.url", "host is malformed"),
    ({"url": "http://potrdila.example.si"}, "acnlb.url", "is not valid"),
    ({"listen": "nowhere"}, "acnlb.listen", "is not `address:port`"),
    ({"listen": "127.0.0.1:8090"}, "acnlb.listen", "is the same as another listener"),
    ({"listen": "unix:/run/authproxy/certificates.sock"}, "acnlb.listen", "is a Unix socket"),
    ({"tls": None}, "acnlb.tls", "is missing"),
    (
        {"presented_by": "nginx", "tls": None},
        "acnlb.trusted_terminators",
        "is empty: nobody would be answered",
    ),
    (
        {"presented_by": "nginx", "tls": None, "trusted_terminators": ["front"]},
        "acnlb.trusted_terminators[0]",
        "is no address and no network",
    ),
    ({"presented_by": "nginks", "tls": None}, "acnlb.presented_by", "is not valid"),
    ({"warn_from": "2028-06-29"}, "acnlb.warn_from", "is later than `stop_at`"),
    ({"stop_at": "28. 6. 2028"}, "acnlb.stop_at", "is no day of the calendar"),
    ({"stop_at": "20280628"}, "acnlb.stop_at", "is no day of the calendar"),
    ({"root_file": "/nowhere/root.cer"}, "acnlb.root_file", "cannot be read"),
    (
        {"revocation": {"ocsp_url": "ldap://acldap.nlb.si"}},
        "acnlb.revocation.ocsp_url",
        "is no address that can be asked",
    ),
    (
        {"revocation": {"crl_urls": ["http://me@host/"]}},
        "acnlb.revocation.crl_urls[0]",
        "is no address that can be asked",
    ),
    (
        {"revocation": {"moved": {"http://acldap.nlb.si/": "elsewhere"}}},
        'acnlb.revocation.moved."http://acldap.nlb.si/"',
        "is no address",
    ),
    ({"revocation": {"refresh_every": "30s"}}, "acnlb.revocation.refresh_every", "is out of bounds"),
    ({"revocation": {"largest_list": 0}}, "acnlb.revocation.largest_list", "is less than a list needs"),
    (
        {"revocation": {"allowed_hosts": []}},
        "acnlb.revocation",
        "so that nobody could sign in with a certificate at acq",
    ),
    (
        {"revocation": {"allowed_hosts": ["other.si"]}},
        "acnlb.revocation",
        "no list and no responder may be asked",
    ),
    ({"revocation": {"timeout": "1h"}}, "acnlb.revocation.timeout", "is out of bounds"),
    (
        {"revocation": {"sessions_checked_every": "1s"}},
        "acnlb.revocation.sessions_checked_every",
        "is out of bounds",
    ),
    ({"revocation": {"max_stale": "30d"}}, "acnlb.revocation.max_stale", "is out of bounds"),
]


@pytest.mark.parametrize(("changes", "key", "problem"), ERRORS)
def test_what_cannot_work_is_an_error(workshop, acnlb, changes, key, problem):
    [(found_key, found)] = findings(workshop, acnlb | changes, "error")
    assert found_key == key
    assert problem in found


SOURCES = [
    {"ocsp_url": "http://ocsp.example.si/"},
    {"crl_urls": ["http://lists.example.si/sub.crl"]},
    {"moved": {"http://acldap.nlb.si/": "http://lists.example.si/"}},
]


@pytest.mark.parametrize("source", SOURCES)
def test_one_source_is_enough(workshop, acnlb, source):
    assert findings(workshop, acnlb | {"revocation": {"allowed_hosts": []} | source}, "error") == []


def test_where_sign_ins_go_on_without_a_source_or_use_no_certificate_none_is_demanded(workshop, acnlb):
    def without(**portal):
        def spoil(settings):
            settings["acnlb"] = acnlb | {"revocation": {"allowed_hosts": []}}
            settings["portals"]["acq"].update(portal)

        return [each.key for each in workshop.read(spoil).findings if each.severity == "error"]

    assert (without(revocation="alarm"), without(sign_in=["rekono"]), without()) == (
        [],
        [],
        ["acnlb.revocation"],
    )


WARNINGS = [
    ({"trusted_terminators": ["10.0.0.1"]}, "acnlb.trusted_terminators", "has no effect"),
    ({"certificate_header": "X-Cert"}, "acnlb.certificate_header", "has no effect"),
    ({"presented_by": "nginx", "trusted_terminators": ["10.0.0.1"]}, "acnlb.tls", "has no effect"),
    (
        {"presented_by": "nginx", "tls": None, "listen": "unix:/run/c.sock", "chain_header": "X"},
        "acnlb.chain_header",
        "has no effect",
    ),
    ({"stop_at": "2099-01-01"}, "acnlb.root_file", "ends before `acnlb.stop_at`"),
]


@pytest.mark.parametrize(("changes", "key", "problem"), WARNINGS)
def test_what_has_no_effect_or_ends_early_is_told(workshop, acnlb, changes, key, problem):
    assert any(
        found_key == key and problem in found
        for found_key, found in findings(workshop, acnlb | changes, "warning")
    )
    assert findings(workshop, acnlb | changes, "error") == []


def test_a_file_with_another_authority_is_found(workshop, acnlb):
    other = str(workshop.write("other.pem", pem(STRANGER.certificate).encode()))
    assert findings(workshop, acnlb | {"sub_ca_file": other}, "error") == [
        ("acnlb.sub_ca_file", "was not issued by the authority in `root_file`")
    ]


@pytest.mark.parametrize(
    ("content", "problem"), [(b"rubbish", "holds no certificate"), (b"", "holds no certificate")]
)
def test_a_file_without_a_certificate_is_found(workshop, acnlb, content, problem):
    [(key, found)] = findings(workshop, acnlb | {"root_file": str(workshop.write("bad", content))}, "error")
    assert (key, problem in found) == ("acnlb.root_file", True)


def test_two_certificates_in_one_file_are_one_too_many(workshop, acnlb):
    both = workshop.write("both.pem", (pem(ROOT.certificate) + pem(SUB.certificate)).encode())
    assert findings(workshop, acnlb | {"root_file": str(both)}, "error") == [
        ("acnlb.root_file", "holds 2 certificates instead of one")
    ]


def test_a_portal_that_demands_more_than_a_certificate_gives_is_told_of(workshop, acnlb):
    def spoil(settings):
        settings["acnlb"] = acnlb
        settings["portals"]["acq"]["level"] = 30

    assert ("portals.acq.level", True) in [
        (each.key, "is more than a certificate gives" in each.problem)
        for each in workshop.read(spoil).findings
    ]


def test_a_portal_may_name_the_certificate_of_a_section_that_has_faults(workshop, acnlb):
    def spoil(settings):
        settings["acnlb"] = acnlb | {"level": 7}
        settings["portals"]["acq"]["sign_in"] = ["acnlb"]

    assert [each.key for each in workshop.read(spoil).findings if each.severity == "error"] == ["acnlb.level"]

"""Which addresses may be asked, and what a certificate cannot make us ask."""

from __future__ import annotations

import pytest
from cryptography import x509

from authproxy.certificates.addresses import SourceAddress, SourceAddresses
from tests.support.certificate_builder import Authority, lists_at, responder_at

SUB = Authority.root().authority()
LIST, RESPONDER = "http://acldap.example.si/crl/sub1.crl", "http://acldap.example.si/ocsp"
LEAF = SUB.person(
    lists=lists_at(LIST, "ldap://acldap.example.si/cn=CRL1", directory=SUB.certificate.subject),
    responder=responder_at(RESPONDER),
)


def test_only_allowed_addresses_are_asked():
    assert SourceAddresses().lists(LEAF) == SourceAddresses().responders(LEAF) == ()


def test_allowed_hosts_are_asked_as_the_certificate_says():
    addresses = SourceAddresses(allowed_hosts=frozenset({"acldap.example.si"}))
    assert addresses.lists(LEAF) == (SourceAddress(LIST, is_named=False),)
    assert addresses.responders(LEAF) == (SourceAddress(RESPONDER, is_named=False),)


def test_a_certificate_without_addresses_names_none():
    addresses = SourceAddresses(allowed_hosts=frozenset({"acldap.example.si"}))
    assert addresses.lists(SUB.person()) == addresses.responders(SUB.person()) == ()


def test_an_address_of_issuer_certificates_is_not_a_responder():
    access = x509.AccessDescription(
        x509.oid.AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(RESPONDER)
    )
    odd = x509.AccessDescription(
        x509.oid.AuthorityInformationAccessOID.OCSP, x509.DNSName("acldap.example.si")
    )
    leaf = SUB.person(responder=x509.AuthorityInformationAccess([access, odd]))
    assert SourceAddresses(allowed_hosts=frozenset({"acldap.example.si"})).responders(leaf) == ()


@pytest.mark.parametrize(
    "url",
    [
        "http://acldap.example.si:8080/x",
        "http://acldap.example.si@evil.example/x",
        "http://user@acldap.example.si/x",
        "http://evil.example/acldap.example.si",
        "http://acldap.example.si.evil.example/x",
        "http://acldap.example.si/x#y",
        "http://acldap.example.si/x y",
        "http://acldap.example.si\\@evil.example/x",
        "http://acldap.example.si/\r\nHost: evil.example",
        "ftp://acldap.example.si/x",
        "file:///etc/passwd",
        "http:///x",
        "http://[::1",
        "http://acldap.example.si:99999/x",
        "//acldap.example.si/x",
    ],
)
def test_an_address_that_only_looks_like_an_allowed_host_is_not_asked(url):
    assert (
        SourceAddresses(allowed_hosts=frozenset({"acldap.example.si"})).lists(SUB.person(lists=lists_at(url)))
        == ()
    )


def test_a_port_must_be_allowed_by_name():
    leaf = SUB.person(lists=lists_at("https://lists.example.si:8443/a", "https://lists.example.si:443/b"))
    assert SourceAddresses(allowed_hosts=frozenset({"lists.example.si:8443"})).lists(leaf) == (
        SourceAddress("https://lists.example.si:8443/a", is_named=False),
    )
    assert SourceAddresses(allowed_hosts=frozenset({"lists.example.si"})).lists(leaf) == (
        SourceAddress("https://lists.example.si:443/b", is_named=False),
    )


def test_the_longest_override_counts_and_keeps_the_rest():
    addresses = SourceAddresses(
        moved={
            "http://acldap.example.si/": "http://10.0.0.1/all/",
            "http://acldap.example.si/crl/": "http://10.0.0.2/lists/",
        }
    )
    assert addresses.lists(LEAF) == (SourceAddress("http://10.0.0.2/lists/sub1.crl", is_named=True),)
    assert addresses.responders(LEAF) == (SourceAddress("http://10.0.0.1/all/ocsp", is_named=True),)


@pytest.mark.parametrize("rest", ["@evil.example/", ".evil.example/", ":81/", "evil"])
def test_the_rest_of_an_overridden_address_cannot_change_its_host(rest):
    addresses = SourceAddresses(
        moved={"http://acldap.example.si": "http://10.0.0.1"}, allowed_hosts=frozenset({"evil.example"})
    )
    assert addresses.lists(SUB.person(lists=lists_at(f"http://acldap.example.si{rest}"))) == ()


def test_the_operators_responder_is_asked_whatever_the_certificate_says():
    addresses = SourceAddresses(
        ocsp_url="http://10.0.0.3/ocsp", allowed_hosts=frozenset({"acldap.example.si"})
    )
    assert (
        addresses.responders(LEAF)
        == addresses.responders(SUB.person())
        == (SourceAddress("http://10.0.0.3/ocsp", is_named=True),)
    )


def test_the_operators_lists_are_kept():
    assert SourceAddresses(crl_urls=("http://10.0.0.3/a.crl",)).named_lists == (
        SourceAddress("http://10.0.0.3/a.crl", is_named=True),
    )


@pytest.mark.parametrize(
    "wrong",
    [{"ocsp_url": "ldap://x/"}, {"crl_urls": ("x.crl",)}, {"moved": {"http://a/": "http://user:secret@b/"}}],
)
def test_an_operators_address_that_cannot_be_asked_is_a_mistake(wrong):
    with pytest.raises(ValueError):
        SourceAddresses(**wrong)


def test_an_address_that_is_named_twice_is_asked_once():
    leaf = SUB.person(lists=lists_at(LIST, LIST))
    assert len(SourceAddresses(allowed_hosts=frozenset({"acldap.example.si"})).lists(leaf)) == 1

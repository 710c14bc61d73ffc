"""Certificates in the headers of TLS terminators: each form is read, and ambiguous headers are refused."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from authproxy.access.decision import Reason
from authproxy.certificates.presentation import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    MAX_HEADER_CHARACTERS,
    Presented,
    Terminator,
    TerminatorForm,
    from_headers,
    presented,
    terminator,
)
from authproxy.certificates.verdict import CertificateRefused
from tests.support.certificate_builder import Authority, der, pem

ROOT = Authority.root()
SUB = ROOT.authority()
LEAF, OTHER = SUB.person(), SUB.person()


def base64_of(certificate):
    return base64.b64encode(der(certificate)).decode()


def sequence(certificate):
    return f":{base64_of(certificate)}:"


def traefik(*certificates):
    return quote(",".join(base64_of(each) for each in certificates), safe="")


def envoy(**pairs):
    return ";".join(
        f'{name}="{value}"' if name in {"Cert", "Chain", "Subject"} else f"{name}={value}"
        for name, value in pairs.items()
    )


GOOD = {
    TerminatorForm.RFC9440: [
        ("Client-Cert", sequence(LEAF)),
        ("Client-Cert-Chain", sequence(SUB.certificate)),
    ],
    TerminatorForm.NGINX: [
        ("X-SSL-Client-Cert", quote(pem(LEAF), safe="+")),
        ("X-SSL-Client-Verify", "SUCCESS"),
    ],
    TerminatorForm.INGRESS_NGINX: [
        ("ssl-client-cert", quote(pem(LEAF), safe="")),
        ("ssl-client-verify", "SUCCESS"),
    ],
    TerminatorForm.TRAEFIK: [("X-Forwarded-Tls-Client-Cert", traefik(LEAF, SUB.certificate))],
    TerminatorForm.ENVOY: [
        (
            "X-Forwarded-Client-Cert",
            envoy(
                By="spiffe://edge",
                Hash=hashlib.sha256(der(LEAF)).hexdigest(),
                Cert=quote(pem(LEAF), safe=""),
                Chain=quote(pem(LEAF) + pem(SUB.certificate), safe=""),
                Subject='CN=\\"Ana\\"',
                URI="",
            ),
        )
    ],
    TerminatorForm.APACHE: [
        ("X-SSL-Client-Cert", pem(LEAF).replace("\n", " ").strip()),
        ("X-SSL-Client-Verify", "SUCCESS"),
    ],
    TerminatorForm.HAPROXY: [("X-SSL-Client-Cert", base64_of(LEAF)), ("X-SSL-Client-Verify", "0")],
}
WITH_CHAIN = {TerminatorForm.RFC9440, TerminatorForm.TRAEFIK, TerminatorForm.ENVOY}


def shown(form, *values):
    """A request whose certificate header has these values, and whose verdict is a success."""
    (name, _), *others = GOOD[form]
    return [
        *((name, value) for value in values),
        *(other for other in others if "verify" in other[0].lower()),
    ]


@pytest.mark.parametrize("form", TerminatorForm)
def test_every_form_yields_the_same_octets(form):
    chain = (der(SUB.certificate),) if form in WITH_CHAIN else ()
    assert from_headers(GOOD[form], terminator(form)) == Presented(leaf=der(LEAF), chain=chain)


# nginx writes one form under two names, and its decoder reads Apache's, which has nothing to decode;
# Traefik's of one certificate is base64.
ALIKE = {
    TerminatorForm.NGINX: {TerminatorForm.INGRESS_NGINX, TerminatorForm.APACHE},
    TerminatorForm.INGRESS_NGINX: {TerminatorForm.NGINX, TerminatorForm.APACHE},
    TerminatorForm.TRAEFIK: {TerminatorForm.HAPROXY},
}
UNLIKE = [
    (form, other)
    for form in TerminatorForm
    for other in TerminatorForm
    if other is not form and other not in ALIKE.get(form, ())
]


@pytest.mark.parametrize(("form", "other"), UNLIKE)
def test_a_certificate_in_another_form_than_the_configured_one_is_refused(form, other):
    assert (
        from_headers(shown(form, GOOD[other][0][1]), terminator(form)).reason is Reason.CERTIFICATE_UNREADABLE
    )


@pytest.mark.parametrize("form", TerminatorForm)
def test_a_missing_certificate_is_refused_as_missing(form):
    assert from_headers(shown(form), terminator(form)).reason is Reason.CERTIFICATE_MISSING


@pytest.mark.parametrize("form", [TerminatorForm.NGINX, TerminatorForm.APACHE, TerminatorForm.INGRESS_NGINX])
def test_the_terminator_is_believed_if_it_says_that_no_certificate_was_shown(form):
    verify = terminator(form).verify_header
    assert from_headers([(verify, "NONE")], terminator(form)).reason is Reason.CERTIFICATE_MISSING


@pytest.mark.parametrize("nothing", ["", "(null)", "-", " "])
def test_placeholders_of_terminators_count_as_no_certificate(nothing):
    assert (
        from_headers(shown(TerminatorForm.APACHE, nothing), terminator(TerminatorForm.APACHE)).reason
        is Reason.CERTIFICATE_MISSING
    )


@pytest.mark.parametrize(
    ("form", "verify"),
    [
        (TerminatorForm.NGINX, "FAILED:certificate has expired"),
        (TerminatorForm.NGINX, "success"),
        (TerminatorForm.NGINX, "SUCCESS "),
        (TerminatorForm.NGINX, ""),
        (TerminatorForm.APACHE, "GENEROUS"),
        (TerminatorForm.HAPROXY, "10"),
        (TerminatorForm.HAPROXY, "SUCCESS"),
    ],
)
def test_a_verdict_other_than_success_is_refused(form, verify):
    headers = [GOOD[form][0], (terminator(form).verify_header, verify)]
    assert from_headers(headers, terminator(form)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a_missing_verdict_is_refused():
    assert (
        from_headers(GOOD[TerminatorForm.NGINX][:1], terminator(TerminatorForm.NGINX)).reason
        is Reason.CERTIFICATE_UNREADABLE
    )


def test_header_names_are_configurable():
    by = Terminator(form=TerminatorForm.HAPROXY, certificate_header="X-Certificate")
    assert from_headers([("x-certificate", base64_of(LEAF))], by) == Presented(leaf=der(LEAF))


@pytest.mark.parametrize("form", TerminatorForm)
def test_a_repeated_header_is_refused(form):
    value = GOOD[form][0][1]
    assert from_headers(shown(form, value, value), terminator(form)).reason is Reason.CERTIFICATE_UNREADABLE


@pytest.mark.parametrize("spelling", ["X_SSL_Client_Cert", "x-ssl_client-cert", "X.SSL.Client.Cert"])
def test_another_spelling_of_the_header_is_refused_alone_and_beside_the_right_one(spelling):
    forged = (spelling, GOOD[TerminatorForm.NGINX][0][1])
    for headers in ([forged, GOOD[TerminatorForm.NGINX][1]], [forged, *GOOD[TerminatorForm.NGINX]]):
        assert from_headers(headers, terminator(TerminatorForm.NGINX)).reason is Reason.CERTIFICATE_UNREADABLE


@pytest.mark.parametrize("form", TerminatorForm)
def test_data_after_a_certificate_is_refused(form):
    followed = GOOD[form][0][1] + ("," if form is TerminatorForm.ENVOY else "") + "AAAA"
    assert from_headers(shown(form, followed), terminator(form)).reason is Reason.CERTIFICATE_UNREADABLE


@pytest.mark.parametrize("form", TerminatorForm)
def test_an_overlong_header_is_refused(form):
    value = GOOD[form][0][1] + " " * MAX_HEADER_CHARACTERS
    assert "longer" in from_headers(shown(form, value), terminator(form)).detail


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (TerminatorForm.RFC9440, ":"),
        (TerminatorForm.RFC9440, base64_of(LEAF)),
        (TerminatorForm.RFC9440, sequence(LEAF) + ";a=1"),
        (TerminatorForm.RFC9440, f"{sequence(LEAF)}, {sequence(OTHER)}"),
        (TerminatorForm.RFC9440, f":{base64_of(LEAF)[:-4]}=:"),
        (TerminatorForm.RFC9440, "::"),
        (TerminatorForm.RFC9440, f": {base64_of(LEAF)}:"),
        (TerminatorForm.NGINX, quote(pem(LEAF) + pem(OTHER))),
        (TerminatorForm.NGINX, quote(pem(LEAF)) + "%0"),
        (TerminatorForm.NGINX, quote(pem(LEAF)) + "%c5%a1"),
        (TerminatorForm.NGINX, quote(pem(LEAF).replace("CERTIFICATE", "X509 CRL"))),
        (TerminatorForm.NGINX, quote(pem(LEAF)).replace("-----END%20CERTIFICATE-----", "")),
        (TerminatorForm.TRAEFIK, traefik(LEAF) + ","),
        (TerminatorForm.TRAEFIK, traefik(*[LEAF] * (MAX_CERTIFICATES + 1))),
        (TerminatorForm.ENVOY, "Hash=ab;Subject=x"),
        (TerminatorForm.ENVOY, f"{GOOD[TerminatorForm.ENVOY][0][1]},{GOOD[TerminatorForm.ENVOY][0][1]}"),
        (TerminatorForm.ENVOY, envoy(Cert=quote(pem(LEAF)), Chain=quote(pem(OTHER)))),
        (TerminatorForm.ENVOY, envoy(Cert=quote(pem(LEAF)), Hash="00" * 32)),
        (TerminatorForm.ENVOY, envoy(Cert=quote(pem(LEAF))) + ";" + envoy(Cert=quote(pem(OTHER)))),
        (TerminatorForm.ENVOY, '="x"'),
        (TerminatorForm.APACHE, pem(LEAF).replace("\n", " ") + pem(OTHER).replace("\n", " ")),
        (TerminatorForm.HAPROXY, base64_of(LEAF) + "=" * 4),
        (TerminatorForm.HAPROXY, base64.urlsafe_b64encode(b"\xfb\xff" * 30).decode()),
        (TerminatorForm.HAPROXY, "QR=="),
        (TerminatorForm.HAPROXY, "A"),
        (TerminatorForm.HAPROXY, base64.b64encode(b"garbage").decode()),
    ],
)
def test_anything_but_exactly_one_certificate_is_refused(form, value):
    assert from_headers(shown(form, value), terminator(form)).reason is Reason.CERTIFICATE_UNREADABLE


def test_envoys_chain_alone_is_enough():
    value = envoy(Chain=quote(pem(LEAF) + pem(SUB.certificate), safe=""))
    assert from_headers(shown(TerminatorForm.ENVOY, value), terminator(TerminatorForm.ENVOY)) == Presented(
        leaf=der(LEAF), chain=(der(SUB.certificate),)
    )


def test_envoys_certificate_alone_is_enough():
    assert from_headers(
        shown(TerminatorForm.ENVOY, envoy(Cert=quote(pem(LEAF), safe=""))), terminator(TerminatorForm.ENVOY)
    ) == Presented(leaf=der(LEAF))


def test_traefiks_unescaped_form_is_read_plus_signs_included():
    leaf = next(each for each in (SUB.person() for _ in range(50)) if "+" in base64_of(each))
    assert from_headers(
        shown(TerminatorForm.TRAEFIK, base64_of(leaf)), terminator(TerminatorForm.TRAEFIK)
    ) == Presented(leaf=der(leaf))


def test_a_chain_without_a_certificate_is_refused():
    assert (
        from_headers(
            [("Client-Cert-Chain", sequence(SUB.certificate))], terminator(TerminatorForm.RFC9440)
        ).reason
        is Reason.CERTIFICATE_UNREADABLE
    )


def test_a_chain_is_not_needed():
    assert from_headers(GOOD[TerminatorForm.RFC9440][:1], terminator(TerminatorForm.RFC9440)) == Presented(
        leaf=der(LEAF)
    )


def test_a_chain_on_several_lines_is_one_list():
    """RFC 8941 §4.2, and what the lines hold together is bounded."""
    third = Authority.root().certificate
    lines = [
        ("Client-Cert-Chain", f"{sequence(SUB.certificate)}, {sequence(OTHER)}"),
        ("client-cert-chain", sequence(third)),
    ]
    assert from_headers(
        [*GOOD[TerminatorForm.RFC9440][:1], *lines], terminator(TerminatorForm.RFC9440)
    ) == Presented(leaf=der(LEAF), chain=(der(SUB.certificate), der(OTHER), der(third)))
    for wrong in (
        ("Client_Cert_Chain", sequence(third)),
        ("Client-Cert-Chain", ""),
        ("Client-Cert-Chain", sequence(third) * 40),
    ):
        assert (
            from_headers([*GOOD[TerminatorForm.RFC9440], wrong], terminator(TerminatorForm.RFC9440)).reason
            is Reason.CERTIFICATE_UNREADABLE
        )


@pytest.mark.parametrize("form", TerminatorForm)
@pytest.mark.parametrize("odd", ["%41\udcff", "\u010d", "\udc80"])
def test_octets_outside_of_ascii_are_refused(form, odd):
    followed = envoy(Cert=quote(pem(LEAF)) + odd) if form is TerminatorForm.ENVOY else GOOD[form][0][1] + odd
    for value in (followed, odd):
        assert from_headers(shown(form, value), terminator(form)).reason is Reason.CERTIFICATE_UNREADABLE


def test_a_handshake_without_certificates_is_refused_as_missing():
    assert presented().reason is Reason.CERTIFICATE_MISSING


def test_certificates_beyond_the_limits_are_not_even_parsed():
    assert presented(*[der(LEAF)] * (MAX_CERTIFICATES + 1)).reason is Reason.CERTIFICATE_UNREADABLE
    assert "bytes" in presented(der(LEAF) + bytes(MAX_CERTIFICATE_BYTES)).detail


def test_neither_a_refusal_nor_the_repr_quotes_the_certificate():
    for headers in (GOOD[TerminatorForm.HAPROXY], shown(TerminatorForm.HAPROXY, base64_of(LEAF) + "AAAA")):
        assert base64_of(LEAF)[:40] not in repr(from_headers(headers, terminator(TerminatorForm.HAPROXY)))
        assert repr(der(LEAF))[2:40] not in repr(from_headers(headers, terminator(TerminatorForm.HAPROXY)))


pieces = st.sampled_from(
    [GOOD[form][0][1] for form in TerminatorForm]
    + [sequence(OTHER), ":", ",", ";", "%", "Cert=", '"', "-----END CERTIFICATE-----"]
)
octets_of_headers = st.binary(max_size=20).map(lambda octets: octets.decode("utf-8", "surrogateescape"))
values = st.lists(pieces | st.text(max_size=20) | octets_of_headers, max_size=4).map("".join)


@given(form=st.sampled_from(TerminatorForm), certificate=values, chain=values)
def test_no_header_makes_it_fail_and_nothing_unparsable_comes_out(form, certificate, chain):
    found = from_headers([*shown(form, certificate), ("Client-Cert-Chain", chain)], terminator(form))
    assert isinstance(found, (CertificateRefused, Presented))
    if isinstance(found, Presented):
        assert [x509.load_der_x509_certificate(each) for each in (found.leaf, *found.chain)]


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_no_octets_make_it_fail(octets):
    assert isinstance(presented(*octets), CertificateRefused)

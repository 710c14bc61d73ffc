"""Revocation lists: which may be believed, and about whom."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from authproxy.certificates import crl
from authproxy.certificates.status import Good, IssuedCertificate, Revoked, StatusSource, UnusableEvidence
from tests.support.certificate_builder import (
    NOW,
    Authority,
    at,
    ec_key,
    lists_at,
    name,
    partition,
    rsa_key,
    signed_with_sha1,
    usage,
)

ROOT = Authority.root()
SUB = ROOT.authority()
URL = "http://lists.example.si/1.crl"
DIRECTORY = x509.Name(
    [
        *name("Test SubCA").rdns,
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "CRL1")]),
    ]
)
HERE, THERE = (
    x509.UniformResourceIdentifier(URL),
    x509.UniformResourceIdentifier("http://lists.example.si/2.crl"),
)
LEAF, OTHER = SUB.person(lists=lists_at(URL, directory=DIRECTORY)), SUB.person()
NO_TIME = timedelta(0)


def read(made, *issuers):
    return crl.read(made.public_bytes(Encoding.DER), [each.certificate for each in issuers or [SUB]])


def said(made, leaf=LEAF, *, issuer=SUB, now=NOW, max_stale=NO_TIME):
    return read(made, issuer).status(
        IssuedCertificate(certificate=leaf, issuer=issuer.certificate), now=now, max_stale=max_stale
    )


def test_a_certificate_that_the_list_does_not_name_is_good():
    made = SUB.crl(OTHER)
    found = said(made)
    assert found == Good(
        source=StatusSource.CRL,
        this_update=at(seconds=-60),
        next_update=at(1),
        evidence=made.public_bytes(Encoding.DER),
    )
    assert not found.is_stale


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (None, "unspecified"),
        (x509.ReasonFlags.key_compromise, "keyCompromise"),
        (x509.ReasonFlags.certificate_hold, "certificateHold"),
    ],
)
def test_a_certificate_that_the_list_names_is_revoked(reason, word):
    assert said(SUB.crl(OTHER, LEAF, reason=reason)) == Revoked(
        source=StatusSource.CRL, at=at(-2), reason=word
    )


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_both_encodings_are_read(encoding):
    assert (
        LEAF.serial_number
        in crl.read(
            b"\n" * (encoding is Encoding.PEM) + SUB.crl(LEAF).public_bytes(encoding), [SUB.certificate]
        ).entries
    )


def test_the_issuer_is_found_among_several():
    assert read(ROOT.crl(), SUB, ROOT).issuer == ROOT.certificate
    twin = Authority.root().authority()
    assert read(SUB.crl(), twin, SUB).issuer == SUB.certificate


def test_a_list_that_its_issuer_has_not_signed_is_refused():
    for signer in (ec_key(), rsa_key()):
        with pytest.raises(UnusableEvidence, match="not signed"):
            read(SUB.crl(key=signer))


@pytest.mark.parametrize(
    "authority",
    [SUB, Authority.root(key=rsa_key()), Authority.root(key=ec.generate_private_key(ec.SECP384R1()))],
)
@pytest.mark.parametrize("hash_algorithm", [hashes.SHA256(), hashes.SHA512(), hashes.SHA3_256()])
def test_signatures_of_each_kind_are_understood(authority, hash_algorithm):
    assert read(authority.crl(hash_algorithm=hash_algorithm), authority).issuer == authority.certificate


@pytest.mark.parametrize("kind", [ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey])
def test_edwards_keys_are_understood(kind):
    key = kind.generate()
    authority = Authority.root(key=ec_key())
    made = _signed_by(authority, key)
    assert crl.read(made, [_with_key(authority, key)]).next_update == at(1)
    with pytest.raises(UnusableEvidence, match="not signed"):
        crl.read(made[:-1] + bytes([made[-1] ^ 1]), [_with_key(authority, key)])


def test_an_authority_of_the_same_name_with_a_key_of_another_kind_has_not_signed():
    made = _signed_by(ROOT, ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(UnusableEvidence, match="not signed"):
        crl.read(made, [ROOT.certificate])


def _with_key(authority, key):
    """The authority's name with that key."""
    return (
        x509.CertificateBuilder()
        .subject_name(authority.certificate.subject)
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at(-1))
        .not_valid_after(at(9))
        .sign(key, None)
    )


def _signed_by(authority, key):
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(at(seconds=-60))
        .next_update(at(1))
    )
    return builder.sign(key, None).public_bytes(Encoding.DER)


def test_the_probabilistic_signature_of_rsa_is_understood():
    key = rsa_key()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(SUB.certificate.subject)
        .last_update(at(seconds=-60))
        .next_update(at(1))
    )
    made = builder.sign(
        key,
        hashes.SHA256(),
        rsa_padding=padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH),
    )
    twin = _named_as(SUB, key)
    assert crl.read(made.public_bytes(Encoding.DER), [SUB.certificate, twin]).issuer == twin


def _named_as(authority, key):
    subject = authority.certificate.subject
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at(-1))
        .not_valid_after(at(9))
        .sign(key, hashes.SHA256())
    )


def test_a_signature_must_be_of_the_kind_that_the_signed_part_states():
    """RFC 5280 §5.1.1.2. Only the algorithm outside of what is signed is changed here."""
    octets = SUB.crl(OTHER).public_bytes(Encoding.DER)
    inside, outside = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040303")
    start, found, end = octets.rpartition(inside)
    assert (found, octets.count(inside)) == (inside, 2)
    with pytest.raises(UnusableEvidence):
        crl.read(start + outside + end, [SUB.certificate])


@pytest.mark.parametrize(
    "octets",
    [
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN X509 CRL-----\nAAAA\n",
        b"-----BEGIN X509 CRL-----\n*\n-----END X509 CRL-----\n",
    ],
)
def test_text_that_is_not_a_list_is_refused(octets):
    with pytest.raises(UnusableEvidence):
        crl.read(octets, [SUB.certificate])


def test_a_certificate_that_is_named_twice_is_revoked_unless_both_entries_remove_it():
    def twice(*reasons):
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(SUB.certificate.subject)
            .last_update(at(seconds=-60))
            .next_update(at(1))
        )
        for reason in reasons:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(LEAF.serial_number)
                .revocation_date(at(-2))
                .add_extension(x509.CRLReason(reason), critical=False)
            )
            builder = builder.add_revoked_certificate(entry.build())
        return said(builder.sign(SUB.key, hashes.SHA256()))

    held, off = x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl
    assert (twice(held, off), twice(off, held)) == (
        Revoked(source=StatusSource.CRL, at=at(-2), reason="certificateHold"),
    ) * 2
    assert isinstance(twice(off, off), Good)


def test_other_extensions_of_an_entry_give_no_reason():
    since = x509.InvalidityDate(at(-3).replace(tzinfo=None))
    made = SUB.crl(LEAF, entry_others=((since, False),))
    assert said(made) == Revoked(source=StatusSource.CRL, at=at(-2), reason="unspecified")


def test_an_entry_with_unreadable_extensions_still_revokes():
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.21"), b"\x0a\x01\x63")
    made = SUB.crl(LEAF, entry_others=((odd, False),))
    assert said(made) == Revoked(source=StatusSource.CRL, at=at(-2), reason="unspecified")


def test_a_long_list_takes_less_time_than_a_look_at_each_extension_would():
    """Lists of a hundred thousand entries are read beside everything else that the gateway does."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(SUB.certificate.subject)
        .last_update(at(seconds=-60))
        .next_update(at(1))
    )
    for number in range(1, 3001):
        entry = x509.RevokedCertificateBuilder().serial_number(number << 90).revocation_date(at(-2))
        builder = builder.add_revoked_certificate(
            entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False).build()
        )
    octets = builder.sign(SUB.key, hashes.SHA256()).public_bytes(Encoding.DER)

    ours = _time_at_the_processor(lambda: crl.read(octets, [SUB.certificate]))
    assert ours < _time_at_the_processor(
        lambda: [entry.extensions for entry in x509.load_der_x509_crl(octets)]
    )


def _time_at_the_processor(work):
    def once():
        began = time.thread_time()
        work()
        return time.thread_time() - began

    return min(once() for _ in range(3))


def test_a_list_of_another_issuer_is_refused():
    with pytest.raises(UnusableEvidence, match="another issuer"):
        read(ROOT.crl())


def test_a_list_of_another_authority_of_the_same_name_is_refused():
    twin = ROOT.authority()
    with pytest.raises(UnusableEvidence, match="another issuer"):
        said(SUB.crl(LEAF)) and read(SUB.crl(LEAF)).status(
            IssuedCertificate(certificate=LEAF, issuer=twin.certificate), now=NOW, max_stale=NO_TIME
        )


def test_a_list_also_counts_for_the_renewed_certificate_of_its_authority():
    renewed = ROOT.authority(key=SUB.key, end=at(3000))
    assert renewed.certificate != SUB.certificate
    made = read(SUB.crl(LEAF), renewed, SUB)
    assert made.issuer == renewed.certificate
    for leaf, kind in ((LEAF, Revoked), (OTHER, Good)):
        assert isinstance(
            made.status(
                IssuedCertificate(certificate=leaf, issuer=SUB.certificate), now=NOW, max_stale=NO_TIME
            ),
            kind,
        )


def test_an_issuer_without_the_key_usage_for_lists_is_refused():
    silent = ROOT.authority("Silent", usage=usage(key_cert_sign=True))
    with pytest.raises(UnusableEvidence, match="key usage"):
        read(silent.crl(), silent)


def test_a_list_that_is_signed_with_sha1_is_refused():
    old = Authority.root("Old", key=rsa_key())
    octets = old.crl().public_bytes(Encoding.DER)
    with pytest.raises(UnusableEvidence, match="weak hash"):
        crl.read(signed_with_sha1(octets, old.key), [old.certificate])


def test_a_list_of_an_issuer_with_a_weak_key_is_refused():
    weak = Authority.root("Weak", key=rsa_key(1024))
    with pytest.raises(UnusableEvidence, match="not signed"):
        read(weak.crl(), weak)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"garbage",
        b"-----BEGIN X509 CRL-----\n",
        SUB.crl().public_bytes(Encoding.DER)[:-1],
        SUB.crl().public_bytes(Encoding.DER) + b"\0",
    ],
)
def test_bytes_that_are_not_a_list_are_refused(octets):
    with pytest.raises(UnusableEvidence):
        crl.read(octets, [SUB.certificate])


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


@pytest.mark.parametrize(
    ("others", "entry_others", "is_read"),
    [
        (((UNKNOWN, False),), (), True),
        (((UNKNOWN, True),), (), False),
        ((), ((UNKNOWN, False),), True),
        ((), ((UNKNOWN, True),), False),
        ((), ((x509.InvalidityDate(at(-3).replace(tzinfo=None)), True),), True),
        ((), ((x509.CertificateIssuer([x509.DirectoryName(name("Other"))]), True),), False),
    ],
)
def test_unknown_critical_extensions_are_refused(others, entry_others, is_read):
    made = SUB.crl(OTHER, others=others, entry_others=entry_others)
    if is_read:
        assert isinstance(said(made), Good)
    else:
        with pytest.raises(UnusableEvidence):
            read(made)


@pytest.mark.parametrize("kind", [{"indirect_crl": True}, {"only_contains_attribute_certs": True}])
def test_lists_of_something_else_are_refused(kind):
    with pytest.raises(UnusableEvidence, match="indirect"):
        read(SUB.crl(point=partition(HERE, **kind)))


@pytest.mark.parametrize(
    ("point", "is_mine"),
    [
        (partition(HERE), True),
        (partition(THERE, HERE), True),
        (partition(x509.DirectoryName(DIRECTORY)), True),
        (partition(THERE), False),
        (partition(only_contains_user_certs=True), True),
        (partition(HERE, only_contains_ca_certs=True), False),
        (partition(HERE, only_contains_user_certs=True), True),
    ],
)
def test_a_partition_counts_for_certificates_that_name_it(point, is_mine):
    if is_mine:
        assert isinstance(said(SUB.crl(point=point)), Good)
    else:
        with pytest.raises(UnusableEvidence):
            said(SUB.crl(point=point))
        with pytest.raises(UnusableEvidence):
            said(SUB.crl(LEAF, point=point))


def test_a_partition_may_be_named_relative_to_the_issuer():
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "CRL1")])
    point = x509.IssuingDistributionPoint(None, relative, False, False, None, False, False)
    assert isinstance(said(SUB.crl(point=point)), Good)
    own = SUB.person(lists=x509.CRLDistributionPoints([x509.DistributionPoint(None, relative, None, None)]))
    assert isinstance(said(SUB.crl(point=partition(x509.DirectoryName(DIRECTORY))), own), Good)


def test_a_partition_does_not_count_for_a_certificate_that_names_none():
    with pytest.raises(UnusableEvidence, match="partition"):
        said(SUB.crl(point=partition(HERE)), OTHER)


SOME_REASONS = frozenset({x509.ReasonFlags.key_compromise})
DELTA = {"others": ((x509.DeltaCRLIndicator(1), True),)}


@pytest.mark.parametrize(
    ("partial", "word"),
    [
        (DELTA, "delta"),
        ({"others": ((x509.DeltaCRLIndicator(1), False),)}, "delta"),
        ({"point": partition(HERE, only_some_reasons=SOME_REASONS)}, "some reasons"),
    ],
)
def test_an_incomplete_list_shows_only_that_a_certificate_is_revoked(partial, word):
    assert isinstance(said(SUB.crl(LEAF, **partial)), Revoked)
    with pytest.raises(UnusableEvidence, match=word):
        said(SUB.crl(OTHER, **partial))


def test_an_entry_that_removes_a_hold_does_not_revoke():
    with pytest.raises(UnusableEvidence, match="delta"):
        said(SUB.crl(LEAF, reason=x509.ReasonFlags.remove_from_crl, **DELTA))


def test_a_list_that_is_named_for_some_reasons_shows_only_that_a_certificate_is_revoked():
    odd = SUB.person(
        lists=x509.CRLDistributionPoints([x509.DistributionPoint([HERE], None, SOME_REASONS, None)])
    )
    assert isinstance(said(SUB.crl(odd, point=partition(HERE)), odd), Revoked)
    with pytest.raises(UnusableEvidence, match="some reasons"):
        said(SUB.crl(point=partition(HERE)), odd)
    assert isinstance(said(SUB.crl(), odd), Good)


def test_points_of_other_issuers_do_not_count():
    odd = SUB.person(
        lists=x509.CRLDistributionPoints(
            [x509.DistributionPoint([HERE], None, None, [x509.DirectoryName(name("Other"))])]
        )
    )
    with pytest.raises(UnusableEvidence, match="partition"):
        said(SUB.crl(odd, point=partition(HERE)), odd)


def test_a_list_of_end_entities_does_not_count_for_authorities():
    authority = SUB.certificate
    with pytest.raises(UnusableEvidence, match="end entities"):
        said(ROOT.crl(point=partition(only_contains_user_certs=True)), authority, issuer=ROOT)
    assert isinstance(
        said(ROOT.crl(point=partition(only_contains_ca_certs=True)), authority, issuer=ROOT), Good
    )


def test_a_list_without_next_update_is_refused():
    der = SUB.crl(next_update=at(1)).public_bytes(Encoding.DER)
    parsed = x509.load_der_x509_crl(der)
    assert parsed.next_update_utc == at(1)
    with pytest.raises(UnusableEvidence, match="next one"):
        crl.read(_without_next_update(der), [SUB.certificate])


def _without_next_update(octets):
    from asn1crypto import crl as asn1
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    signed = asn1.CertificateList.load(octets)
    tbs = asn1.TbsCertList(
        {
            part: signed["tbs_cert_list"][part]
            for part in ("version", "signature", "issuer", "this_update", "crl_extensions")
        }
    )
    return asn1.CertificateList(
        {
            "tbs_cert_list": tbs,
            "signature_algorithm": signed["signature_algorithm"],
            "signature": SUB.key.sign(tbs.dump(), ec.ECDSA(hashes.SHA256())),
        }
    ).dump()


def test_times_are_exact_with_a_minute_of_tolerance_for_the_authoritys_clock():
    made = SUB.crl(this_update=NOW, next_update=at(1))
    assert said(made, now=at(1))
    assert said(made, now=at(seconds=-60))
    for moment in (at(1, 1), at(seconds=-61)):
        with pytest.raises(UnusableEvidence):
            said(made, now=moment)


def test_an_old_list_is_used_as_long_as_the_operator_allows():
    made = SUB.crl(next_update=at(seconds=-1))
    assert said(made, max_stale=timedelta(seconds=1)).is_stale
    with pytest.raises(UnusableEvidence, match="out of date"):
        said(made, max_stale=NO_TIME)


def test_an_old_list_is_believed_about_certificates_that_it_names():
    assert isinstance(said(SUB.crl(LEAF, next_update=at(seconds=-1))), Revoked)

"""Answers of OCSP responders: which may be believed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as wire

from authproxy.certificates import ocsp
from authproxy.certificates.ocsp import OcspQuestion, OcspTerms
from authproxy.certificates.status import Good, IssuedCertificate, Revoked, StatusSource, UnusableEvidence
from tests.support.certificate_builder import (
    ABSENT,
    CLIENT_AUTH,
    NOW,
    Authority,
    at,
    ec_key,
    name,
    rsa_key,
    usage,
)

ROOT = Authority.root()
SUB = ROOT.authority()
LEAF = SUB.person()
RESPONDER = SUB.responder()
NONCE = bytes(range(32))
TERMS = OcspTerms(max_age=timedelta(hours=8))
UNKNOWN = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True)


def said(octets, *, issuer=SUB, leaf=LEAF, nonce=b"", terms=TERMS, now=NOW, source=StatusSource.OCSP):
    question = OcspQuestion(
        subject=IssuedCertificate(certificate=leaf, issuer=issuer.certificate), nonce=nonce
    )
    return ocsp.status(octets, question, terms, now=now, source=source)


def test_the_question_names_the_certificate_and_carries_the_nonce():
    asked = wire.load_der_ocsp_request(
        OcspQuestion(
            subject=IssuedCertificate(certificate=LEAF, issuer=SUB.certificate), nonce=NONCE
        ).octets()
    )
    assert asked.serial_number == LEAF.serial_number
    assert asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == NONCE


@pytest.mark.parametrize("by_name", [False, True])
def test_the_issuer_itself_is_believed(by_name):
    octets = SUB.answer(LEAF, by_name=by_name)
    assert said(octets) == Good(
        source=StatusSource.OCSP, this_update=at(seconds=-10), next_update=at(0.1), evidence=octets
    )


@pytest.mark.parametrize("by_name", [False, True])
def test_a_responder_of_the_issuer_is_believed(by_name):
    assert isinstance(said(RESPONDER.answer(LEAF, issuer=SUB, by_name=by_name)), Good)


def test_keys_of_each_kind_are_understood():
    for key in (rsa_key(), ec.generate_private_key(ec.SECP384R1())):
        signer = ROOT.authority(key=key)
        leaf = signer.person()
        assert isinstance(said(signer.answer(leaf), issuer=signer, leaf=leaf), Good)


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_the_certificate_may_be_named_by_any_usual_hash(algorithm):
    assert isinstance(said(SUB.answer(LEAF, id_hash=algorithm)), Good)


def test_the_status_revoked_is_reported():
    revoked = SUB.answer(LEAF, status=wire.OCSPCertStatus.REVOKED)
    assert said(revoked) == Revoked(source=StatusSource.OCSP, at=at(-1), reason="keyCompromise")
    assert said(SUB.answer(LEAF, status=wire.OCSPCertStatus.REVOKED, reason=None)).reason == "unspecified"


def test_an_old_answer_is_believed_about_what_it_says_is_revoked():
    assert isinstance(
        said(SUB.answer(LEAF, status=wire.OCSPCertStatus.REVOKED, this_update=at(-2), next_update=at(-1))),
        Revoked,
    )


def test_the_status_unknown_is_not_usable():
    with pytest.raises(UnusableEvidence, match="does not know"):
        said(SUB.answer(LEAF, status=wire.OCSPCertStatus.UNKNOWN))


@pytest.mark.parametrize(
    "status",
    [
        wire.OCSPResponseStatus.TRY_LATER,
        wire.OCSPResponseStatus.UNAUTHORIZED,
        wire.OCSPResponseStatus.INTERNAL_ERROR,
    ],
)
def test_an_unsuccessful_response_is_not_usable(status):
    octets = wire.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
    with pytest.raises(UnusableEvidence, match=status.name.lower()):
        said(octets)


@pytest.mark.parametrize(
    "octets", [b"", b"garbage", SUB.answer(LEAF)[:-1], SUB.answer(LEAF) + b"\0", bytes(65_000)]
)
def test_bytes_that_are_not_a_response_are_refused(octets):
    with pytest.raises(UnusableEvidence):
        said(octets)


def test_an_answer_about_another_certificate_is_refused():
    for octets in (
        SUB.answer(SUB.person()),
        SUB.answer(LEAF, issuer=Authority(ROOT.certificate, ROOT.key), enclosed=(SUB.certificate,)),
    ):
        with pytest.raises(UnusableEvidence, match="another certificate"):
            said(octets)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_parts_about_one_certificate_the_more_serious_counts(order):
    good, revoked, unknown = (
        SUB.answer(LEAF, status=status)
        for status in (wire.OCSPCertStatus.GOOD, wire.OCSPCertStatus.REVOKED, wire.OCSPCertStatus.UNKNOWN)
    )
    assert isinstance(said(_joined(*[good, unknown, revoked][::order])), Revoked)
    assert isinstance(said(_joined(good, good)), Good)
    with pytest.raises(UnusableEvidence, match="does not know"):
        said(_joined(*[good, unknown][::order]))


def _joined(first, *others):
    """One answer that has the parts of all these answers."""
    parts = [asn1.OCSPResponse.load(octets).response_data["responses"][0] for octets in (first, *others)]
    return _signed_anew(first, SUB.key, lambda told: told.__setitem__("responses", parts))


def test_an_answer_of_another_authority_of_the_same_name_is_refused():
    twin = ROOT.authority()
    with pytest.raises(UnusableEvidence):
        said(twin.answer(LEAF, by_name=True))
    with pytest.raises(UnusableEvidence):
        said(twin.responder().answer(LEAF, issuer=SUB))


def test_a_forged_signature_is_refused():
    for octets in (SUB.answer(LEAF), RESPONDER.answer(LEAF, issuer=SUB)):
        signature = wire.load_der_ocsp_response(octets).signature
        forged = octets.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))
        with pytest.raises(UnusableEvidence, match="signed the answer"):
            said(forged)


def test_a_responder_whose_certificate_is_not_enclosed_is_refused():
    with pytest.raises(UnusableEvidence, match="signed the answer"):
        said(RESPONDER.answer(LEAF, issuer=SUB, enclosed=(SUB.certificate,)))


@pytest.mark.parametrize(
    ("wrong", "said_of_it"),
    [
        ({"nocheck": False}, "nocheck"),
        ({"usages": ()}, "not for OCSP"),
        ({"usages": (CLIENT_AUTH,)}, "not for OCSP"),
        ({"end": at(seconds=-1)}, "not valid now"),
        ({"start": at(seconds=1)}, "not valid now"),
    ],
)
def test_a_responder_needs_a_certificate_for_this(wrong, said_of_it):
    with pytest.raises(UnusableEvidence, match=said_of_it):
        said(SUB.responder(**wrong).answer(LEAF, issuer=SUB))


def responder(key=None, **extensions):
    key = key or ec_key()
    stated = {
        "usage": usage(digital_signature=True),
        "usages": x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING]),
        "others": ((x509.OCSPNoCheck(), False),),
        "email": ABSENT,
        "policies": ABSENT,
    }
    return Authority(SUB.person(name("Test OCSP"), key=key, **stated | extensions), key)


@pytest.mark.parametrize(
    ("wrong", "said_of_it"),
    [
        ({"usage": usage(crl_sign=True)}, "key usage"),
        ({"others": ((x509.OCSPNoCheck(), False), UNKNOWN)}, "critical"),
        ({"key": rsa_key(1024)}, "weak"),
    ],
)
def test_a_responder_with_a_fault_is_not_believed(wrong, said_of_it):
    with pytest.raises(UnusableEvidence, match=said_of_it):
        said(responder(**wrong).answer(LEAF, issuer=SUB))


def test_a_responder_may_enclose_an_expired_certificate_beside_the_one_that_counts():
    expired = responder(start=at(-9), end=at(-8)).certificate
    assert isinstance(said(_answer_enclosing(expired, RESPONDER.certificate)), Good)
    with pytest.raises(UnusableEvidence, match="not valid now"):
        said(_answer_enclosing(expired))


def test_only_five_enclosed_certificates_are_examined():
    others = [responder(end=at(-8), start=at(-9)).certificate for _ in range(5)]
    with pytest.raises(UnusableEvidence, match="not valid now"):
        said(_answer_enclosing(*others, RESPONDER.certificate))


def _answer_enclosing(*certificates):
    return RESPONDER.answer(LEAF, issuer=SUB, by_name=True, enclosed=certificates)


def test_a_responder_without_key_usage_is_believed():
    assert isinstance(said(responder(usage=ABSENT).answer(LEAF, issuer=SUB)), Good)


@pytest.mark.parametrize("kind", [ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey])
def test_edwards_keys_are_understood(kind):
    signer = responder(key=kind.generate())
    octets = _signed_without_hash(signer)
    assert isinstance(said(octets), Good)


def _signed_without_hash(signer):
    builder = wire.OCSPResponseBuilder().add_response(
        cert=LEAF,
        issuer=SUB.certificate,
        algorithm=hashes.SHA1(),
        cert_status=wire.OCSPCertStatus.GOOD,
        this_update=NOW,
        next_update=at(0.1),
        revocation_time=None,
        revocation_reason=None,
    )
    return (
        builder.responder_id(wire.OCSPResponderEncoding.HASH, signer.certificate)
        .certificates([signer.certificate])
        .sign(signer.key, None)
        .public_bytes(Encoding.DER)
    )


def test_an_issuer_with_a_weak_key_is_not_believed():
    weak = Authority.root("Weak", key=rsa_key(1024))
    leaf = weak.person()
    with pytest.raises(UnusableEvidence, match="signed the answer"):
        said(weak.answer(leaf), issuer=weak, leaf=leaf)


def test_an_issuer_with_a_key_of_another_kind_is_not_believed():
    odd = Authority.root("Odd", key=dsa.generate_private_key(2048))
    leaf = odd.person()
    with pytest.raises(UnusableEvidence, match="signed the answer"):
        said(odd.answer(leaf), issuer=odd, leaf=leaf)


def test_a_broken_hash_is_not_believed():
    old = Authority.root("Old", key=rsa_key())
    leaf = old.person()
    octets = _answer_with_sha1(old.answer(leaf), old.key)
    with pytest.raises(UnusableEvidence, match="weak hash"):
        said(octets, issuer=old, leaf=leaf)


def _answer_with_sha1(octets, key):
    return octets.replace(bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105"))


def test_a_nonce_must_come_back():
    assert isinstance(said(SUB.answer(LEAF, nonce=NONCE), nonce=NONCE), Good)
    with pytest.raises(UnusableEvidence, match="another question"):
        said(SUB.answer(LEAF, nonce=bytes(32)), nonce=NONCE)


def test_an_answer_without_nonce_is_accepted_unless_one_is_demanded():
    assert isinstance(said(SUB.answer(LEAF), nonce=NONCE), Good)
    with pytest.raises(UnusableEvidence, match="no nonce"):
        said(SUB.answer(LEAF), nonce=NONCE, terms=OcspTerms(max_age=timedelta(hours=8), requires_nonce=True))


def test_the_nonce_of_a_stapled_answer_is_ignored():
    assert said(SUB.answer(LEAF, nonce=NONCE), source=StatusSource.STAPLED).source is StatusSource.STAPLED


@pytest.mark.parametrize(
    ("this_update", "next_update", "is_good"),
    [
        (NOW, at(1), True),
        (at(seconds=60), at(1), True),
        (at(seconds=61), at(1), False),
        (at(seconds=-60), NOW, True),
        (at(seconds=-60), at(seconds=-1), False),
        (at(seconds=-8 * 3600), at(1), True),
        (at(seconds=-8 * 3600 - 1), at(1), False),
        (at(seconds=-300), None, True),
        (at(seconds=-301), None, False),
    ],
)
def test_an_answer_must_be_current(this_update, next_update, is_good):
    octets = SUB.answer(LEAF, this_update=this_update, next_update=next_update)
    if is_good:
        assert isinstance(said(octets), Good)
    else:
        with pytest.raises(UnusableEvidence):
            said(octets)


@pytest.mark.parametrize(("is_critical", "is_good"), [(True, False), (False, True)])
@pytest.mark.parametrize("place", ["response_extensions", "single_extensions"])
def test_an_unknown_critical_extension_is_refused(place, is_critical, is_good):
    octets = _extended(SUB.answer(LEAF), SUB.key, place, critical=is_critical)
    if is_good:
        assert isinstance(said(octets), Good)
    else:
        with pytest.raises(UnusableEvidence, match="critical extension"):
            said(octets)


def _extended(octets, key, place, *, critical):
    def extend(told):
        where = told if place == "response_extensions" else told["responses"][0]
        where[place] = [{"extn_id": "1.3.6.1.4.1.99999.1", "critical": critical, "extn_value": b"\x05\x00"}]

    return _signed_anew(octets, key, extend)


def _signed_anew(octets, key, change):
    basic = asn1.OCSPResponse.load(octets)["response_bytes"]["response"].parsed
    told = basic["tbs_response_data"]
    change(told)
    basic["signature"] = key.sign(told.dump(force=True), ec.ECDSA(hashes.SHA256()))
    return asn1.OCSPResponse(
        {
            "response_status": "successful",
            "response_bytes": {
                "response_type": "basic_ocsp_response",
                "response": asn1.BasicOCSPResponse.load(basic.dump(force=True)),
            },
        }
    ).dump()

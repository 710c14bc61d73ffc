from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.hostile_provider import b64, ec_jwk, ec_key, es256, number, rs, rsa_jwk, rsa_key

from authproxy.oidc.key_set import KeySet, read
from authproxy.oidc.wire import Unreadable

FIRST, SECOND = rsa_key("first"), rsa_key("second")
MESSAGE = b"header.claims"


def usable(*jwks, algorithm="RS256") -> KeySet:
    return read({"keys": list(jwks)}, algorithm)


def test_a_published_key_verifies_what_its_private_half_signed():
    key = usable(rsa_jwk(FIRST, kid="rsa1")).key_for("rsa1")

    assert key is not None
    assert key.has_signed(MESSAGE, rs(FIRST)(MESSAGE))
    assert not key.has_signed(MESSAGE, rs(SECOND)(MESSAGE))
    assert not key.has_signed(MESSAGE + b"x", rs(FIRST)(MESSAGE))
    assert not key.has_signed(MESSAGE, b"")


def test_keys_without_names_count_when_a_token_names_none():
    nameless = [rsa_jwk(key) for key in (FIRST, SECOND)]
    for jwk in nameless:
        jwk.pop("kid", None)
    assert usable(*nameless, rsa_jwk(rsa_key("third"), kid="rsa3")).key_for(None) is None
    assert usable(nameless[0]).key_for(None) is not None


def test_elliptic_curve_keys_serve_the_algorithm_of_their_curve():
    key = usable(ec_jwk(ec_key("ec"), kid="e"), algorithm="ES256").key_for("e")

    assert key is not None
    assert key.has_signed(MESSAGE, es256(ec_key("ec"))(MESSAGE))
    assert not key.has_signed(MESSAGE, es256(ec_key("ec"))(MESSAGE) + b"\0")
    assert usable(ec_jwk(ec_key("ec"), kid="e"), algorithm="ES384").keys == ()


@pytest.mark.parametrize(
    ("algorithm", "curve", "name", "size"),
    [
        ("ES256", ec.SECP256R1(), "P-256", 32),
        ("ES384", ec.SECP384R1(), "P-384", 48),
        ("ES512", ec.SECP521R1(), "P-521", 66),
    ],
)
def test_each_curve_serves_its_own_algorithm_and_no_other(algorithm, curve, name, size):
    point = ec.generate_private_key(curve).public_key().public_numbers()
    jwk = {"kty": "EC", "crv": name, "x": number(point.x, size), "y": number(point.y, size)}
    served = [one for one in ("ES256", "ES384", "ES512", "RS256", "EdDSA") if usable(jwk, algorithm=one).keys]
    assert served == [algorithm]


def test_ed25519_keys_serve_eddsa():
    private = ed25519.Ed25519PrivateKey.generate()
    x = b64(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    key = usable({"kty": "OKP", "crv": "Ed25519", "x": x}, algorithm="EdDSA").key_for(None)

    assert key is not None
    assert key.has_signed(MESSAGE, private.sign(MESSAGE))
    assert usable({"kty": "OKP", "crv": "X25519", "x": x}, algorithm="EdDSA").keys == ()


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS384"])
def test_rsa_keys_serve_both_paddings(algorithm):
    assert len(usable(rsa_jwk(FIRST), algorithm=algorithm).keys) == 1


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"use": "sig"},
        {"alg": "RS256"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"x5t": "abc"},
        {"kid": "x" * 256},
    ],
)
def test_a_key_that_does_not_exclude_verifying_is_usable(members):
    assert len(usable(rsa_jwk(FIRST, **members)).keys) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": None},
        {"alg": "RS384"},
        {"alg": None},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"kty": "EC"},
        {"kty": "oct", "k": "AA"},
        {"kty": ["RSA"]},
        {"d": "AQ"},
        {"kid": 5},
        {"kid": ""},
        {"kid": "x" * 257},
        {"kid": "a\nb"},
        {"n": None},
        {"n": 5},
        {"n": ""},
        {"e": "AQAB=="},
        {"e": "AA"},
        {"e": "AQ"},
        {"e": "A Q"},
        {"n": number(rsa_key("weak", 1024).public_key().public_numbers().n)},
        {"n": number((1 << 8192) + 1)},
    ],
)
def test_a_key_that_is_not_a_strong_signature_key_is_ignored(members):
    assert usable({**rsa_jwk(FIRST, kid="rsa1"), **members}).keys == ()


@pytest.mark.parametrize("missing", ["kty", "n", "e"])
def test_an_incomplete_key_is_ignored(missing):
    jwk = rsa_jwk(FIRST)
    del jwk[missing]

    assert usable(jwk).keys == ()


def test_a_point_off_the_curve_is_ignored():
    jwk = ec_jwk(ec.generate_private_key(ec.SECP256R1()))

    assert usable({**jwk, "y": number(7, 32)}, algorithm="ES256").keys == ()


def test_keys_that_share_a_kid_are_ignored_but_unusable_ones_do_not_count():
    assert usable(rsa_jwk(FIRST, kid="a"), rsa_jwk(SECOND, kid="a")).key_for("a") is None
    assert usable(rsa_jwk(FIRST, kid="a"), rsa_jwk(SECOND, kid="a", use="enc")).key_for("a") is not None


def test_a_token_without_kid_means_the_only_key():
    assert usable(rsa_jwk(FIRST, kid="a")).key_for(None) is not None
    assert usable(rsa_jwk(FIRST)).key_for(None) is not None
    assert usable(rsa_jwk(FIRST), rsa_jwk(SECOND)).key_for(None) is None
    assert usable().key_for(None) is None


def test_a_token_with_kid_never_means_a_key_without_one():
    assert usable(rsa_jwk(FIRST)).key_for("a") is None


@pytest.mark.parametrize(
    "document", [{}, {"keys": {}}, {"keys": None}, {"keys": ["x"]}, {"keys": [rsa_jwk(FIRST), 5]}]
)
def test_a_document_that_is_not_a_key_set_is_refused(document):
    with pytest.raises(Unreadable):
        read(document, "RS256")


def test_a_provider_may_publish_no_key_at_all():
    assert usable().keys == ()

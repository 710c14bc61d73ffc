from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc.jwk import JWKRegistry

from authproxy.assertions import keys
from authproxy.assertions.keys import KeyFiles, KeyRefused, generate, read_key, read_ring, rotate

ALGORITHMS = ["ES256", "EdDSA", "RS256"]
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


def written(path, pem: bytes, mode: int = 0o600):
    path.write_bytes(pem)
    path.chmod(mode)
    return path


def pem(key, encryption=None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture
def files(tmp_path):
    current = written(tmp_path / "current.pem", generate("ES256"))
    return KeyFiles(current=current, upcoming=tmp_path / "next.pem", retiring=tmp_path / "retiring.pem")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generated_key_is_read_back_for_its_algorithm(tmp_path, algorithm):
    key = read_key(written(tmp_path / "key.pem", generate(algorithm)))

    assert key.algorithm == algorithm
    assert (key.public_jwk["alg"], key.public_jwk["use"], key.public_jwk["kid"]) == (
        algorithm,
        "sig",
        key.key_id,
    )
    assert "private" not in repr(key)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_the_public_half_is_published_and_named_by_its_thumbprint(tmp_path, algorithm):
    [jwk] = read_ring(KeyFiles(current=written(tmp_path / "key.pem", generate(algorithm))), algorithm).jwks()[
        "keys"
    ]

    assert not PRIVATE_MEMBERS & jwk.keys()
    assert not JWKRegistry.import_key(jwk).is_private
    assert JWKRegistry.import_key(jwk).thumbprint() == jwk["kid"]


def test_the_thumbprint_is_that_of_rfc_7638():
    jwk = {"e": "AQAB", "kty": "RSA", "n": "0vx7"}
    canonical = b'{"e":"AQAB","kty":"RSA","n":"0vx7"}'

    assert json.loads(canonical) == jwk
    assert keys._thumbprint(jwk) == base64.urlsafe_b64encode(
        hashlib.sha256(canonical).digest()
    ).decode().rstrip("=")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: b"rubbish", "not a PEM private key"),
        (
            lambda: pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"p")),
            "without a passphrase",
        ),
        (lambda: pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (lambda: pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), "3072 bits"),
        (lambda: pem(ed448.Ed448PrivateKey.generate()), "Ed25519"),
    ],
    ids=["rubbish", "encrypted", "P-384", "RSA-2048", "Ed448"],
)
def test_a_key_of_another_kind_is_refused_by_file_name(tmp_path, make, complaint):
    path = written(tmp_path / "key.pem", make())

    with pytest.raises(KeyRefused, match=complaint) as refusal:
        read_key(path)

    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("mode", [0o660, 0o604, 0o620, 0o601, 0o644])
def test_a_key_that_others_may_use_is_refused_with_the_remedy(tmp_path, mode):
    path = written(tmp_path / "key.pem", generate("ES256"), mode)

    with pytest.raises(KeyRefused, match=f"chmod 600 {path}"):
        read_key(path)


def test_a_key_may_be_read_by_a_group_as_container_platforms_hand_it_over(tmp_path):
    assert read_key(written(tmp_path / "key.pem", generate("ES256"), 0o440)).algorithm == "ES256"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(KeyRefused, match="No such file"):
        read_key(tmp_path / "nothing.pem")


def test_the_current_key_must_be_for_the_algorithm_of_the_settings(files):
    with pytest.raises(KeyRefused, match="for ES256, but the settings say RS256"):
        read_ring(files, "RS256")


def test_the_next_and_the_retiring_key_may_not_be_there_yet_but_must_be_usable_if_they_are(files):
    assert len(read_ring(files, "ES256").jwks()["keys"]) == 1

    written(files.retiring, b"rubbish")
    with pytest.raises(KeyRefused, match=r"retiring\.pem"):
        read_ring(files, "ES256")


def test_a_key_is_published_before_it_signs_and_after_it_has_signed(files):
    first = read_ring(files, "ES256").current.key_id

    announced = rotate(files, "ES256")
    assert announced.current.key_id == first
    assert announced.retiring is None
    second = announced.upcoming.key_id

    rotated = rotate(files, "ES256")
    assert (rotated.retiring.key_id, rotated.current.key_id) == (first, second)
    assert rotated.upcoming.key_id not in {first, second}
    assert [jwk["kid"] for jwk in rotated.jwks()["keys"]] == [second, rotated.upcoming.key_id, first]
    assert read_ring(files, "ES256").jwks() == rotated.jwks()


def test_rotated_files_belong_to_their_owner_alone_and_nothing_else_is_left(files):
    rotate(files, "ES256")
    rotate(files, "ES256")

    assert {path.name for path in files.current.parent.iterdir()} == {
        "current.pem",
        "next.pem",
        "retiring.pem",
    }
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files.current.parent.iterdir())


def test_an_interrupted_rotation_leaves_usable_keys_and_can_be_repeated(files):
    ring = rotate(files, "ES256")
    first, second = ring.current.key_id, ring.upcoming.key_id

    written(files.retiring, files.current.read_bytes())
    assert [jwk["kid"] for jwk in read_ring(files, "ES256").jwks()["keys"]] == [first, second]

    written(files.current, files.upcoming.read_bytes())
    assert [jwk["kid"] for jwk in read_ring(files, "ES256").jwks()["keys"]] == [second, first]

    finished = rotate(files, "ES256")
    assert (finished.retiring.key_id, finished.current.key_id) == (first, second)
    assert finished.upcoming.key_id not in {first, second}


def test_nothing_is_rotated_unless_all_three_files_are_named(files):
    with pytest.raises(KeyRefused, match="all three"):
        rotate(KeyFiles(current=files.current), "ES256")


def test_a_broken_next_key_stops_the_rotation_before_anything_changes(files):
    written(files.upcoming, b"rubbish")
    before = files.current.read_bytes()

    with pytest.raises(KeyRefused):
        rotate(files, "ES256")

    assert files.current.read_bytes() == before
    assert not files.retiring.exists()


def test_a_file_that_cannot_be_written_is_named(files):
    elsewhere = KeyFiles(
        current=files.current, upcoming=files.current.parent / "no" / "next.pem", retiring=files.retiring
    )

    with pytest.raises(KeyRefused, match=r"next\.pem: No such file"):
        rotate(elsewhere, "ES256")

"""PURE: the extension that states that a certificate is qualified (ETSI EN 319 412-5), for signatures or for
seals."""

from __future__ import annotations

from cryptography import x509

_QC_STATEMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3")
# Object identifiers in DER: compliance, disclosure statements and type are 0.4.0.1862.1.1, .5 and .6.
_COMPLIANCE, _DISCLOSURE, _TYPE = (bytes.fromhex(f"0606 04008e46 01 {arc:02x}") for arc in (1, 5, 6))
_SIGNATURE, _SEAL = (bytes.fromhex(f"0607 04008e46 01 06 {arc:02x}") for arc in (1, 2))
_SEQUENCE, _IA5, _PRINTABLE = 0x30, 0x16, 0x13


def qualified(*, is_seal: bool, disclosure: str) -> x509.UnrecognizedExtension:
    """The extension. `disclosure` is the address of the disclosure statement, below 128 characters."""
    where = _written(_SEQUENCE, _written(_IA5, disclosure.encode("ascii")), _written(_PRINTABLE, b"sl"))
    return x509.UnrecognizedExtension(
        _QC_STATEMENTS,
        _written(
            _SEQUENCE,
            _written(_SEQUENCE, _COMPLIANCE),
            _written(_SEQUENCE, _TYPE, _written(_SEQUENCE, _SEAL if is_seal else _SIGNATURE)),
            _written(_SEQUENCE, _DISCLOSURE, _written(_SEQUENCE, where)),
        ),
    )


def _written(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = bytes((len(content),)) if len(content) < 0x80 else bytes((0x81, len(content)))
    return bytes((tag,)) + size + content

"""A settings file that is all right, to be spoilt by the tests in one place each."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.settings.findings import Finding
from authproxy.settings.sources import Reading, read
from tests.support.machine import MACHINE

Spoil = Callable[[dict], object]


class Workshop:
    """Writes settings files into a directory of its own and reads them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key_file = self.write("assertion.pem", p256_key(), mode=0o600)
        self.secret_file = self.write("client-secret", b"a-client-secret-of-good-length\n", mode=0o400)
        self.keys_file = self.write("session-keys", base64.b64encode(os.urandom(32)) + b"\n", mode=0o400)
        self.audit_key_file = self.write("audit-key", base64.b64encode(os.urandom(32)) + b"\n", mode=0o400)

    def write(self, name: str, content: bytes, *, mode: int = 0o600) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def good(self) -> dict:
        return {
            "server": {"listen": ["unix:/run/authproxy-edge.sock"]},
            "sessions": {"keys_file": str(self.keys_file)},
            "assertions": {"issuer": "https://gateway.example.si", "current_key_file": str(self.key_file)},
            "rekono": {"client_id": "gateway", "client_secret_file": str(self.secret_file)},
            "portals": {
                "acq": {
                    "name": "Acquiring",
                    "url": "https://acq.example.si",
                    "upstream": "http://127.0.0.1:9001",
                }
            },
            "telemetry": {"audit_key_file": str(self.audit_key_file)},
        }

    def read_text(self, text: str, environ: Mapping[str, str] | None = None) -> Reading:
        return read(self.write("authproxy.yaml", text.encode()), environ or {}, machine=MACHINE)

    def read(self, spoil: Spoil | None = None, environ: Mapping[str, str] | None = None) -> Reading:
        settings = self.good()
        if spoil is not None:
            spoil(settings)
        text = yaml.dump(settings, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
        return self.read_text(text, environ)

    def finding(self, spoil: Spoil | None = None, environ: Mapping[str, str] | None = None) -> Finding:
        """The one finding that there is."""
        findings = self.read(spoil, environ).findings
        assert len(findings) == 1, [str(each) for each in findings]
        return findings[0]


def p256_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)

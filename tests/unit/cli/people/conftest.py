"""A settings file with a store that remembers between two commands."""

from __future__ import annotations

import base64
import os

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server():
    with RedisServer() as server:
        yield server


@pytest.fixture
def config(tmp_path, redis_server):
    redis_server.command("FLUSHALL")
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (tmp_path / "assertion.pem").write_bytes(key)
    (tmp_path / "session-keys").write_text(base64.b64encode(os.urandom(32)).decode())
    (tmp_path / "audit-key").write_text(base64.b64encode(os.urandom(32)).decode())
    (tmp_path / "client-secret").write_text("a-client-secret-of-good-length")
    settings = {
        "server": {"listen": ["unix:/run/authproxy-edge.sock"]},
        "store": {"url": redis_server.socket_url, "deadline": "5s"},
        "sessions": {"keys_file": str(tmp_path / "session-keys")},
        "assertions": {
            "issuer": "https://gateway.example.si",
            "current_key_file": str(tmp_path / "assertion.pem"),
        },
        "rekono": {"client_id": "gateway", "client_secret_file": str(tmp_path / "client-secret")},
        "portals": {
            name: {"name": name, "url": f"https://{name}.example.si", "upstream": "http://127.0.0.1:9001"}
            for name in ("acq", "b2b")
        },
        "telemetry": {
            "audit_file": str(tmp_path / "audit.jsonl"),
            "audit_key_file": str(tmp_path / "audit-key"),
        },
    }
    file = tmp_path / "authproxy.yaml"
    file.write_text(yaml.safe_dump(settings))
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    return file

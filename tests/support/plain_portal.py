"""A portal as somebody writes it who has read one page about the gateway: `http.server`, the key set, and the
assertion. It shares no code with the gateway.

    python plain_portal.py PORT JWKS_URL ISSUER AUDIENCE
"""

from __future__ import annotations

import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

PORT, JWKS_URL, ISSUER, AUDIENCE = int(sys.argv[1]), *sys.argv[2:5]
CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    sub={"essential": True},
    exp={"essential": True},
)


def verified(assertion: str) -> dict[str, object]:
    """The claims. Raises ValueError or JoseError."""
    with urllib.request.urlopen(JWKS_URL, timeout=5) as answer:
        keys = KeySet.import_key_set(json.load(answer))
    token = jwt.decode(assertion, keys, algorithms=["ES256"])
    CLAIMS.validate(token.claims)
    return token.claims


class Portal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        try:
            status, body = 200, verified(self.headers.get("X-Auth-Assertion", ""))
        except (ValueError, JoseError) as refused:
            status, body = 403, {"refused": type(refused).__name__}
        octets = json.dumps(
            {"path": self.path, "claims": body, "tax_number": self.headers.get("X-Auth-Tax-Number")}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


ThreadingHTTPServer(("127.0.0.1", PORT), Portal).serve_forever()

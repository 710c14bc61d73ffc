"""The part of a gateway that a portal sees: a key set, and assertions signed by its key."""

from __future__ import annotations

from datetime import UTC, datetime

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

NOW = datetime(2026, 11, 22, 10, 0, 12, tzinfo=UTC)
ISSUER = "http://acq.localhost:8080"


class VouchingGateway:
    def __init__(self) -> None:
        self.asked = 0
        self.up = True
        self.rotate("one")

    def rotate(self, key_id: str) -> None:
        self.key_id, self.key = key_id, ec.generate_private_key(ec.SECP256R1())

    async def key_set(self, _: web.Request) -> web.Response:
        self.asked += 1
        if not self.up:
            return web.Response(status=503)
        public = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return web.json_response({"keys": [public | {"kid": self.key_id, "use": "sig", "alg": "ES256"}]})

    def assertion(self, *, key: ec.EllipticCurvePrivateKey | None = None, **changed: object) -> str:
        issued_at = int(NOW.timestamp())
        claims = {
            "iss": ISSUER,
            "aud": "acq",
            "sub": "subject",
            "iat": issued_at,
            "exp": issued_at + 60,
            "level": 20,
            "method": "rekono",
            "name": "Ana Žnidaršič",
            "tax_number": "99990008",
        } | changed
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.key, algorithm="ES256", headers={"kid": self.key_id})

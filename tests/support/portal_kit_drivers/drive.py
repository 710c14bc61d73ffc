"""Asks a Python kit about each line: python drive.py KIT ISSUER AUDIENCE ORIGIN JWKS FOLDER. The lines are described
in tests/support/portal_kits.py."""

from __future__ import annotations

import base64
import importlib
import sys
from datetime import datetime

kit, issuer, audience, origin, jwks = sys.argv[1:6]
module = importlib.import_module(kit)
now = 0


def clock():
    return now


if kit == "assertion_pyjwt":
    import jwt.api_jwt
    from gateway_keys import GatewayKeys

    class Moved(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(now, tz)

    jwt.api_jwt.datetime = Moved  # PyJWT asks for the time itself
    given = {"issuer": issuer, "audience": audience, "origin": origin}
    checks = [
        module.AssertionCheck(**given, keys=GatewayKeys(jwks, clock), bound=bound) for bound in (False, True)
    ]
else:
    given = {"issuer": issuer, "audience": audience, "origin": origin, "jwks": jwks, "clock": clock}
    checks = [module.AssertionCheck(**given, bound=bound) for bound in (False, True)]

for line in sys.stdin:
    at, bound, method, path, written = line.rstrip("\n").split("\t")
    now = int(at)
    fields = (
        [base64.b64decode(field[1:]).decode("latin-1") for field in written.split(",")] if written else []
    )
    try:
        claims = checks[int(bound)].person(fields, method, path)
    except module.Refused as refused:
        print("no", refused, sep="\t", flush=True)
    else:
        name = base64.b64encode(claims.get("name", "").encode()).decode()
        print("ok", claims["sub"], name, sep="\t", flush=True)

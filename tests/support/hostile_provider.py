"""An OpenID provider on loopback that is honest until a mode is set, and a canary that must never be visited.

Each mode is one lie, one fault or one trick; `MODES` lists them all. It shares no code with the relying
party.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import cache
from typing import Any, Self

from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

CLIENT_ID = "bankart-acq"
CLIENT_SECRET = "s3cret: with a colon & an ümlaut"
CODE = "Zk3pTq81LmNv70aRcD5eXwYb9UoJhG2s"
NONCE = "nonce-of-this-sign-in"
VERIFIER = "v" * 43
REDIRECT_URI = "https://acq.bankart.si/.authproxy/callback/rekono"
ACCESS_TOKEN = "access.token.of-ana"
SUBJECT = "90342.ASDFJWFA"

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def number(value: int, size: int | None = None) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(key: rsa.RSAPrivateKey, **members: Any) -> Json:
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **members}


def ec_jwk(key: ec.EllipticCurvePrivateKey, **members: Any) -> Json:
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32), **members}


def dumps(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def rs(key: rsa.RSAPrivateKey, digest: hashes.HashAlgorithm | None = None) -> Callable[[bytes], bytes]:
    return lambda message: key.sign(message, padding.PKCS1v15(), digest or hashes.SHA256())


def es256(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    def sign(message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.digest(secret, message, "sha256")


def jws(header: Any, claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """Header and claims are JSON values, or octets to be sent as they are."""
    signing_input = f"{b64(dumps(header))}.{b64(dumps(claims))}"
    return f"{signing_input}.{b64(sign(signing_input.encode()))}"


def at_hash(access_token: str = ACCESS_TOKEN) -> str:
    return b64(hashlib.sha256(access_token.encode()).digest()[:16])


class HostileProvider:
    def __init__(self, now: datetime) -> None:
        self.seconds = int(now.timestamp())
        self.hits: Counter[str] = Counter()
        self.canary_hits = 0
        self.paths: list[str] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.connections: dict[str, list[Any]] = {}
        """By endpoint: the client's address of each request."""
        self.released = asyncio.Event()
        self.key = rsa_key("first")
        self.header: Json = {"alg": "RS256", "kid": "rsa1"}
        self.claims: Json = {}
        self.forge: Callable[[Json, Json], str] = lambda header, claims: jws(header, claims, rs(self.key))
        self.jwks: list[Json] = [rsa_jwk(self.key, kid="rsa1", alg="RS256")]
        self.tokens: Json = {}
        self.userinfo: Json = {"sub": SUBJECT, "name": "Ana Novak", "taxnumber": "99990008", "loa": 20}
        self.handlers: dict[str, Handler] = {}
        self.discovery: Json = {}
        self._runners: list[web.AppRunner] = []

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self.origin = f"http://127.0.0.1:{await self._listen(application)}"
        self.issuer = f"{self.origin}/op/"
        canary = web.Application()
        canary.router.add_route("*", "/{path:.*}", self._sing)
        self.canary = f"http://127.0.0.1:{await self._listen(canary)}/"
        self.discovery = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}authorize",
            "token_endpoint": f"{self.issuer}token",
            "userinfo_endpoint": f"{self.issuer}userinfo",
            "jwks_uri": f"{self.issuer}jwk",
            "end_session_endpoint": f"{self.issuer}endsession",
            "id_token_signing_alg_values_supported": ["HS256", "RS256", "none"],
        }
        self.claims = {
            "iss": self.issuer,
            "sub": SUBJECT,
            "aud": CLIENT_ID,
            "nonce": NONCE,
            "jti": "j",
            "kid": "rsa1",
            "iat": self.seconds,
            "exp": self.seconds + 600,
            "auth_time": self.seconds - 20,
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.released.set()
        for runner in self._runners:
            await runner.cleanup()

    def id_token(self) -> str:
        return self.forge(
            dict(self.header), {name: value for name, value in self.claims.items() if value is not ...}
        )

    def on(self, endpoint: str, handler: Handler) -> None:
        self.handlers[endpoint] = handler

    def always(self, endpoint: str, **response: Any) -> None:
        async def handler(_: web.Request) -> web.StreamResponse:
            return web.Response(**response)

        self.on(endpoint, handler)

    def answer(
        self, endpoint: str, body: Any, *, status: int = 200, content_type: str = "application/json"
    ) -> None:
        self.always(endpoint, body=dumps(body), status=status, content_type=content_type)

    def redirect(self, endpoint: str, status: int) -> None:
        self.always(endpoint, status=status, headers={"Location": f"{self.canary}stolen"})

    def stall(self, endpoint: str, *, after: bytes = b"") -> None:
        """Never ends its answer; with `after` it at least begins one."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            if after:
                await response.prepare(request)
                await response.write(after)
            await self.released.wait()
            return response

        self.on(endpoint, handler)

    def hang_up(self, endpoint: str) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.close()
            return web.Response()

        self.on(endpoint, handler)

    def flood(self, endpoint: str) -> None:
        """Sends JSON without end and without a length."""

        async def handler(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            try:
                await response.write(b'{"padding":"')
                while not self.released.is_set():
                    await response.write(b"x" * 65536)
            except ConnectionError:
                pass
            return response

        self.on(endpoint, handler)

    async def _listen(self, application: web.Application) -> int:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        self._runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner.addresses[0][1]

    async def _sing(self, _: web.Request) -> web.StreamResponse:
        self.canary_hits += 1
        return web.json_response({"keys": [rsa_jwk(rsa_key("thief"), kid="rsa1")]})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        endpoint = request.path.rsplit("/", 1)[-1]
        self.hits[endpoint] += 1
        self.paths.append(request.raw_path)
        assert request.transport is not None
        self.connections.setdefault(endpoint, []).append(request.transport.get_extra_info("peername"))
        form = dict(await request.post()) if request.method == "POST" else {}
        self.requests.append(
            (endpoint, dict(request.headers), {name: str(value) for name, value in form.items()})
        )
        if endpoint in self.handlers:
            return await self.handlers[endpoint](request)
        match endpoint:
            case "openid-configuration":
                return web.json_response(
                    {name: value for name, value in self.discovery.items() if value is not ...}
                )
            case "jwk":
                return web.json_response({"keys": self.jwks})
            case "token":
                tokens = {
                    "access_token": ACCESS_TOKEN,
                    "token_type": "Bearer",
                    "expires_in": 3599,
                    "id_token": self.id_token(),
                    **self.tokens,
                }
                return web.json_response({name: value for name, value in tokens.items() if value is not ...})
            case "userinfo":
                return web.json_response(
                    {name: value for name, value in self.userinfo.items() if value is not ...}
                )
        return web.Response(status=404)


Mode = Callable[[HostileProvider], None]
HTML = b"<!doctype html><title>Vzdr\xc5\xbeevanje</title>"


def _claims(**claims: Any) -> Mode:
    return lambda provider: provider.claims.update(claims)


def _header(**members: Any) -> Mode:
    return lambda provider: provider.header.update(members)


def _times(**seconds: Any) -> Mode:
    """Claims as seconds from now."""
    return lambda provider: provider.claims.update(
        {name: provider.seconds + value for name, value in seconds.items()}
    )


def _token(forge: Callable[[HostileProvider, Json, Json], str]) -> Mode:
    def set_forge(provider: HostileProvider) -> None:
        provider.forge = lambda header, claims: forge(provider, header, claims)

    return set_forge


def _altered(change: Callable[[str], str]) -> Mode:
    return _token(lambda provider, header, claims: change(jws(header, claims, rs(provider.key))))


def _raw_claims(text: str) -> Mode:
    """The claims, with `text` put in front of their last brace."""
    return _token(
        lambda provider, header, claims: jws(
            header, json.dumps(claims)[:-1].encode() + text.encode() + b"}", rs(provider.key)
        )
    )


def _signed_by_thief(**members: Any) -> Mode:
    return _token(lambda _, header, claims: jws({**header, **members}, claims, rs(rsa_key("thief"))))


def _keys(*jwks: Callable[[HostileProvider], Json]) -> Mode:
    def set_keys(provider: HostileProvider) -> None:
        provider.jwks = [jwk(provider) for jwk in jwks]

    return set_keys


def _own(**members: Any) -> Callable[[HostileProvider], Json]:
    return lambda provider: rsa_jwk(provider.key, **{"kid": "rsa1", **members})


def _weak_key(provider: HostileProvider) -> None:
    provider.key = rsa_key("weak", 1024)
    provider.jwks = [rsa_jwk(provider.key, kid="rsa1")]


def _discovery(**members: Any) -> Mode:
    return lambda provider: provider.discovery.update(members)


def _public_pem(provider: HostileProvider) -> bytes:
    return provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _second_spelling(token: str) -> str:
    """The same octets in base64url with other leftover bits: a 256-byte signature leaves four."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


MODES: dict[str, Mode] = {
    # The ID token's form and header
    "alg none": _token(lambda _, header, claims: jws({**header, "alg": "none"}, claims, lambda _: b"")),
    "alg NoNe": _token(lambda _, header, claims: jws({**header, "alg": "NoNe"}, claims, lambda _: b"")),
    "alg absent": _token(lambda p, header, claims: jws({"kid": "rsa1"}, claims, rs(p.key))),
    "HS256 with the client secret": _token(
        lambda _, h, claims: jws({**h, "alg": "HS256"}, claims, hs256(CLIENT_SECRET.encode()))
    ),
    "HS256 with the public key": _token(
        lambda p, h, claims: jws({**h, "alg": "HS256"}, claims, hs256(_public_pem(p)))
    ),
    "HS256 with nothing": _token(lambda _, h, claims: jws({**h, "alg": "HS256"}, claims, hs256(b""))),
    "RS384 by the right key": _token(
        lambda p, h, claims: jws({**h, "alg": "RS384"}, claims, rs(p.key, hashes.SHA384()))
    ),
    "ES256 by a published key": lambda p: (
        _keys(_own(), lambda _: ec_jwk(ec_key("ec"), kid="ec"))(p),
        _token(lambda _, __, claims: jws({"alg": "ES256", "kid": "ec"}, claims, es256(ec_key("ec"))))(p),
    )[0],
    "typ at+jwt": _header(typ="at+jwt"),
    "typ logout+jwt": _header(typ="logout+jwt"),
    "typ no text": _header(typ=["JWT"]),
    "jku to the canary": lambda p: _signed_by_thief(jku=f"{p.canary}jwk")(p),
    "x5u to the canary": lambda p: _signed_by_thief(x5u=f"{p.canary}x5u")(p),
    "jwk in the header": _signed_by_thief(jwk=rsa_jwk(rsa_key("thief"))),
    "x5c in the header": _header(x5c=["MIIB"]),
    "crit": _header(crit=["exp"]),
    "b64 false": _header(b64=False),
    "zip": _header(zip="DEF"),
    "kid unknown": _header(kid="rsa2"),
    "kid a path": _header(kid="../../../../dev/null"),
    "kid no text": _header(kid=1),
    "kid absent and two keys": lambda p: (
        _keys(_own(), lambda _: rsa_jwk(rsa_key("second"), kid="rsa2"))(p),
        p.header.pop("kid"),
    )[0],
    "signed by another key": _signed_by_thief(),
    "signature absent": _altered(lambda token: token.rpartition(".")[0] + "."),
    "signature in a second spelling": _altered(_second_spelling),
    "claims exchanged": _altered(
        lambda token: ".".join([token.split(".")[0], b64(b'{"sub":"eve"}'), token.split(".")[2]])
    ),
    "five parts": _altered(lambda token: token + ".x.y"),
    "two parts": _altered(lambda token: token.rpartition(".")[0]),
    "padded": _altered(lambda token: token.replace(".", "=.", 1)),
    "white space": _altered(lambda token: token + "\n"),
    "not ASCII": _altered(lambda token: token[:-1] + "é"),
    "longer than 64 KiB": _claims(padding="x" * 49_000),
    "longer than 10 MB": _claims(padding="x" * 10_000_000),
    "a header member twice": _token(
        lambda p, _, claims: jws(b'{"alg":"none","alg":"RS256","kid":"rsa1"}', claims, rs(p.key))
    ),
    "header no JSON": _token(lambda p, _, claims: jws(b"RS256", claims, rs(p.key))),
    "claims no object": _token(lambda p, header, _: jws(header, ["sub"], rs(p.key))),
    "claims in UTF-16": _token(
        lambda p, header, claims: jws(header, json.dumps(claims).encode("utf-16"), rs(p.key))
    ),
    "a claim twice": _raw_claims(',"sub":"eve"'),
    "a nested claim twice": _raw_claims(',"address":{"a":1,"a":2}'),
    "a claim NaN": _raw_claims(',"x":NaN'),
    "claims nested too deep": _raw_claims(',"x":' + "[" * 5000 + "]" * 5000),
    # The ID token's claims
    "iss of another": _claims(iss="https://evil.example/"),
    "iss without its slash": lambda p: p.claims.update(iss=p.issuer.rstrip("/")),
    "iss absent": _claims(iss=...),
    "aud of another": _claims(aud="somebody-else"),
    "aud absent": _claims(aud=...),
    "aud of two": _claims(aud=[CLIENT_ID, "somebody-else"]),
    "aud empty": _claims(aud=[]),
    "aud nested": _claims(aud=[[CLIENT_ID]]),
    "azp of another": _claims(azp="somebody-else"),
    "nonce of another": _claims(nonce="of another sign-in"),
    "nonce absent": _claims(nonce=...),
    "nonce no text": _claims(nonce=5),
    "exp absent": _claims(exp=...),
    "exp past": _times(exp=-61),
    "exp text": _claims(exp="9999999999"),
    "exp true": _claims(exp=True),
    "exp infinite": lambda p: (p.claims.update(exp=...), _raw_claims(',"exp":1e999')(p))[0],
    "exp beyond all years": _claims(exp=10**30),
    "iat absent": _claims(iat=...),
    "iat ahead": _times(iat=61),
    "iat stale": _times(iat=-601),
    "iat text": lambda p: p.claims.update(iat=str(p.seconds)),
    "nbf ahead": _times(nbf=61),
    "nbf text": _claims(nbf="0"),
    "auth_time absent": _claims(auth_time=...),
    "auth_time too old": _times(auth_time=-361),
    "auth_time ahead": _times(auth_time=61),
    "auth_time text": _claims(auth_time="now"),
    "sub absent": _claims(sub=...),
    "sub empty": _claims(sub=""),
    "sub a number": _claims(sub=7),
    "sub too long": _claims(sub="x" * 256),
    "sub with a control": _claims(sub="ana\x00"),
    "sub with a direction override": _claims(sub="ana\u202e"),
    "sub half a character": _claims(sub="ana\ud800"),
    "at_hash of another": lambda p: p.claims.update(at_hash=at_hash("another")),
    # The keys
    "RSA of 1024 bits": _weak_key,
    "key for encryption": _keys(_own(use="enc")),
    "key that may only sign": _keys(_own(key_ops=["sign"])),
    "key for another algorithm": _keys(_own(alg="PS256")),
    "two keys of one kid": _keys(_own(), lambda _: rsa_jwk(rsa_key("second"), kid="rsa1")),
    "key that is a secret": _keys(lambda _: {"kty": "oct", "kid": "rsa1", "k": b64(b"k" * 32)}),
    "key whose private half is published": _keys(
        lambda p: rsa_jwk(p.key, kid="rsa1", d=number(p.key.private_numbers().d))
    ),
    "key padded": _keys(_own(e="AQAB==")),
    "no keys": _keys(),
    "keys no list": lambda p: p.answer("jwk", {"keys": {}}),
    "keys HTML": lambda p: p.answer("jwk", HTML, content_type="text/html"),
    "keys without end": lambda p: p.flood("jwk"),
    "keys elsewhere": lambda p: p.redirect("jwk", 302),
    # Discovery
    "discovery of another issuer": _discovery(issuer="https://evil.example/"),
    "discovery issuer without its slash": lambda p: p.discovery.update(issuer=p.issuer.rstrip("/")),
    "discovery with a token endpoint in the clear": _discovery(token_endpoint="http://idp.example/token"),
    "discovery with a file for keys": _discovery(jwks_uri="file:///etc/passwd"),
    "discovery without a token endpoint": _discovery(token_endpoint=...),
    "discovery with a number for keys": _discovery(jwks_uri=5),
    "discovery HTML": lambda p: p.answer("openid-configuration", HTML, content_type="text/html"),
    "discovery with a member twice": lambda p: p.answer(
        "openid-configuration", b'{"issuer":"a","issuer":"b"}'
    ),
    "discovery elsewhere": lambda p: p.redirect("openid-configuration", 301),
    "discovery without end": lambda p: p.flood("openid-configuration"),
    "discovery not found": lambda p: p.always("openid-configuration", status=404),
    # The token endpoint
    "tokens elsewhere, 302": lambda p: p.redirect("token", 302),
    "tokens elsewhere, 307": lambda p: p.redirect("token", 307),
    "tokens elsewhere, 308": lambda p: p.redirect("token", 308),
    "tokens 500 HTML": lambda p: p.answer("token", HTML, status=500, content_type="text/html"),
    "tokens 200 HTML": lambda p: p.answer("token", HTML, content_type="text/html"),
    "tokens 429": lambda p: p.answer("token", {"error": "slow_down"}, status=429),
    "tokens 204": lambda p: p.always("token", status=204),
    "tokens no JSON": lambda p: p.answer("token", b"{"),
    "tokens a list": lambda p: p.answer("token", []),
    "tokens as text": lambda p: p.answer("token", {"id_token": "x"}, content_type="text/plain"),
    "tokens without end": lambda p: p.flood("token"),
    "tokens as a gzip bomb": lambda p: p.always(
        "token",
        body=gzip.compress(b" " * 10_000_000),
        headers={"Content-Encoding": "gzip"},
        content_type="application/json",
    ),
    "tokens never": lambda p: p.stall("token"),
    "tokens begun and never ended": lambda p: p.stall("token", after=b'{"id_token":"'),
    "tokens hung up": lambda p: p.hang_up("token"),
    "tokens with the ID token twice": lambda p: p.answer("token", b'{"id_token":"a","id_token":"b"}'),
    "tokens without an ID token": lambda p: p.tokens.update(id_token=...),
    "tokens without an access token": lambda p: p.tokens.update(access_token=...),
    "access token with a line end": lambda p: p.tokens.update(access_token="a\r\nX-Evil: 1"),
    "tokens of type mac": lambda p: p.tokens.update(token_type="mac"),
    "tokens of no type": lambda p: p.tokens.update(token_type=...),
    "invalid_grant": lambda p: p.answer(
        "token",
        {"error": "invalid_grant", "error_description": f"no authorization code found for value {CODE}"},
        status=400,
    ),
    "invalid_request": lambda p: p.answer("token", {"error": "invalid_request"}, status=400),
    "invalid_client": lambda p: p.answer(
        "token", {"error": "invalid_client", "error_description": CLIENT_SECRET}, status=401
    ),
    "invalid_client as 400": lambda p: p.answer("token", {"error": "invalid_client"}, status=400),
    "unauthorized_client": lambda p: p.answer("token", {"error": "unauthorized_client"}, status=400),
    "unauthorized for another reason": lambda p: p.answer("token", {"error": "unauthorized"}, status=401),
    "unauthorized as a page": lambda p: p.answer("token", HTML, status=401, content_type="text/html"),
    "400 without a reason": lambda p: p.answer("token", {"error": ["invalid_grant"]}, status=400),
    "400 HTML": lambda p: p.answer("token", HTML, status=400, content_type="text/html"),
    # Userinfo
    "userinfo of another": lambda p: p.userinfo.update(sub="eve"),
    "userinfo of nobody": lambda p: p.userinfo.update(sub=...),
    "userinfo with sub twice": lambda p: p.answer("userinfo", f'{{"sub":"eve","sub":"{SUBJECT}"}}'.encode()),
    "userinfo as a JWT": lambda p: p.answer("userinfo", b"e30.e30.", content_type="application/jwt"),
    "userinfo 401": lambda p: p.answer("userinfo", {"error": "invalid_token"}, status=401),
    "userinfo 403": lambda p: p.answer("userinfo", {"error": "insufficient_scope"}, status=403),
    "userinfo 404": lambda p: p.answer("userinfo", HTML, status=404, content_type="text/html"),
    "userinfo 503": lambda p: p.answer("userinfo", HTML, status=503, content_type="text/html"),
    "userinfo HTML": lambda p: p.answer("userinfo", HTML, content_type="text/html"),
    "userinfo elsewhere": lambda p: p.redirect("userinfo", 307),
    "userinfo without end": lambda p: p.flood("userinfo"),
    "userinfo never": lambda p: p.stall("userinfo"),
}

ODDITIES: dict[str, Mode] = {
    # What an honest provider may do, and some do
    "nothing odd": lambda _: None,
    "aud a list of one": _claims(aud=[CLIENT_ID]),
    "azp this client": _claims(azp=CLIENT_ID),
    "typ JWT": _header(typ="JWT"),
    "typ jwt": _header(typ="jwt"),
    "kid absent and one key": lambda p: (p.header.pop("kid"), None)[1],
    "key without kid": lambda p: (p.header.pop("kid"), _keys(lambda q: rsa_jwk(q.key))(p))[1],
    "key with use": _keys(_own(use="sig", key_ops=["verify"])),
    "keys of other kinds beside": _keys(
        lambda _: {"kty": "oct", "k": "AA"},
        _own(),
        lambda _: ec_jwk(ec_key("ec"), kid="rsa1"),
        lambda _: {"kty": "future"},
        lambda _: rsa_jwk(rsa_key("second"), kid="rsa1", use="enc"),
    ),
    "times with fractions": lambda p: p.claims.update(
        iat=p.seconds + 0.5, exp=p.seconds + 600.25, auth_time=p.seconds - 1.0
    ),
    "clock a minute ahead": _times(iat=60, nbf=60, auth_time=60),
    "clock a minute behind": _times(iat=-60, exp=-59, auth_time=-360),
    "at_hash": lambda p: p.claims.update(at_hash=at_hash()),
    "token type in lower case": lambda p: p.tokens.update(token_type="bearer"),
    "no userinfo endpoint": _discovery(userinfo_endpoint=...),
    "userinfo with a charset": lambda p: p.always(
        "userinfo", text=json.dumps(p.userinfo), content_type="application/json", charset="UTF-8"
    ),
}

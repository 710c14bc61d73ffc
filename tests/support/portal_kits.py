"""The verification kits of deploy/portals as programs that are asked about one request a line, the publisher of
the keys that they fetch, and one set of attempts for all of them.

A line to a kit has a time in seconds, whether assertions must be bound to their request (0 or 1), the method, the
path, and the fields `X-Auth-Assertion` in base64, each with `=` in front, with commas between them; tabs stand between these. The kit says
`ok`, the subject and the name (in base64), or `no` and why."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from tests.support.ports import free_port

ISSUER, AUDIENCE, ORIGIN = "https://acq.example.si", "acq", "https://acq.example.si"
NOW = 1_800_000_000
ROOT = Path(__file__).parents[2]
KITS, DRIVERS = ROOT / "deploy" / "portals", Path(__file__).parent / "portal_kit_drivers"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# Keys and tokens.


class Key:
    """A key of a gateway, under a name."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, Any]:
        members = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {name: members[name] for name in ("kty", "crv", "x", "y")} | {
            "kid": self.kid,
            "alg": "ES256",
            "use": "sig",
        }

    def signature(self, signed: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def part(members: object) -> str:
    return b64(members if isinstance(members, bytes) else json.dumps(members, separators=(",", ":")).encode())


def good_claims(**changes: object) -> dict[str, object]:
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "90342.KRZTQWMA",
        "jti": "0123456789abcdef",
        "iat": NOW,
        "exp": NOW + 60,
        "level": 20,
        "roles": ["approver"],
        "step_up": [{"method": "sms", "at": NOW}],
        "name": 'Živa "Čšđ" \\ 😀',
    }
    return {name: value for name, value in (claims | changes).items() if value is not ...}


def token(
    key: Key,
    claims: object = None,
    *,
    header: Mapping[str, object] | object = None,
    signs: Callable[[bytes], bytes] | None = None,
) -> str:
    """As the gateway makes it, unless something is changed. `...` takes a member out."""
    full: object = {"typ": "JWT", "alg": "ES256", "kid": key.kid}
    if isinstance(header, Mapping):
        full = {name: value for name, value in (full | header).items() if value is not ...}  # type: ignore[operator]
    elif header is not None:
        full = header
    signed = f"{part(full)}.{part(good_claims() if claims is None else claims)}"
    return f"{signed}.{b64((signs or key.signature)(signed.encode()))}"


# Attempts.


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request to the portal. The key that signs is published unless the attempt says otherwise."""

    name: str
    fields: tuple[str, ...]
    allowed: bool = False
    method: str = "GET"
    path: str = "/placila"
    bound: bool = False


NOT_IN_HTTP = frozenset({"a blank at the end", "a line end"})
"""Attempts that are good ones over HTTP, which takes away what is wrong with them."""


def attempts(key: Key, elsewhere: str, now: int = NOW) -> list[Attempt]:
    """One set for all kits. `elsewhere` is an address that nobody may ask."""

    def stated(**changes: object) -> dict[str, object]:
        return good_claims(**({"iat": now, "exp": now + 60} | changes))

    def made(signer: Key, claims: object = None, **changes: Any) -> str:
        return token(signer, stated() if claims is None else claims, **changes)

    stranger, own = Key(key.kid), Key("stranger")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    point = key.private.public_key()
    good = made(key)
    plain_base64 = base64.b64encode(bytes([255]) * 64).decode()
    signed, _, end = good.rpartition(".")
    bound = {"htm": "POST", "htu": f"{ORIGIN}/placila/nalog"}

    def claim(name: str, *, allowed: bool = False, **changes: object) -> Attempt:
        return Attempt(name=name, fields=(made(key, stated(**changes)),), allowed=allowed)

    def header(name: str, *, allowed: bool = False, **changes: object) -> Attempt:
        return Attempt(name=name, fields=(made(key, header=changes),), allowed=allowed)

    def forged(name: str, *fields: str) -> Attempt:
        return Attempt(name=name, fields=fields)

    def signed_text(name: str, before: bytes, after: bytes) -> Attempt:
        """The claims of the good one between other text."""
        middle = json.dumps(stated(aud=AUDIENCE)).encode()[1:-1]
        return Attempt(name=name, fields=(made(key, before + middle + after),))

    def hs256(secret: bytes) -> str:
        return made(
            key, header={"alg": "HS256"}, signs=lambda signed: hmac.digest(secret, signed, hashlib.sha256)
        )

    def bound_to(
        name: str,
        *,
        method: str = "POST",
        path: str = "/placila/nalog",
        allowed: bool = False,
        demanded: bool = True,
        **changes: object,
    ) -> Attempt:
        said = stated(**(bound | changes))
        return Attempt(
            name=name, fields=(made(key, said),), method=method, path=path, bound=demanded, allowed=allowed
        )

    pem = point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = point.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    raw = base64.urlsafe_b64decode(end + "==")
    r, s = raw[:32], raw[32:]
    high = P256_ORDER.to_bytes(32, "big")
    zero, one = bytes(32), (1).to_bytes(32, "big")
    pairs = {
        "r and s zero": zero + zero,
        "r zero": zero + s,
        "s zero": r + zero,
        "r is the order": high + s,
        "s is the order": r + high,
        "r and s one": one + one,
        "all bits": b"\xff" * 64,
        "halves swapped": s + r,
    }
    return [
        Attempt(name="as the gateway makes it", fields=(good,), allowed=True),
        Attempt(
            name="with a query",
            fields=(made(key, stated(htm="GET", htu=f"{ORIGIN}/placila")),),
            path="/placila?a=b",
            allowed=True,
        ),
        # No field, several, or something else in it.
        forged("no field"),
        forged("an empty field", ""),
        forged("nobody", "-"),
        forged("two good fields", good, good),
        forged("a forged field before the good one", made(stranger), good),
        forged("two tokens with a comma", f"{good}, {good}"),
        forged("a scheme in front", f"Bearer {good}"),
        forged("a blank at the end", f"{good} "),
        forged("a line end", f"{good}\n"),
        forged("a null at the end", f"{good}\x00"),
        forged("a dot at the end", f"{good}."),
        forged("a dot in front", f".{good}"),
        forged("two dots in the middle", good.replace(".", "..", 1)),
        forged("two parts", signed),
        forged("five parts", f"{good}.a.a"),
        forged("a padded signature", f"{good}=="),
        forged("a padded header", good.replace(".", "=.", 1)),
        forged("the alphabet of plain base64", f"{signed}.{plain_base64}"),
        forged("the same signature in other letters", good[:-1] + chr(ord(good[-1]) + 1)),
        forged("letters outside ASCII", good[:-1] + "Ž".encode().decode("latin-1")),
        forged("digits of another script", good[:-1] + "٣".encode().decode("latin-1")),
        forged("a huge one", made(key, stated(name="a" * 200_000))),
        forged("a huge header", made(key, header={"x": "a" * 20_000})),
        forged("a megabyte", made(key, stated(name="a" * 800_000))),
        forged("only letters", "a" * 30_000),
        forged("a blank inside", f"{good[:50]} {good[50:]}"),
        forged("a tab inside", f"{good[:-9]}\t{good[-9:]}"),
        forged("as JSON", json.dumps({"payload": "e30", "signature": "e30"})),
        # Signatures.
        forged("no signature", f"{signed}."),
        forged("signature of another token", f"{signed}.{made(key, stated(sub='x')).rpartition('.')[2]}"),
        forged("signed by another key of that name", made(stranger)),
        forged("signed by an unknown key", made(own)),
        forged("claims changed", f"{part({'typ': 'JWT', 'alg': 'ES256', 'kid': key.kid})}.{part(stated(sub='admin'))}.{end}"),
        forged("a DER signature", f"{signed}.{b64(key.private.sign(signed.encode(), ec.ECDSA(SHA256())))}"),
        forged("half a signature", f"{signed}.{b64(r)}"),
        forged("a signature with a byte more", f"{signed}.{b64(raw + b'a')}"),
        *(forged(name, f"{signed}.{b64(pair)}") for name, pair in pairs.items()),
        # Algorithms.
        forged("none", made(key, header={"alg": "none"}, signs=lambda signed: b"")),
        forged("none with a signature", made(key, header={"alg": "none"})),
        forged("nOnE", made(key, header={"alg": "nOnE"})),
        forged("HS256 with the key in PEM", hs256(pem)),
        forged("HS256 with the key in DER", hs256(der)),
        forged("HS256 with the key as JWK", hs256(json.dumps(key.jwk).encode())),
        forged("HS256 with x", hs256(key.jwk["x"].encode())),
        forged(
            "RS256",
            made(
                key,
                header={"alg": "RS256"},
                signs=lambda signed: rsa_key.sign(signed, padding.PKCS1v15(), SHA256()),
            ),
        ),
        *(header(f"alg {alg!r}", alg=alg) for alg in ("ES384", "es256", "ES256 ", ["ES256"], None, 256, ...)),
        # Keys that the token names itself.
        *(
            header(f"kid {kid!r}", kid=kid)
            for kid in (
                "",
                "../../../dev/null",
                f"{elsewhere}/kid.json",
                "' OR '1'='1",
                "__proto__",
                "constructor",
                key.kid.upper(),
                f"{key.kid}\x00",
                [key.kid],
                {"kid": key.kid},
                0,
                None,
                ...,
            )
        ),
        *(
            forged(f"{name} of the forger", made(own, header={name: value, "kid": kid}))
            for name, value in (
                ("jwk", own.jwk),
                ("jku", f"{elsewhere}/jwks.json"),
                ("x5u", f"{elsewhere}/chain.pem"),
                ("x5c", [base64.b64encode(der).decode()]),
            )
            for kid in (own.kid, key.kid)
        ),
        # Headers.
        header("without typ", typ=..., allowed=True),
        *(header(f"typ {typ!r}", typ=typ) for typ in ("at+jwt", "dpop+jwt", "", ["JWT"])),
        header("critical members", crit=["b64"], b64=False),
        *(
            forged(f"a header that is {text[:12]!r}", made(key, header=text))
            for text in (b"null", b"[]", b'"ES256"', b"1", b"{", b"\xff\xfe", b"", b"[" * 1000, b'{"a":' * 300)
        ),
        # Claims, all signed by the gateway's key.
        claim("another issuer", iss="https://evil.example"),
        claim("an issuer with a slash", iss=f"{ISSUER}/"),
        claim("issuers in a list", iss=[ISSUER]),
        claim("no issuer", iss=...),
        claim("another portal", aud="b2b"),
        claim("another case", aud="ACQ"),
        claim("a longer name", aud="acq2"),
        claim("no audience", aud=...),
        claim("ours in a list", aud=[AUDIENCE]),
        claim("ours and another in a list", aud=[AUDIENCE, "b2b"]),
        claim("an empty list of audiences", aud=[]),
        claim("audience null", aud=None),
        claim("29 seconds too old", exp=now - 29, allowed=True),
        claim("30 seconds too old", exp=now - 30),
        claim("a year too old", exp=now - 31_536_000),
        claim("29 seconds ahead", iat=now + 29, allowed=True),
        claim("31 seconds ahead", iat=now + 31),
        claim("issued in a year", iat=now + 31_536_000, exp=now + 31_536_060),
        claim("valid from a minute ago", nbf=now - 60, allowed=True),
        claim("valid in 31 seconds", nbf=now + 31),
        *(
            claim(f"{name} {value!r}", **{name: value})
            for name in ("exp", "iat", "nbf")
            for value in ("1800000060", "never", True, None, [], {}, 1e300, 1800000060.5, 10**30, float("nan"))
        ),
        signed_text("the last of two audiences is another's", b'{"aud":"acq",', b',"aud":"b2b"}'),
        signed_text("the last of two ends is over", b"{", b',"exp":1}'),
        forged("the last of two algorithms is none", made(key, header=b'{"typ":"JWT","alg":"ES256","kid":"%s","alg":"none"}' % key.kid.encode())),

        claim("no end", exp=...),
        claim("no beginning", iat=...),
        *(claim(f"sub {sub!r}", sub=sub) for sub in ("", 7, None, ["90342.KRZTQWMA"], ...)),
        *(
            forged(f"claims that are {text[:12]!r}", made(key, text))
            for text in (b"null", b"[]", b'"x"', b"1", b"{", b"\xff\xfe", b"", b"[" * 1000, b'{"a":' * 300)
        ),
        # Bound to a request.
        bound_to("its own request", allowed=True),
        bound_to("its own request, with a query", path="/placila/nalog?a=?b", allowed=True),
        bound_to("its own request, where that is not demanded", demanded=False, allowed=True),
        bound_to("another method", method="PUT"),
        bound_to("another method, where that is not demanded", method="DELETE", demanded=False),
        bound_to("another path", path="/placila/nalogi"),
        bound_to("another path, where that is not demanded", path="/", demanded=False),
        bound_to("another case of the path", path="/Placila/nalog"),
        bound_to("another spelling of the path", path="/placila/%6ealog"),
        bound_to("a method in small letters", htm="post"),
        bound_to("a slash at the end", htu=f"{ORIGIN}/placila/nalog/"),
        bound_to("a URL with a query", htu=f"{ORIGIN}/placila/nalog?a=b", path="/placila/nalog?a=b"),
        bound_to("another host", htu="https://b2b.example.si/placila/nalog"),
        bound_to("plain HTTP", htu="http://acq.example.si/placila/nalog"),
        bound_to("a method alone", htu=...),
        bound_to("a URL alone", htm=...),
        bound_to("a method alone, where that is not demanded", htu=..., demanded=False),
        bound_to("methods in a list", htm=["POST"]),
        bound_to("bound to nothing", htm=..., htu=...),
    ]  # fmt: skip


# Programs.


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """One language. `build` is run once, in a folder of its own (`{folder}`)."""

    name: str
    needs: tuple[str, ...] = ()
    build: tuple[tuple[str, ...], ...] = ()
    command: tuple[str, ...]
    path: str = ""
    """PYTHONPATH."""
    takes: frozenset[str] = frozenset()
    """Attempts that are good ones to this kit."""


IN_EVERY_RUN = (
    Kit(
        name="python",
        command=(sys.executable, str(DRIVERS / "drive.py"), "assertion_check"),
        path=str(KITS / "python"),
    ),
    Kit(
        name="python-pyjwt",
        command=(sys.executable, str(DRIVERS / "drive.py"), "assertion_pyjwt"),
        path=str(KITS / "python"),
    ),
    Kit(
        name="node",
        needs=("node",),
        command=("node", str(DRIVERS / "drive.js"), str(KITS / "node" / "assertion-check.js")),
    ),
)
FOREIGN = (
    Kit(
        name="php",
        needs=("php",),
        command=("php", str(DRIVERS / "drive.php"), str(KITS / "php" / "AssertionCheck.php")),
    ),
    Kit(
        name="java",
        needs=("javac",),
        build=(
            (
                *("javac", "--release", "8", "-Xlint:-options", "-Werror", "-d", "{folder}"),
                *(str(KITS / "java" / name) for name in ("AssertionCheck.java", "Json.java")),
                str(DRIVERS / "Drive.java"),
            ),
        ),
        command=("java", "-cp", "{folder}", "Drive"),
    ),
    Kit(
        name="csharp",
        needs=("mcs", "mono"),
        build=(
            (
                *("mcs", "-langversion:5", "-warnaserror", "-r:System.Core", "-r:System.Web.Extensions"),
                *("-out:{folder}/drive.exe", str(KITS / "csharp" / "AssertionCheck.cs")),
                *(str(DRIVERS / name) for name in ("OpenSslCheck.cs", "Drive.cs")),
            ),
        ),
        command=("mono", "{folder}/drive.exe"),
    ),
    Kit(
        name="nginx",
        needs=("nginx",),
        command=(sys.executable, str(DRIVERS / "drive_nginx.py"), str(KITS / "nginx")),
        takes=NOT_IN_HTTP,
    ),
)


class Portal:
    """A kit that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def says(self, lines: Sequence[str]) -> list[list[str]]:
        """What it says to each line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answers = []
        for line in lines:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answers.append(self._process.stdout.readline().rstrip("\n").split("\t"))
        return answers

    def lets_in(
        self,
        *fields: str,
        at: int = NOW,
        method: str = "GET",
        path: str = "/placila",
        bound: bool = False,
    ) -> bool:
        return self.says([asked(fields, at=at, method=method, path=path, bound=bound)])[0][0] == "ok"


def asked(
    fields: Sequence[str],
    *,
    at: int = NOW,
    method: str = "GET",
    path: str = "/placila",
    bound: bool = False,
) -> str:
    written = ",".join("=" + base64.b64encode(one.encode("latin-1")).decode() for one in fields)
    return f"{at}\t{int(bound)}\t{method}\t{path}\t{written}"


def built(kit: Kit, folder: Path) -> None:
    for command in kit.build:
        done = subprocess.run(
            [word.format(folder=folder) for word in command],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def running_kit(
    kit: Kit,
    folder: Path,
    jwks: str,
    *,
    issuer: str = ISSUER,
    audience: str = AUDIENCE,
    origin: str = ORIGIN,
) -> Iterator[Portal]:
    """`folder` has what `built` has made; the kit's own files are in one below it."""
    own = tempfile.mkdtemp(prefix="own-", dir=folder)
    with subprocess.Popen(
        [
            *(word.format(folder=folder) for word in kit.command),
            *(issuer, audience, origin, jwks, own),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="ascii",
        env={"PATH": program_path(), "PYTHONPATH": kit.path},
        start_new_session=True,
    ) as process:
        try:
            yield Portal(process)
        finally:
            # With whatever it has started. It may have ended by itself.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def program_path() -> str:
    from tests.conftest import program_path

    return program_path()


# What publishes the keys.


@dataclass
class Publisher:
    """Answers every request with what it has been told, and keeps the paths."""

    port: int
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    scheme: str = "http"
    answers: threading.Event = field(default_factory=threading.Event)
    """It answers while this is set."""

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/.authproxy/jwks.json"

    def publishes(self, *keys: Key | Mapping[str, object]) -> None:
        members = [key.jwk if isinstance(key, Key) else dict(key) for key in keys]
        self.status, self.headers, self.body = 200, {}, json.dumps({"keys": members}).encode()


@contextlib.contextmanager
def running_publisher(tls: ssl.SSLContext | None = None) -> Iterator[Publisher]:
    publisher = Publisher(free_port(), scheme="http" if tls is None else "https")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.asked.append(self.path)
            publisher.answers.wait()
            self.send_response(publisher.status)
            for name, value in publisher.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(publisher.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(publisher.body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", publisher.port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    publisher.answers.set()
    try:
        yield publisher
    finally:
        publisher.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


# What each kit checks, taken out one by one: the file, and the words that are replaced.


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A check that is missing, and an attempt that comes in without it."""

    check: str
    comes_in: str
    edits: Mapping[str, tuple[str, str]]
    """By the name of the kit. PyJWT itself refuses some attempts, so that nothing changes without our check."""


FILES = {
    "python": "python/assertion_check.py",
    "python-pyjwt": "python/assertion_pyjwt.py",
    "node": "node/assertion-check.js",
    "php": "php/AssertionCheck.php",
    "nginx": "nginx/assertion.js",
    "java": "java/AssertionCheck.java",
    "csharp": "csharp/AssertionCheck.cs",
}
MISSING = (
    Missing(
        check="the form",
        comes_in="the same signature in other letters",
        edits={
            "python": ("{85}[AQgw]", "{86}"),
            "node": ("{85}[AQgw]", "{86}"),
            "php": ("{85}[AQgw]", "{86}"),
            "nginx": ("{85}[AQgw]", "{86}"),
            "java": ("{85}[AQgw]", "{86}"),
            "csharp": ("{85}[AQgw]", "{86}"),
        },
    ),
    Missing(
        check="one field",
        comes_in="two good fields",
        edits={
            "python": ("len(fields) != 1 or", "not fields or"),
            "python-pyjwt": ("len(fields) != 1 or", "not fields or"),
            "node": ("fields.length !== 1 ||", "fields.length === 0 ||"),
            "nginx": ("fields.length === 1 &&", "fields.length > 0 &&"),
            "java": ("fields.size() == 1 && ", ""),
            "csharp": ("fields.Length == 1 && ", ""),
        },
    ),
    Missing(
        check="algorithm",
        comes_in="alg 'ES384'",
        edits={
            "python": ('header.get("alg") != "ES256" or ', ""),
            "node": ("header.alg !== 'ES256' || ", ""),
            "php": ("($header->alg ?? null) !== 'ES256' || ", ""),
            "nginx": ("header.alg === 'ES256' && ", ""),
            "java": ('"ES256".equals(header.get("alg")) && ', ""),
            "csharp": ('"ES256".Equals(Member(header, "alg")) && ', ""),
        },
    ),
    Missing(
        check="typ",
        comes_in="typ 'at+jwt'",
        edits={
            "python": ('header.get("typ", "JWT") != "JWT" or ', ""),
            "python-pyjwt": ('header.get("typ", "JWT") != "JWT" or ', ""),
            "node": ("(header.typ !== undefined && header.typ !== 'JWT') || ", ""),
            "php": ("($header->typ ?? 'JWT') !== 'JWT' || ", ""),
            "nginx": ("(header.typ === undefined || header.typ === 'JWT') && ", ""),
            "java": (' && "JWT".equals(header.getOrDefault("typ", "JWT"))', ""),
            "csharp": (' && "JWT".Equals(header.ContainsKey("typ") ? header["typ"] : "JWT")', ""),
        },
    ),
    Missing(
        check="crit",
        comes_in="critical members",
        edits={
            "python": (' or "crit" in header', ""),
            "node": (" || 'crit' in header", ""),
            "php": (" || property_exists($header, 'crit')", ""),
            "nginx": (" && !('crit' in header)", ""),
            "java": ('\n                && !header.containsKey("crit")', ""),
            "csharp": ('\n            && !header.ContainsKey("crit")', ""),
        },
    ),
    Missing(
        check="signature",
        comes_in="signed by another key of that name",
        edits={
            "python": ('raise Refused("not signed by the gateway") from None', "return"),
            "python-pyjwt": ('"strict_aud": True', '"strict_aud": True, "verify_signature": False'),
            "node": ("if (!crypto.verify(", "if (false && !crypto.verify("),
            "php": ("OPENSSL_ALGO_SHA256) !== 1", "OPENSSL_ALGO_SHA256) === 2"),
            "nginx": ("demand(signed, ", "demand(true, "),
            "java": ("isSigned(key, parts[0]", "true || isSigned(key, parts[0]"),
            "csharp": ("Demand(IsSigned(", "Demand(true || IsSigned("),
        },
    ),
    Missing(
        check="issuer",
        comes_in="another issuer",
        edits={
            "python": ('claims.get("iss") != self._issuer or ', ""),
            "python-pyjwt": ("issuer=self._issuer,", ""),
            "node": ("claims.iss !== this.issuer || ", ""),
            "php": ("($claims->iss ?? null) !== $this->settings['issuer'] || ", ""),
            "nginx": ("claims.iss === settings.issuer && ", ""),
            "java": ('issuer.equals(claims.get("iss")) && ', ""),
            "csharp": ('issuer.Equals(Member(claims, "iss")) && ', ""),
        },
    ),
    Missing(
        check="audience",
        comes_in="another portal",
        edits={
            "python": (' or claims.get("aud") != self._audience', ""),
            "python-pyjwt": ('"strict_aud": True', '"verify_aud": False'),
            "node": (" || claims.aud !== this.audience", ""),
            "php": (" || ($claims->aud ?? null) !== $this->settings['audience']", ""),
            "nginx": (" && claims.aud === settings.audience", ""),
            "java": (' && audience.equals(claims.get("aud"))', ""),
            "csharp": (' && audience.Equals(Member(claims, "aud"))', ""),
        },
    ),
    Missing(
        check="audience exactly",
        comes_in="ours and another in a list",
        edits={
            "python": ('claims.get("aud") != self._audience', 'self._audience not in claims.get("aud", "")'),
            "python-pyjwt": (', "strict_aud": True', ""),
            "node": ("claims.aud !== this.audience", "![].concat(claims.aud).includes(this.audience)"),
            "php": (
                "($claims->aud ?? null) !== $this->settings['audience']",
                "!in_array($this->settings['audience'], (array) ($claims->aud ?? null), true)",
            ),
            "nginx": (
                "claims.aud === settings.audience",
                "[].concat(claims.aud).includes(settings.audience)",
            ),
            "java": (
                'audience.equals(claims.get("aud"))',
                'String.valueOf(claims.get("aud")).contains(audience)',
            ),
            "csharp": (
                'audience.Equals(Member(claims, "aud"))',
                '((object[])Member(claims, "aud")).Contains(audience)',
            ),
        },
    ),
    Missing(
        check="end",
        comes_in="30 seconds too old",
        edits={
            "python": ('now >= _time(claims, "exp") + LEEWAY', "False"),
            "python-pyjwt": ('"strict_aud": True', '"strict_aud": True, "verify_exp": False'),
            "node": (" || now >= claims.exp + LEEWAY", ""),
            "php": (" || $now >= $claims->exp + self::LEEWAY", ""),
            "nginx": (" && now < claims.exp + LEEWAY", ""),
            "java": ('now() - LEEWAY < time(claims, "exp")', "true"),
            "csharp": ('Now() - Leeway < Time(claims, "exp")', "true"),
        },
    ),
    Missing(
        check="beginning",
        comes_in="31 seconds ahead",
        edits={
            "python": ('max(_time(claims, "iat"),', "max(0,"),
            "python-pyjwt": ('"strict_aud": True', '"strict_aud": True, "verify_iat": False'),
            "node": ("[claims.iat, claims.nbf] : [claims.iat]", "[claims.nbf] : []"),
            "php": ("max($claims->iat, $from)", "$from"),
            "nginx": ("[claims.iat, claims.nbf] : [claims.iat]", "[claims.nbf] : []"),
            "java": ('now() + LEEWAY >= time(claims, "iat")\n                && ', ""),
            "csharp": ('Now() + Leeway >= Time(claims, "iat") && ', ""),
        },
    ),
    Missing(
        check="nbf",
        comes_in="valid in 31 seconds",
        edits={
            "python": ('_time(claims, "nbf") if "nbf" in claims else 0', "0"),
            "python-pyjwt": ('"strict_aud": True', '"strict_aud": True, "verify_nbf": False'),
            "node": ("'nbf' in claims ? [claims.iat, claims.nbf] : [claims.iat]", "[claims.iat]"),
            "php": ("max($claims->iat, $from)", "$claims->iat"),
            "nginx": ("'nbf' in claims ? [claims.iat, claims.nbf] : [claims.iat]", "[claims.iat]"),
            "java": (
                '\n                && (!claims.containsKey("nbf") || now() + LEEWAY >= time(claims, "nbf"))',
                "",
            ),
            "csharp": (' && (!claims.ContainsKey("nbf") || Now() + Leeway >= Time(claims, "nbf"))', ""),
        },
    ),
    Missing(
        check="method",
        comes_in="another method, where that is not demanded",
        edits={
            "python": ("said != (method, ", "said != (said[0], "),
            "python-pyjwt": ("said != (method, ", "said != (said[0], "),
            "node": ("claims.htm !== method || ", ""),
            "php": ("!== [$method, ", "!== [$said[0], "),
            "nginx": ("claims.htm === r.variables.request_method && ", ""),
            "java": ('method.equals(claims.get("htm")) && ', ""),
            "csharp": ('method.Equals(Member(claims, "htm")) && ', ""),
        },
    ),
    Missing(
        check="URL",
        comes_in="another path",
        edits={
            "python": ('self._origin + path.partition("?")[0]', "said[1]"),
            "python-pyjwt": ('self._origin + path.partition("?")[0]', "said[1]"),
            "node": (" || claims.htu !== this.origin + path.split('?')[0]", ""),
            "php": ("$this->settings['origin'] . explode('?', $path, 2)[0]", "$said[1]"),
            "nginx": (" && claims.htu === url", ""),
            "java": (' && (origin + path.split("\\\\?", 2)[0]).equals(claims.get("htu"))', ""),
            "csharp": (" && (origin + path.Split('?')[0]).Equals(Member(claims, \"htu\"))", ""),
        },
    ),
    Missing(
        check="that it is bound",
        comes_in="bound to nothing",
        edits={
            "python": ("self._bound or ", ""),
            "python-pyjwt": ("self._bound or ", ""),
            "node": ("this.bound || ", ""),
            "php": ("$this->settings['bound'] || ", ""),
            "nginx": ("settings.bound === 'yes' || ", ""),
            "java": ("bound || ", ""),
            "csharp": ("bound || ", ""),
        },
    ),
    Missing(
        check="subject",
        comes_in="sub ''",
        edits={
            "python": (' or not claims["sub"]', ""),
            "python-pyjwt": (' or not claims["sub"]', ""),
            "node": (" || claims.sub === ''", ""),
            "php": (" || $claims->sub === ''", ""),
            "nginx": (" && claims.sub !== ''", ""),
            "java": (' && !claims.get("sub").equals("")', ""),
            "csharp": (
                '!string.IsNullOrEmpty(Member(claims, "sub") as string)',
                'Member(claims, "sub") is string',
            ),
        },
    ),
)

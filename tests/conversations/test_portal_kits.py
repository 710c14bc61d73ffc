"""The verification kits of deploy/portals: real assertions of a gateway, and one set of hostile ones, in every
language. Which kits are tried in every run, and which by `make foreign`, is in tests/support/portal_kits.py."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest
import trustme

from authproxy.cli import main
from tests.support.gateway import ANA
from tests.support.http_client import Browser
from tests.support.name_server import name_server
from tests.support.portal_kit_drivers.drive_nginx import answer
from tests.support.portal_kits import (
    AUDIENCE,
    FILES,
    FOREIGN,
    IN_EVERY_RUN,
    ISSUER,
    KITS,
    MISSING,
    NOT_IN_HTTP,
    NOW,
    Key,
    asked,
    attempts,
    built,
    good_claims,
    running_kit,
    running_publisher,
    token,
)
from tests.support.portal_servers import running_apache, running_aspnet, running_php_fpm, running_tomcat
from tests.support.waiting import until

IS_FOREIGN = bool(os.environ.get("AUTHPROXY_FOREIGN"))
TRIED = FOREIGN if IS_FOREIGN else IN_EVERY_RUN


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where each kit has been built, by its name."""
    made = {}
    for kit in TRIED:
        missing = [program for program in kit.needs if shutil.which(program) is None]
        assert missing == [], f"{kit.name} needs {missing}: run `deploy/system-packages --kits`"
        made[kit.name] = tmp_path_factory.mktemp(kit.name)
        built(kit, made[kit.name])
    return made


@pytest.fixture
def publisher():
    with running_publisher() as running:
        yield running


@pytest.fixture
def key():
    return Key("Q9mZ-now")


@pytest.fixture(params=TRIED, ids=lambda kit: kit.name)
def kit(request):
    return request.param


@pytest.fixture
def portal(kit, folders, publisher):
    """A kit that has asked for nothing yet."""
    with running_kit(kit, folders[kit.name], publisher.address) as running:
        yield running


def test_every_kit_refuses_every_hostile_assertion_and_no_good_one(kit, portal, publisher, key):
    encryption = key.jwk | {"kid": "encryption", "use": "enc"}
    other = {"kty": "oct", "kid": "shared", "k": "AAAA", "alg": "HS256", "use": "sig"}
    publisher.publishes(encryption, other, key)
    tried = attempts(key, f"http://127.0.0.1:{publisher.port}/elsewhere")
    lines = [asked(one.fields, method=one.method, path=one.path, bound=one.bound) for one in tried]
    answers = portal.says(lines)
    wrong = [
        (one.name, said)
        for one, said in zip(tried, answers, strict=True)
        if (said[0] == "ok") != (one.allowed or one.name in kit.takes)
    ]
    assert wrong == []
    assert [said[0] for said in answers].count("no") > 130
    assert answers[0][1:3] == ["90342.KRZTQWMA", base64.b64encode(good_claims()["name"].encode()).decode()]
    assert set(publisher.asked) == {"/.authproxy/jwks.json"}  # nobody was led elsewhere
    assert len(publisher.asked) <= 2  # once for each of two checks, however many keys were unknown
    told = " ".join(" ".join(said[1:]) for said in answers if said[0] == "no")
    assert [secret for secret in ("eyJ", "KRZTQWMA", "evil.example", key.kid) if secret in told] == []


def test_keys_that_are_published_for_something_else_verify_nothing(portal, publisher, key):
    changes = ({"use": "enc"}, {"alg": "ES384"}, {"kty": "oct"}, {"crv": "P-384"}, {"kid": "other"}, {})
    for minute, change in enumerate(changes):
        at = NOW + 60 * minute
        publisher.publishes(key.jwk | change)
        good = token(key, good_claims(iat=at, exp=at + 60))
        assert portal.lets_in(good, at=at) == (change == {})


def test_an_unknown_key_is_looked_for_once_a_minute(portal, publisher, key):
    new = Key("next")
    publisher.publishes(key)
    assert portal.lets_in(token(key))
    published = len(publisher.asked)
    for second in range(1, 60, 6):
        assert not portal.lets_in(token(new), at=NOW + second)
    assert len(publisher.asked) == published
    publisher.publishes(key, new)
    assert portal.lets_in(token(new), at=NOW + 61)
    assert portal.lets_in(token(key), at=NOW + 61)
    assert len(publisher.asked) == published + 1


def test_a_key_that_is_published_no_more_is_dropped_after_five_minutes(portal, publisher, key):
    new = Key("next")
    publisher.publishes(key, new)
    assert portal.lets_in(token(key))
    publisher.publishes(new)

    def at(second, signer=key):
        claims = good_claims(iat=NOW + second, exp=NOW + second + 60)
        return portal.lets_in(token(signer, claims), at=NOW + second)

    assert at(300)
    assert not at(301)
    assert at(302, new)
    assert not at(303)


def test_known_keys_outlive_the_gateway_by_an_hour(portal, publisher, key):
    publisher.publishes(key)

    def at(second):
        claims = good_claims(iat=NOW + second, exp=NOW + second + 60)
        return portal.lets_in(token(key, claims), at=NOW + second)

    assert at(0)
    redirect = {"Location": f"http://127.0.0.1:{publisher.port}/elsewhere/jwks.json"}
    published = publisher.body
    for second, status, body, headers in (
        (301, 500, b"", {}),
        (400, 302, b"", redirect),
        (500, 302, published, redirect),
        (600, 404, published, {}),
        (700, 200, b"<html>", {}),
        (800, 200, b"null", {}),
        (900, 200, b"[]", {}),
        (1000, 200, b'{"keys": null}', {}),
        (1100, 200, b'{"keys": {}}', {}),
        (1160, 200, b"{}", {}),
        (1230, 200, b'{"keys": []}', {}),
        (1300, 200, b'{"keys": ["a", 1, null]}', {}),
        (1400, 200, b'{"keys": [' + b" " * 1_000_000 + published[10:], {}),
        (1500, 200, b"[" * 50_000, {}),
        (1600, 200, b"\xff\xfe", {}),
        (1700, 200, published[:-9], {}),
    ):
        publisher.status, publisher.body, publisher.headers = status, body, headers
        asked_before = len(publisher.asked)
        assert at(second), (second, status, body[:20])
        assert len(publisher.asked) == asked_before + 1
    assert set(publisher.asked) == {"/.authproxy/jwks.json"}
    assert at(3600)
    assert not at(3601)
    publisher.publishes(key)
    assert at(3700)


def test_nobody_is_let_in_before_the_keys_can_be_had(portal, publisher, key):
    publisher.status = 503
    assert not portal.lets_in(token(key))
    publisher.publishes(key)
    assert not portal.lets_in(token(key), at=NOW + 59)
    assert portal.lets_in(token(key), at=NOW + 60)


def test_a_clock_that_is_set_back_keeps_nobody_from_asking(portal, publisher, key):
    publisher.publishes(Key("former"))
    earlier = NOW - 86_400
    assert not portal.lets_in(token(key))
    publisher.publishes(key)
    claims = good_claims(iat=earlier, exp=earlier + 60)
    assert portal.lets_in(token(key, claims), at=earlier)


def test_keys_are_fetched_over_tls_or_from_this_machine_alone(folders, key):
    addresses = ["http://127.0.0.1.example.si/"]
    if IS_FOREIGN:
        addresses += ["http://acq.example.si/jwks.json", "file:///etc/keys"]
    for kit in TRIED:
        for address in addresses:
            with running_kit(kit, folders[kit.name], address) as portal, contextlib.suppress(OSError):
                assert portal.says([asked([token(key)])]) == [[""]]  # it has ended


@pytest.mark.parametrize(
    "missing",
    [{"audience": ""}, *([{"issuer": ""}, {"origin": ""}, {"jwks": ""}] if IS_FOREIGN else [])],
    ids=lambda missing: next(iter(missing)),
)
def test_a_kit_without_a_setting_does_not_begin(folders, publisher, key, missing):
    publisher.publishes(key)
    for kit in TRIED:
        given = {"jwks": publisher.address} | missing
        with running_kit(kit, folders[kit.name], **given) as portal, contextlib.suppress(OSError):
            assert portal.says([asked([token(key)])]) == [[""]]  # it has ended


@pytest.mark.rehearsal
@pytest.mark.parametrize("missing", MISSING, ids=lambda missing: missing.check)
def test_a_kit_without_one_of_its_checks_lets_somebody_in(missing, publisher, key, tmp_path):
    publisher.publishes(key)
    [attempt] = [one for one in attempts(key, "http://127.0.0.1:9") if one.name == missing.comes_in]
    for kit in (kit for kit in TRIED if kit.name in missing.edits):
        old, new = missing.edits[kit.name]
        shutil.copytree(KITS, folder := tmp_path / kit.name)
        file = folder / FILES[kit.name]
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
        changed = dataclasses.replace(
            kit,
            path=kit.path.replace(str(KITS), str(folder)),
            command=tuple(word.replace(str(KITS), str(folder)) for word in kit.command),
            # Something is used nowhere now, of which a compiler may warn.
            build=tuple(
                tuple(word.replace(str(KITS), str(folder)) for word in command if "error" not in word)
                for command in kit.build
            ),
        )
        built(changed, folder)
        with running_kit(changed, folder, publisher.address) as portal:
            [said] = portal.says(
                [asked(attempt.fields, method=attempt.method, path=attempt.path, bound=attempt.bound)]
            )
        assert said[0] == "ok", (kit.name, said)


# A real gateway.


async def rotated(house):
    """As an operator does it."""
    command = ["keys", "rotate", "-c", str(house.settings_file)]
    await asyncio.to_thread(main, command, standalone_mode=False)


async def received(ana, house, *, port=None, method="GET"):
    """The assertion as the portal got it."""
    return (await identity(ana, house, port=port, method=method))["assertion"]


async def identity(ana, house, *, port=None, method="GET"):
    """What the portal got about her, by the end of each header's name."""
    answer = await ana.browser.request(method, f"{house.acq}/api/received?a=b", port=port)
    return {
        name.lower().removeprefix("x-auth-"): value
        for name, value in answer.json["headers"]
        if name.lower().startswith("x-auth-")
    }


@pytest.mark.parametrize(
    "bound",
    [
        pytest.param(False, marks=pytest.mark.rehearsal, id="for a minute"),
        pytest.param(True, id="for one request"),
    ],
)
async def test_a_gateways_assertions_are_taken_while_their_keys_rotate(
    houses, folders, publisher, bound, tmp_path
):
    places = {f"{name}_key_file": str(tmp_path / f"{name}.pem") for name in ("next", "retiring")}
    async with contextlib.AsyncExitStack() as running:
        house = await running.enter_async_context(
            houses(acq={"binds_assertion": bound}, sections={"assertions": places})
        )
        ana = await house.signed_in(ANA)
        kits = [
            running.enter_context(
                running_kit(
                    *(kit, folders[kit.name], publisher.address),
                    issuer=house.settings.assertions.issuer,
                    origin=house.acq,
                )
            )
            for kit in TRIED
        ]

        async def publish(port):
            answer = await Browser().request("GET", f"{house.acq}/.authproxy/jwks.json", port=port)
            publisher.status, publisher.body = answer.status, answer.body
            return [key["kid"] for key in json.loads(answer.body)["keys"]]

        def verdicts(assertion, **request):
            at = int(house.clock().timestamp())
            path = "/api/received?a=b"
            return {kit.lets_in(assertion, at=at, bound=bound, **({"path": path} | request)) for kit in kits}

        await rotated(house)
        first = house.ports["gateway"]
        second = await running.enter_async_context(house.second_gateway())
        assert len(await publish(second)) == 2
        assert verdicts(await received(ana, house, port=first)) == {True}
        posted = await received(ana, house, port=second, method="POST")
        assert verdicts(posted, method="POST") == {True}
        assert verdicts(posted) == {not bound}
        assert verdicts(posted, method="POST", path="/api/other") == {not bound}
        asked_until_now = len(publisher.asked)

        await rotated(house)
        third = await running.enter_async_context(house.second_gateway())
        assert len(await publish(third)) == 3
        assert verdicts(await received(ana, house, port=third)) == {True}
        assert verdicts(await received(ana, house, port=first)) == {True}
        assert len(publisher.asked) == asked_until_now  # the key was known before it signed

        await rotated(house)
        fourth = await running.enter_async_context(house.second_gateway())
        await publish(fourth)
        house.advance(seconds=61)
        assert verdicts(await received(ana, house, port=fourth)) == {True}
        assert verdicts(await received(ana, house, port=third)) == {True}
        assert verdicts(await received(ana, house, port=first)) == {False}


# What surrounds the kits in a portal.

BEHIND_WSGI = """
import io, json, sys
from assertion_check import AssertionCheck
from middleware import behind_gateway

def portal(environ, start_response):
    start_response("200 OK", [])
    return [f"{environ['REMOTE_USER']} {environ['authproxy.claims']['roles']}".encode()]

issuer, jwks, now, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
check = AssertionCheck(issuer=issuer, audience="acq", origin=issuer, jwks=jwks, clock=lambda: now)
for token in tokens:
    path = "/pla\N{LATIN SMALL LETTER C WITH CARON}ila:1".encode().decode("latin-1")
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.errors": sys.stderr, "REMOTE_USER": "forged"}
    if token != "none":
        environ["HTTP_X_AUTH_ASSERTION"] = token
    said = []
    body = b"".join(behind_gateway(portal, check)(environ, lambda status, headers: said.append(status)))
    print(said[0], body.decode().strip())
"""
BEHIND_NODE = """
const [folder, issuer, jwks, now, ...tokens] = process.argv.slice(1);
const { AssertionCheck } = require(folder + '/assertion-check.js');
const check = new AssertionCheck({ issuer, audience: 'acq', origin: issuer, jwks, clock: () => Number(now) });
const { createServer, request } = require('http');
const behindGateway = require(folder + '/middleware.js');
const server = createServer((asked, answer) => behindGateway(check)(asked, answer, () => {
  answer.end(asked.claims.sub + ' ' + asked.claims.roles);
}));
server.on('upgrade', behindGateway.upgrades(check, (asked, socket) => {
  const body = asked.claims.sub + ' opens a WebSocket';
  socket.end('HTTP/1.1 200 OK\\r\\nContent-Length: ' + body.length + '\\r\\nConnection: close\\r\\n\\r\\n' + body);
}));
server.listen(0, '127.0.0.1', async () => {
  for (const socket of [false, true]) for (const token of tokens) await new Promise((next) => {
    const headers = token === 'none' ? {} : { 'X-Auth-Assertion': token.split(' ') };
    if (socket) Object.assign(headers, { Connection: 'Upgrade', Upgrade: 'websocket' });
    request({ port: server.address().port, host: '127.0.0.1', headers }, (answer) => {
      answer.setEncoding('utf8');
      let body = '';
      answer.on('data', (part) => (body += part)).on('end', () => next(console.log(answer.statusCode, body.trim())));
    }).end();
  });
  process.exit(0);
});
"""


def said_by(command, **environment):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines(), done.stderr


def test_the_middleware_for_wsgi_lets_nobody_else_in(publisher, key):
    publisher.publishes(key)
    bound = good_claims(htm="GET", htu=f"{ISSUER}/pla%C4%8Dila:1")
    good, forged = token(key, bound), token(Key(key.kid), bound)
    lines, errors = said_by(
        [
            sys.executable,
            "-c",
            BEHIND_WSGI,
            ISSUER,
            publisher.address,
            str(NOW),
            *(good, forged, "none", f"{good},{good}"),
        ],
        PYTHONPATH=str(KITS / "python"),
    )
    assert lines == ["200 OK 90342.KRZTQWMA ['approver']", *["403 Forbidden Forbidden"] * 3]
    assert errors.count("refused: ") == 3
    assert "eyJ" not in errors


@pytest.mark.needs("node")
def test_the_middleware_for_node_lets_nobody_else_in(publisher, key):
    publisher.publishes(key)
    good, forged = token(key), token(Key(key.kid))
    lines, errors = said_by(
        [
            "node",
            "-e",
            BEHIND_NODE,
            str(KITS / "node"),
            ISSUER,
            publisher.address,
            str(NOW),
            *(good, forged, "none", f"{good} {good}"),
        ]
    )
    assert lines == [
        *("200 90342.KRZTQWMA approver", *["403 Forbidden"] * 3),
        *("200 90342.KRZTQWMA opens a WebSocket", *["403 "] * 3),
    ]
    assert errors.count("refused: ") == 6
    assert "eyJ" not in errors


# What Apache does not look at. Only the gateway's own key could sign it, and the gateway never does, except for `BOUND`,
# where the lines for bound assertions are not switched on.
NOT_SEEN_BY_APACHE = {
    *("a blank at the end", "critical members", "issuers in a list", "ours in a list"),
    *(f"kid {kid!r}" for kid in (["Q9mZ-now"], {"kid": "Q9mZ-now"}, 0, None, ...)),
    *(f"typ {typ!r}" for typ in ("at+jwt", "dpop+jwt", "", ["JWT"])),
    *("31 seconds ahead", "issued in a year", "valid in 31 seconds", "exp '1800000060'", "exp True"),
    *(f"iat {value!r}" for value in ("1800000060", True, 1e300)),
    *(f"nbf {value!r}" for value in ("1800000060", "never", True, None, [], {}, 1e300, 1800000060.5)),
}
BOUND = re.compile(
    r"another (method|path|case of the path|spelling of the path|host).*|plain HTTP|bound to nothing|a slash at the end|(a method|a URL) (alone|in small letters|with a query).*|methods in a list"
)
NOT_LEFT_TO_CHANCE = {"29 seconds too old", "exp '1800000060'"}  # the second is a time that comes
# All that PHP gets from nginx 1.22, and ASP.NET from the HTTP server of Mono. It is verified as any other.
THE_LAST_OF_TWO_FIELDS = {"two good fields", "a forged field before the good one"}
A_SECOND_LATER = NOT_LEFT_TO_CHANCE | {"31 seconds ahead", "valid in 31 seconds"}

if IS_FOREIGN:

    @pytest.mark.parametrize("name", ["php", "nginx"])
    def test_a_spoilt_file_of_keys_lets_nobody_in_and_is_written_anew(folders, publisher, key, name):
        [kit] = [kit for kit in TRIED if kit.name == name]
        publisher.publishes(key)
        forged = token(Key(key.kid))
        before = set(folders[name].glob("own-*"))
        with running_kit(kit, folders[name], publisher.address) as portal:
            assert portal.lets_in(token(key))
            [own] = set(folders[name].glob("own-*")) - before
            [file] = {*own.glob("*keys*")} - {*own.glob("*.lock")}
            for text in ("", "{", "null", "[]", "{}", "7", '{"keys": []}', '"keys"'):
                file.write_text(text)
                assert not portal.lets_in(forged), text
                file.write_text(text)
                assert portal.lets_in(token(key)), text

    def test_a_websocket_in_java_is_opened_with_an_assertion_only(key, tmp_path):
        asks = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        asks += ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",)
        with running_tomcat(tmp_path, bound=False) as portal:
            portal.publisher.publishes(key)
            tried = {one.name: one for one in attempts(key, "http://127.0.0.1:9", int(time.time()))}
            said = [
                portal.answer(dataclasses.replace(tried[name], path="/socket"), *asks)[0]
                for name in ("as the gateway makes it", "no field", "signed by another key of that name")
            ]
        assert said == [101, 403, 403]

    async def test_php_lets_whoever_comes_while_the_keys_are_asked_for_wait(key, tmp_path):
        with running_php_fpm(tmp_path, bound=False) as portal:
            good = attempts(key, "http://127.0.0.1:9", int(time.time()))[0]
            portal.publisher.publishes(key)
            said = await said_meanwhile(portal.publisher, lambda: portal.answer(good)[0])
            assert said == [200, 200]

    async def test_nginx_lets_whoever_comes_while_the_keys_are_asked_for_wait(folders, publisher, key):
        [nginx] = [kit for kit in TRIED if kit.name == "nginx"]
        publisher.publishes(key)
        before = set(folders["nginx"].glob("own-*"))
        with running_kit(nginx, folders["nginx"], publisher.address) as portal:
            assert not portal.lets_in("-")
            [own] = set(folders["nginx"].glob("own-*")) - before
            headers = [f"Test-Time: {NOW}", "Test-Bound: no", f"X-Auth-Assertion: {token(key)}"]
            said = await said_meanwhile(publisher, lambda: answer(own, "GET", "/placila", headers)[0])
        assert said == [200, 200]

    def test_nginx_passes_websockets_on_and_no_other_upgrade(folders, publisher, key):
        [nginx] = [kit for kit in TRIED if kit.name == "nginx"]
        publisher.publishes(key)
        before = set(folders["nginx"].glob("own-*"))
        with running_kit(nginx, folders["nginx"], publisher.address) as portal:
            assert portal.lets_in(token(key))
            [own] = set(folders["nginx"].glob("own-*")) - before
            headers = [f"Test-Time: {NOW}", "Test-Bound: no", f"X-Auth-Assertion: {token(key)}"]
            got = [
                answer(own, "GET", "/placila", [*headers, f"Upgrade: {protocol}"])[1].rpartition("\t")[2]
                for protocol in ("websocket", "h2c", "websocket, h2c")
            ]
        assert got == ["websocket", "", ""]

    async def said_meanwhile(publisher, ask):
        """The answers to a request that makes the kit ask for the keys, and to one that comes meanwhile."""
        publisher.answers.clear()
        try:
            first = asyncio.create_task(asyncio.to_thread(ask))
            await until(lambda: publisher.asked)
            second = asyncio.create_task(asyncio.to_thread(ask))
            await asyncio.wait([second], timeout=0.5)  # a kit that does not let it wait refuses it by now
        finally:
            publisher.answers.set()
        said = [await first, await second]
        assert len(publisher.asked) == 1
        return said

    async def test_nginx_writes_the_plain_headers_from_the_assertion_as_the_gateway_does(
        houses, folders, publisher
    ):
        [nginx] = [kit for kit in TRIED if kit.name == "nginx"]
        async with houses() as house:
            ana = await house.signed_in(ANA)
            publisher.body = (await Browser().request("GET", f"{house.acq}/.authproxy/jwks.json")).body
            told = await identity(ana, house)
            with running_kit(
                *(nginx, folders["nginx"], publisher.address),
                issuer=house.settings.assertions.issuer,
                origin=house.acq,
            ) as portal:
                [said] = portal.says([asked([told["assertion"]], at=int(house.clock().timestamp()))])
        names = ("subject", "name", "email", "tax-number", "method", "level", "roles", "step-up")
        assert said[0] == "ok"
        assert said[3:11] == [told[name] for name in names]
        assert len(set(told.values())) > 5  # not all of them are `-`

    @pytest.mark.parametrize("is_trusted", [True, False], ids=["its authority", "another authority"])
    async def test_nginx_fetches_keys_by_name_and_from_a_certificate_that_it_trusts(
        tmp_path, key, is_trusted
    ):
        [nginx] = [kit for kit in TRIED if kit.name == "nginx"]
        authority, other = trustme.CA(), trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("acq.example.si").configure_cert(tls)
        (authority if is_trusted else other).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        shutil.copytree(KITS / "nginx", folder := tmp_path / "kit")
        async with name_server(acq__example__si=["127.0.0.1"]) as names:
            conf = (folder / "portal.example.conf").read_text()
            for old, new in (
                ("resolver 127.0.0.53", f"resolver {names.address} ipv6=off"),
                ("/etc/ssl/certs/ca-certificates.crt", f"{tmp_path}/ca.pem"),
            ):
                assert old in conf
                conf = conf.replace(old, new)
            (folder / "portal.example.conf").write_text(conf)
            changed = dataclasses.replace(nginx, command=(*nginx.command[:2], str(folder)))
            with running_publisher(tls) as publisher:
                publisher.publishes(key)
                address = publisher.address.replace("127.0.0.1", "acq.example.si")
                with running_kit(changed, tmp_path, address) as portal:
                    assert await asyncio.to_thread(portal.lets_in, token(key)) is is_trusted
                assert (publisher.asked == ["/.authproxy/jwks.json"]) is is_trusted

    @pytest.mark.parametrize("bound", [False, True], ids=["for a minute", "for one request"])
    def test_the_file_for_apache_lets_in_what_it_says_and_nothing_else(key, bound):
        with tempfile.TemporaryDirectory() as folder, running_apache(Path(folder), bound=bound) as portal:
            portal.publisher.publishes(key)
            tried = attempts(key, f"https://127.0.0.1:{portal.publisher.port}/elsewhere", int(time.time()))
            tried = [
                one
                for one in tried
                if one.name not in NOT_LEFT_TO_CHANCE and (not bound or one.bound or not one.allowed)
            ]
            wrong = {one.name for one in tried if portal.lets_in(one) != one.allowed}
            unseen = {
                name for one in tried if (name := one.name) in NOT_SEEN_BY_APACHE or BOUND.fullmatch(name)
            }
            assert wrong == ({"another spelling of the path", "methods in a list"} if bound else unseen)
            assert set(portal.publisher.asked) == {"/.authproxy/jwks.json"}

    @pytest.mark.parametrize("bound", [False, True], ids=["for a minute", "for one request"])
    @pytest.mark.parametrize(
        ("running", "takes"),
        [
            pytest.param(running_tomcat, set(), id="Tomcat 9"),
            pytest.param(partial(running_tomcat, version=10), set(), id="Tomcat 10"),
            pytest.param(running_php_fpm, THE_LAST_OF_TWO_FIELDS, id="php-fpm"),
            pytest.param(running_aspnet, THE_LAST_OF_TWO_FIELDS, id="ASP.NET"),
        ],
    )
    def test_what_stands_before_every_page_of_a_portal_lets_nobody_else_in(
        running, takes, key, bound, tmp_path
    ):
        with running(tmp_path, bound=bound) as portal:
            portal.publisher.publishes(key)
            tried = attempts(key, f"http://127.0.0.1:{portal.publisher.port}/elsewhere", int(time.time()))
            tried = [one for one in tried if one.bound == bound and one.name not in A_SECOND_LATER]
            wrong = {
                one.name
                for one in tried
                if portal.lets_in(one) != (one.allowed or one.name in NOT_IN_HTTP | takes)
            }
            assert wrong == set()
            good = next(one for one in tried if one.allowed)
            assert portal.answer(good) == (200, "90342.KRZTQWMA 90342.KRZTQWMA true false")
            assert set(portal.publisher.asked) == {"/.authproxy/jwks.json"}
            refusals = [line for line in portal.log.splitlines() if "refused: " in line]
            assert len(refusals) > len(tried) / 2
            assert "eyJ" not in " ".join(refusals)

    def test_filter_and_module_compile_where_they_are_to_run(tmp_path):
        sources = sorted(str(file) for file in (KITS / "java").glob("*.java"))
        servlets = "/usr/share/java/servlet-api.jar"
        said_by(
            [
                "javac",
                "--release",
                "8",
                "-Xlint:-options",
                "-Werror",
                "-cp",
                servlets,
                "-d",
                str(tmp_path),
                *sources,
            ]
        )
        references = [f"-r:System.{name}" for name in ("Core", "Web", "Web.Extensions", "Configuration")]
        modules = sorted(str(file) for file in (KITS / "csharp").glob("*.cs"))
        said_by(
            [
                "mcs",
                "-langversion:5",
                "-warnaserror",
                "-target:library",
                *references,
                f"-out:{tmp_path}/m.dll",
                *modules,
            ]
        )


def test_the_gateway_says_what_the_set_of_attempts_says(key):
    """The good one of the set has a header as the gateway's signer writes it."""
    head = json.loads(base64.urlsafe_b64decode(token(key).split(".")[0] + "=="))
    assert head == {"typ": "JWT", "alg": "ES256", "kid": key.kid}
    assert (good_claims()["iss"], good_claims()["aud"]) == (ISSUER, AUDIENCE)

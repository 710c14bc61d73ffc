"""Programs that come in without a person, through a whole gateway: API keys from the command line, access
tokens of an issuer, what portal and operators learn of them, and what ends them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest
import websockets
from joserfc import jwt
from joserfc.jwk import KeySet
from support.hostile_provider import HostileProvider, rsa_jwk, rsa_key

from authproxy.bootstrap.machine_keys import add_machine_key, revoke_machine_key
from authproxy.identity.machine_client import key_id_of
from tests.support.gateway import TICKET
from tests.support.http_client import Browser
from tests.support.machine_builders import AUDIENCE, JWK, token
from tests.support.waiting import until

HERE = "/api/received"
"""Where the portal says what it has received."""
ROUTES = [
    {"path": HERE, "machines": {"tokens": True, "keys": True}},
    {"path": "/uvoz", "level": "30", "machines": {"keys": True, "scopes": ["payments"]}},
    {"path": "/izvoz", "machines": {"tokens": True, "scopes": ["payments", "reports"]}},
    {"path": "/zaprto", "access": "deny", "machines": {"tokens": True, "keys": True}},
    {"path": "/odprto", "access": "public"},
    {"path": "/pisarna", "networks": ["203.0.113.0/24"], "machines": {"keys": True}},
    {"path": "/strogo", "strict": True, "machines": {"keys": True}},
]


@pytest.fixture
async def issuer():
    async with HostileProvider(datetime.now().astimezone()) as made:
        made.jwks = [JWK]
        yield made


@pytest.fixture
def opened(houses, issuer):
    def enter(acq=None, sections=None, **more):
        machines = {"issuer": issuer.issuer, "audience": AUDIENCE, "jwks_url": f"{issuer.issuer}jwk"}
        return houses(
            acq={"routes": ROUTES} | (acq or {}), sections={"machines": machines} | (sections or {}), **more
        )

    return enter


async def key_of(house, client="uvoz", *, portals=("acq",), scopes=(), networks=(), lasts=timedelta(days=1)):
    issued = await add_machine_key(
        house.settings,
        client,
        portals=portals,
        scopes=scopes,
        networks=[ip_network(network) for network in networks],
        ends_at=house.clock() + lasts,
    )
    return house.keep_secret(issued.text)


def token_of(house, issuer, **changes):
    return house.keep_secret(token(now=house.clock(), iss=issuer.issuer, **changes))


async def ask(house, path=HERE, credential=None, *, portal="acq", **headers):
    given = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    return await Browser().request(
        "GET", getattr(house, portal) + path, headers=given | {"Accept": "*/*"} | headers
    )


def received(answer):
    assert answer.status == 200, answer.text
    found = {}
    for name, value in answer.json["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


def is_refused(answer, status, reason, error=None):
    assert (answer.status, answer.json["reason"]) == (status, reason), answer.text
    assert answer.header("content-type").startswith("application/problem+json")
    assert answer.all("set-cookie") == answer.all("location") == []
    challenge = answer.all("www-authenticate")
    assert challenge == ([] if error is None else [f'Bearer realm="acq", error="{error}"'])


async def test_a_portal_learns_which_program_it_is_and_gets_nothing_of_its_credential(opened, issuer):
    async with opened() as house:
        for credential in (await key_of(house, "batch"), token_of(house, issuer)):
            answer = await ask(
                house,
                HERE,
                credential,
                **{"X-Auth-Level": "30", "X-Auth-Subject": "ana", "X-Forwarded-User": "ana"},
            )
            assert answer.all("set-cookie") == []
            headers = received(answer)
            plain = {name: headers[f"x-auth-{name}"] for name in ("subject", "method", "level")}
            assert plain == {"subject": ["batch"], "method": ["machine"], "level": ["0"]}
            assert [headers[f"x-auth-{name}"] for name in ("name", "email", "tax-number", "step-up")] == [
                ["-"]
            ] * 4
            assert "authorization" not in headers
            assert credential not in answer.text
            keys = KeySet.import_key_set((await Browser().fetch(f"{house.acq}/.authproxy/jwks.json")).json)
            claims = jwt.decode(headers["x-auth-assertion"][0], keys, algorithms=["ES256"]).claims
            assert (claims["sub"], claims["client_id"], claims["aud"]) == ("batch", "batch", "acq")
            assert (claims["method"], claims["level"]) == ("machine", 0)
            assert not {"sid", "acr", "amr", "auth_time", "name", "step_up"} & claims.keys()


async def test_a_program_comes_in_where_a_person_would_need_a_level_and_a_proof_and_nowhere_else(
    opened, issuer
):
    async with opened() as house:
        key, made = await key_of(house, scopes=["payments"]), token_of(house, issuer)
        assert (await ask(house, "/uvoz", key)).status == 404  # the portal's own
        assert (await ask(house, "/izvoz", made)).status == 404
        for path, credential in (("/", key), ("/transakcije", made), ("/izvoz", key)):
            answer = await ask(house, path, credential)
            assert (answer.status, answer.json["reason"]) == (403, "machine_not_allowed_here"), path
            assert 'error="insufficient_scope"' in answer.header("www-authenticate")
        is_refused(await ask(house, "/zaprto", key), 403, "access_denied_here")
        is_refused(await ask(house, "/pisarna", key), 403, "network_not_allowed")


async def test_what_takes_api_keys_alone_leaves_other_tokens_to_the_portal(opened, issuer):
    """So a portal's own scripts may go on to use tokens of their own there."""
    async with opened() as house:
        answer = await ask(house, "/uvoz", token_of(house, issuer))
        assert (answer.status, answer.json["reason"]) == (401, "no_session")
        ana = await house.signed_in()
        own = {"Authorization": "Bearer of-the-portal"}
        page = await ana.browser.fetch(house.acq + "/strogo", headers=own)
        assert page.status == 404  # the portal's own


async def test_scopes_are_demanded_and_named(opened, issuer):
    async with opened() as house:
        answer = await ask(house, "/uvoz", await key_of(house))
        assert (answer.status, answer.json["reason"]) == (403, "machine_not_allowed_here")
        assert (
            answer.header("www-authenticate")
            == 'Bearer realm="acq", error="insufficient_scope", scope="payments"'
        )
        answer = await ask(house, "/izvoz", token_of(house, issuer, scope="payments"))
        assert (
            answer.header("www-authenticate")
            == 'Bearer realm="acq", error="insufficient_scope", scope="payments reports"'
        )


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_a_wrong_credential_is_a_problem_with_a_challenge_and_never_a_page_or_a_redirect(
    opened, issuer, accept
):
    async with opened() as house:
        key = await key_of(house)
        wrong = [
            key[:-1] + ("0" if key[-1] != "0" else "1"),
            key[:-1],
            "authproxy_",
            token_of(house, issuer, aud="https://other.example"),
            token_of(house, issuer, exp=int(house.clock().timestamp()) - 60),
            token_of(house, issuer, header={"alg": "none"}),
            token_of(house, issuer, key=rsa_key("thief")),
            token_of(house, issuer, header={"kid": "unknown"}),
            "opaque",
            f"{'a' * 100}.{'b' * 20_000}.{'c' * 100}",
        ]
        for credential in wrong:
            is_refused(
                await ask(house, HERE, credential, Accept=accept),
                401,
                "machine_token_invalid",
                "invalid_token",
            )
        for value in ("Bearer", f"Bearer {key} {key}", f"Bearer {key}, Bearer {key}"):
            answer = await ask(house, HERE, None, Authorization=value, Accept=accept)
            is_refused(answer, 401, "machine_token_invalid", "invalid_request")
        assert (await ask(house, HERE)).json["reason"] == "no_session"
        assert (await ask(house, HERE)).header("www-authenticate") == 'Bearer realm="acq"'


SPELLINGS = [
    (["Authorization: Bearer KEY"], 200),
    (["authorization:bearer KEY"], 200),
    (["Connection: authorization", "Authorization: Bearer KEY"], 200),
    (["Authorization: Bearer KEY", "AUTHORIZATION: Bearer KEY"], 401),
    (["Authorization: Bearer KEY", "Authorization:"], 401),
    (["Authorization: Basic YTpi", "Authorization: Bearer KEY"], 401),
    (["Authorization: Basic YTpi, Bearer KEY"], 401),
    (["Authorization: KEY"], 401),
    (["Authorization : Bearer KEY"], 400),
    (["Authorization: Bearer", " KEY"], 400),
    (["Proxy-Authorization: Bearer KEY"], 401),
    (["X-Authorization: Bearer KEY", "X-API-Key: KEY", "Cookie: __Host-authproxy=KEY"], 401),
]


async def test_one_spelling_lets_a_program_in_and_none_reaches_the_portal_with_its_key(opened):
    async with opened() as house:
        key, port = await key_of(house), house.ports["gateway"]
        for lines, status in SPELLINGS:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            sent = "".join(f"{line.replace('KEY', key)}\r\n" for line in lines)
            line = f"GET {HERE}?access_token={key} HTTP/1.1\r\nHost: acq.localhost:{port}\r\n"
            writer.write(f"{line}{sent}\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            assert int(head.split(b" ")[1]) == status, lines
            if status == 200:
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                received_headers = json.loads(await reader.readexactly(length))["headers"]
                assert key not in json.dumps(received_headers)
                assert "authorization" not in {name.lower() for name, _ in received_headers}
            writer.close()


async def test_a_request_of_a_person_and_of_a_program_at_once_is_refused(opened, issuer):
    async with opened() as house:
        ana = await house.signed_in()
        for credential in (await key_of(house), token_of(house, issuer), "anything"):
            answer = await ana.browser.fetch(
                house.acq + HERE, headers={"Authorization": f"Bearer {credential}"}
            )
            is_refused(answer, 401, "machine_token_invalid", "invalid_request")
        basic = {"Authorization": "Basic YTpi"}
        answer = await ana.browser.fetch(house.acq + HERE, headers=basic)
        assert received(answer)["authorization"] == ["Basic YTpi"]
        elsewhere = await ana.browser.fetch(
            house.acq + "/transakcije", headers={"Authorization": f"Bearer {await key_of(house)}"}
        )
        assert elsewhere.status == 200  # no route for programs: the header is the portal's business


async def test_no_portal_gets_a_key_with_which_nobody_came_in(opened):
    """It may open other portals, and many programs send it with every request."""
    async with opened(acq={"routes": [{"path": HERE, "access": "public"}, *ROUTES[1:]]}) as house:
        key, ana = await key_of(house, portals=["acq", "b2b"]), await house.signed_in()
        for fields in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"Basic {key}"}):
            for asking in (Browser(), ana.browser):
                answer = await asking.request("GET", house.acq + HERE, headers=fields)
                assert "authorization" not in received(answer)
        of_the_portal = await ask(house, HERE, "of.the.portal")
        assert received(of_the_portal)["authorization"] == ["Bearer of.the.portal"]


async def test_no_token_of_people_lets_a_program_in(opened, issuer):
    """An ID token, a person's access token, and our own assertion."""
    async with opened() as house:
        ana = await house.signed_in()
        own = received(await ana.browser.fetch(house.acq + HERE))["x-auth-assertion"][0]
        for stolen in (
            house.keep_secret(own),
            token_of(house, issuer, header={"typ": "JWT"}, sub="90342", nonce="n", at_hash="h"),
            token_of(house, issuer, sub="90342.KRZTQWMA"),
            token_of(house, issuer, cnf={"jkt": "x"}),
        ):
            is_refused(await ask(house, HERE, stolen), 401, "machine_token_invalid", "invalid_token")


async def test_a_program_never_has_a_session_nor_sees_a_persons_page(opened):
    async with opened() as house:
        key = await key_of(house)
        page = await ask(house, "/.authproxy/session", key, Accept="application/json")
        assert (page.status, page.json["reason"]) == (401, "no_session")
        browser = Browser()
        await browser.request("GET", house.acq + HERE, headers={"Authorization": f"Bearer {key}"})
        assert browser.cookies.get(house.acq, TICKET) is None


async def test_a_key_is_good_at_its_portals_from_its_networks_and_until_its_end(opened):
    async with opened() as house:
        elsewhere = await key_of(house, portals=["b2b"])
        answer = await ask(house, HERE, elsewhere)
        assert (answer.status, answer.json["reason"]) == (403, "machine_not_allowed_here")
        is_refused(
            await ask(house, HERE, await key_of(house, networks=["203.0.113.0/24"])),
            403,
            "network_not_allowed",
        )
        received(await ask(house, HERE, await key_of(house, networks=["203.0.113.0/24", "127.0.0.0/8"])))
        short = await key_of(house, lasts=timedelta(minutes=5))
        received(await ask(house, HERE, short))
        house.advance(minutes=5)
        is_refused(await ask(house, HERE, short), 401, "machine_token_invalid", "invalid_token")


async def test_a_portal_without_programs_judges_and_keeps_no_credential(opened, issuer):
    async with opened() as house:
        answer = await ask(house, HERE, await key_of(house, portals=["b2b"]), portal="b2b")
        assert (answer.status, answer.json["reason"]) == (401, "no_session")
        assert answer.header("www-authenticate") == 'Bearer realm="b2b"'


async def test_a_revoked_key_is_refused_at_once_on_every_instance(opened):
    async with opened() as house, house.second_gateway() as port:
        key = await key_of(house)

        async def ask_second():
            given = {"Authorization": f"Bearer {key}"}
            return await Browser().request("GET", house.acq + HERE, headers=given, port=port)

        for answer in (await ask(house, HERE, key), await ask_second()):
            received(answer)
        assert await revoke_machine_key(house.settings, key_id_of(key)) == 1

        async def is_over():
            return {(await ask(house, HERE, key)).status, (await ask_second()).status} == {401}

        await until(is_over)
        is_refused(await ask(house, HERE, key), 401, "machine_token_invalid", "invalid_token")


async def test_a_batch_costs_the_store_and_the_issuer_next_to_nothing(opened, issuer):
    async with opened() as house:
        key, made = await key_of(house), token_of(house, issuer)
        assertions = set()
        for _ in range(20):
            for credential in (key, made):
                assertions.add(received(await ask(house, HERE, credential))["x-auth-assertion"][0])
        assert issuer.hits["jwk"] == 1
        assert len(assertions) == 2  # one for each credential, not for each request
        house.advance(seconds=31)
        later = received(await ask(house, HERE, key))["x-auth-assertion"][0]
        assert later not in assertions


async def test_the_store_and_the_issuer_let_nobody_in_while_they_are_away(opened, issuer, redis_server):
    async with opened() as house:
        made = token_of(house, issuer)
        issuer.answer("jwk", {}, status=503)
        answer = await ask(house, HERE, made)
        assert (answer.status, answer.json["reason"]) == (503, "provider_unavailable")
        assert answer.header("retry-after") == "5"


async def test_a_replaced_signing_key_is_found(opened, issuer):
    async with opened() as house:
        received(await ask(house, HERE, token_of(house, issuer)))
        newer = rsa_key("newer machines")
        issuer.jwks = [rsa_jwk(newer, kid="m2", alg="RS256")]
        received(await ask(house, HERE, token_of(house, issuer, header={"kid": "m2"}, key=newer)))
        hits = issuer.hits["jwk"]
        for number in range(5):
            unknown = token_of(house, issuer, header={"kid": f"x{number}"})
            is_refused(await ask(house, HERE, unknown), 401, "machine_token_invalid", "invalid_token")
        assert issuer.hits["jwk"] == hits


async def test_operators_see_which_program_came_in_and_which_was_refused_without_its_credential(
    opened, issuer
):
    async with opened(keeps_log=True) as house:
        key, made = await key_of(house), token_of(house, issuer)
        for _ in range(3):
            for credential in (key, made):
                received(await ask(house, HERE, credential))
            await ask(house, HERE, key[:-2] + "00")
            await ask(house, "/uvoz", key)
        admitted, refused = house.events("machine.admitted"), house.events("machine.refused")
        assert [event["detail"] for event in admitted] == [
            f"uvoz, key {key_id_of(key)}",
            "batch, access token",
        ]
        assert {event["reason"] for event in refused} == {"machine_token_invalid", "machine_not_allowed_here"}
        assert len(refused) == 2
        assert all(event["request_id"] and event["client"] == "127.0.0.1" for event in (*admitted, *refused))
        assert {event["portal"] for event in (*admitted, *refused)} == {"acq"}

        def answered():
            house.gateway.outputs.flush()
            lines = map(json.loads, house.log.getvalue().splitlines())
            return [line for line in lines if line["event"] == "request.answered" and line["rule"]]

        await until(lambda: len(answered()) == 12)
        assert {line.get("machine") for line in answered()} == {"uvoz", "batch", None}
        assert {line["session"] for line in answered() if "machine" in line} == {None}
        house.nothing_has_leaked()
        assert (
            await house.metric('authproxy_machine_requests_total{credential="key",portal="acq",reason=""}')
            == 3
        )
        assert (await house.ready())["checks"]["machines"]["status"] == "ok"


async def test_wrong_credentials_of_one_address_are_limited_and_right_ones_go_on(opened):
    async with opened(environment={"AUTHPROXY__SERVER__LIMITS__PER_MINUTE__MACHINES": "3"}) as house:
        key = await key_of(house)
        received(await ask(house, HERE, key))
        statuses = [(await ask(house, HERE, f"wrong-{number}")).status for number in range(6)]
        assert statuses == [401, 401, 401, 429, 429, 429]
        answer = await ask(house, HERE, "wrong")
        assert (answer.json["reason"], answer.header("retry-after")) == ("too_many_requests", "60")
        received(await ask(house, HERE, key))


async def connected(house, credential):
    return await websockets.connect(
        f"ws://acq.localhost:{house.ports['gateway']}/ws",
        additional_headers={"Authorization": f"Bearer {credential}"},
        host="127.0.0.1",
    )


async def test_a_web_socket_of_a_program_ends_with_its_credential(opened, issuer):
    routes = [{"path": "/ws", "machines": {"tokens": True, "keys": True}}]
    async with opened(acq={"routes": routes}) as house:
        key, made = await key_of(house), token_of(house, issuer)
        by_key, by_token = await connected(house, key), await connected(house, made)
        for socket in (by_key, by_token):
            await socket.send("x")
            assert await asyncio.wait_for(socket.recv(), 30)
        await revoke_machine_key(house.settings, key_id_of(key))
        await asyncio.wait_for(by_key.wait_closed(), 30)
        assert by_key.close_code == 1008
        assert by_token.close_code is None
        house.advance(minutes=12)
        await asyncio.wait_for(by_token.wait_closed(), 30)
        assert by_token.close_code == 1008

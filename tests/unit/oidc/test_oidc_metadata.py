from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import web
from support.hostile_provider import CLIENT_ID, MODES, HostileProvider, rsa_jwk, rsa_key

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.oidc.exchange import client_session
from authproxy.oidc.metadata import KEY_SEARCHES, ProviderMetadata, read
from authproxy.oidc.relying_party import RelyingParty
from authproxy.oidc.wire import Unreadable
from tests.support.clock import Clock

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    return Clock(START)


@pytest.fixture
async def known(hostile, clock):
    relying_party = RelyingParty(issuer=hostile.issuer, client_id=CLIENT_ID, client_secret="s")
    async with client_session(None) as session:
        yield ProviderMetadata(relying_party, session, clock=clock)


NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint")
DONE_WITHOUT = ("revocation_endpoint", "introspection_endpoint", "pushed_authorization_request_endpoint")
ISSUER = "https://provider.example/"
DOCUMENT = {"issuer": ISSUER} | {name: f"{ISSUER}{name}" for name in (*NEEDED, *DONE_WITHOUT)}


@pytest.mark.parametrize("url", ["http://provider.example/x", "file:///etc/passwd", 7])
@pytest.mark.parametrize("name", [*NEEDED, *DONE_WITHOUT])
def test_an_endpoint_with_http_or_without_a_host_is_refused(name, url):
    document = DOCUMENT | {name: url}
    if name in NEEDED:
        with pytest.raises(Unreadable, match=f"{name} is no URL that may be used"):
            read(document, ISSUER)
    else:
        assert getattr(read(document, ISSUER), name) is None


async def test_a_document_with_an_error_status_is_refused(hostile, known):
    hostile.answer("openid-configuration", hostile.discovery, status=404)
    with pytest.raises(CannotAsk, match="404"):
        await known.current()


def heal(hostile: HostileProvider, endpoint: str) -> None:
    del hostile.handlers[endpoint]


def hold(hostile: HostileProvider, endpoint: str) -> asyncio.Event:
    """Lets the endpoint's first request wait until the event; later ones are answered at once."""
    arrived = asyncio.Event()

    async def handler(request):
        heal(hostile, endpoint)
        arrived.set()
        await hostile.released.wait()
        hostile.hits[endpoint] -= 1
        return await hostile._serve(request)

    hostile.on(endpoint, handler)
    return arrived


async def test_fifty_callers_cause_one_request(hostile, known):
    arrived = hold(hostile, "openid-configuration")
    async with asyncio.TaskGroup() as group:
        waiters = [group.create_task(known.current()) for _ in range(50)]
        await arrived.wait()
        hostile.released.set()

    assert hostile.hits["openid-configuration"] == 1
    assert {waiter.result().token_endpoint for waiter in waiters} == {f"{hostile.issuer}token"}


async def test_fifty_tokens_with_a_new_key_cause_one_request(hostile, known):
    await known.key("rsa1")
    hostile.jwks = [rsa_jwk(rsa_key("second"), kid="rsa2")]

    keys = await asyncio.gather(*(known.key("rsa2") for _ in range(50)))

    assert hostile.hits["jwk"] == 2
    assert all(key is not None for key in keys)


async def test_a_cancelled_caller_cancels_no_other(hostile, known):
    arrived = hold(hostile, "openid-configuration")
    async with asyncio.TaskGroup() as group:
        impatient = group.create_task(known.current())
        await arrived.wait()
        patient = [group.create_task(known.current()) for _ in range(5)]
        impatient.cancel()

    assert impatient.cancelled()
    assert {waiter.result().token_endpoint for waiter in patient} == {f"{hostile.issuer}token"}
    assert hostile.hits["openid-configuration"] == 2


async def test_metadata_is_asked_for_again_after_an_hour(hostile, known, clock):
    await known.current()
    clock.advance(minutes=59)
    await known.current()
    assert hostile.hits["openid-configuration"] == 1

    clock.advance(minutes=2)
    hostile.discovery["token_endpoint"] = f"{hostile.issuer}new-token"
    assert (await known.current()).token_endpoint == f"{hostile.issuer}new-token"


async def test_a_clock_that_goes_back_extends_neither_freshness_nor_cool_down(hostile, known, clock):
    await known.current()
    clock.advance(days=-1)
    await known.current()
    assert hostile.hits["openid-configuration"] == 2

    MODES["discovery HTML"](hostile)
    clock.advance(hours=2)
    await known.current()
    clock.advance(minutes=-1)
    heal(hostile, "openid-configuration")
    await known.current()
    assert hostile.hits["openid-configuration"] == 4


@pytest.mark.parametrize(
    "failure",
    ["discovery HTML", "discovery elsewhere", "discovery without end", "discovery of another issuer"],
)
async def test_what_was_known_stays_known_while_the_provider_fails(hostile, known, clock, failure):
    before = await known.current()
    MODES[failure](hostile)
    clock.advance(days=3)

    assert await known.current() == before
    assert known.metadata.failure is not None


async def test_while_one_caller_asks_the_others_use_the_old_value(hostile, known, clock):
    before = await known.current()
    clock.advance(hours=2)
    arrived = hold(hostile, "openid-configuration")
    async with asyncio.TaskGroup() as group:
        first = group.create_task(known.current())
        await arrived.wait()
        assert await known.current() == before
        assert not first.done()
        hostile.released.set()


async def test_a_dead_provider_is_asked_once_in_five_seconds(hostile, known, clock):
    MODES["discovery HTML"](hostile)
    for _ in range(10):
        with pytest.raises(CannotAsk, match="something other than JSON") as refusal:
            await known.current()
        assert refusal.value.reason == Reason.PROVIDER_UNAVAILABLE
    assert hostile.hits["openid-configuration"] == 1

    clock.advance(seconds=5)
    heal(hostile, "openid-configuration")
    assert (await known.current()).userinfo_endpoint == f"{hostile.issuer}userinfo"


async def test_a_key_that_was_rotated_between_two_sign_ins_is_found(hostile, known, clock):
    assert await known.key("rsa1") is not None
    hostile.jwks = [rsa_jwk(rsa_key("second"), kid="rsa2")]

    assert await known.key("rsa2") is not None
    assert await known.key("rsa1") is None


async def test_an_unknown_key_cannot_be_judged_while_the_keys_cannot_be_asked_for(hostile, known):
    await known.key("rsa1")
    MODES["keys HTML"](hostile)

    for _ in range(3):
        with pytest.raises(CannotAsk):
            await known.key("rsa2")
    assert await known.key("rsa1") is not None
    assert hostile.hits["jwk"] == 1 + KEY_SEARCHES


async def test_withdrawn_keys_are_not_used_after_the_next_fetch(hostile, known, clock):
    await known.key("rsa1")
    hostile.jwks = []
    clock.advance(hours=1)

    assert await known.key("rsa1") is None


async def test_refresh_fetches_in_advance_and_never_raises(hostile, known, clock):
    await known.refresh()
    await known.refresh()
    assert (hostile.hits["openid-configuration"], hostile.hits["jwk"]) == (2, 2)

    MODES["discovery HTML"](hostile)
    MODES["keys HTML"](hostile)
    await known.refresh()

    assert "discovery document" in (known.metadata.failure or "")
    assert "JWK set" in (known.keys.failure or "")
    assert await known.key("rsa1") is not None


async def test_a_refresh_just_before_a_rotation_hides_no_key(hostile, known):
    await known.refresh()
    hostile.jwks = [rsa_jwk(rsa_key("second"), kid="rsa2")]

    assert await known.key("rsa2") is not None


@pytest.mark.parametrize("announcement", [..., False, "true", 1, None])
async def test_only_true_announces_the_issuer_in_responses(hostile, known, announcement):
    hostile.discovery["authorization_response_iss_parameter_supported"] = announcement

    assert not (await known.current()).announces_issuer


async def test_the_slash_of_the_issuer_is_removed_only_for_the_url_of_the_document(hostile, known):
    assert (await known.current()).jwks_uri == f"{hostile.issuer}jwk"

    assert hostile.paths == ["/op/.well-known/openid-configuration"]


async def test_documents_are_asked_for_uncompressed_and_without_cookies(hostile, known):
    await known.key("rsa1")

    for _, headers, _ in hostile.requests:
        assert headers["Accept-Encoding"] == "identity"
        assert "Cookie" not in headers


async def test_unsolicited_tokens_cause_a_search_for_their_key_once_a_minute(hostile, known, clock):
    for _ in range(5):
        assert await known.key_for_unsolicited("forged") is None
    assert hostile.hits["jwk"] == 2  # one to have keys at all, one search
    clock.advance(seconds=60)
    assert await known.key_for_unsolicited("forged") is None
    assert hostile.hits["jwk"] == 3


async def test_unsolicited_tokens_do_not_use_up_the_searches_of_sign_ins(hostile, known):
    assert await known.key_for_unsolicited("forged") is None
    hostile.jwks = [rsa_jwk(rsa_key("second"), kid="rsa2")]
    assert (await known.key("rsa2")).key_id == "rsa2"


async def test_a_key_that_an_unsolicited_token_brought_is_there_for_everybody(hostile, known):
    assert (await known.key("rsa1")).key_id == "rsa1"
    hostile.jwks = [rsa_jwk(rsa_key("second"), kid="rsa2")]
    assert (await known.key_for_unsolicited("rsa2")).key_id == "rsa2"
    assert (await known.key("rsa2")).key_id == "rsa2"
    assert hostile.hits["jwk"] == 2


async def test_without_keys_an_unsolicited_token_is_not_judged(hostile, known, clock):
    assert (await known.key_for_unsolicited("rsa1")).key_id == "rsa1"
    hostile.always("jwk", status=503)
    for _ in range(2):
        with pytest.raises(CannotAsk):
            await known.key_for_unsolicited("rsa2")
    assert (await known.key_for_unsolicited("rsa1")).key_id == "rsa1"
    heal(hostile, "jwk")
    hostile.jwks = [rsa_jwk(rsa_key("second"), kid="rsa2")]
    clock.advance(seconds=60)
    assert (await known.key_for_unsolicited("rsa2")).key_id == "rsa2"


def fail(hostile: HostileProvider, endpoint: str, times: int) -> None:
    """Lets the endpoint fail so often, and answer after that."""
    left = [times]

    async def handler(request):
        left[0] -= 1
        if left[0] <= 0:
            heal(hostile, endpoint)
        return web.Response(status=503)

    hostile.on(endpoint, handler)


def rotate(hostile: HostileProvider, name: str) -> None:
    hostile.jwks = [rsa_jwk(rsa_key("second"), kid=name)]


async def test_five_rotations_within_a_minute_fail_no_sign_in(hostile, known):
    await known.key("rsa1")
    for name in ("b", "c", "d", "e", "f"):
        rotate(hostile, name)
        assert (await known.key(name)).key_id == name


async def test_searches_come_back_one_by_one(hostile, known, clock):
    await known.key("rsa1")
    for _ in range(20):
        assert await known.key("nobody's") is None
    assert hostile.hits["jwk"] == 1 + KEY_SEARCHES

    clock.advance(seconds=9)
    assert await known.key("nobody's") is None
    assert hostile.hits["jwk"] == 1 + KEY_SEARCHES

    clock.advance(seconds=1)
    rotate(hostile, "rsa2")
    assert (await known.key("rsa2")).key_id == "rsa2"
    clock.advance(minutes=50)
    for _ in range(20):
        assert await known.key("nobody's") is None
    assert hostile.hits["jwk"] == 2 + 2 * KEY_SEARCHES


async def test_a_clock_that_goes_back_brings_no_search(hostile, known, clock):
    await known.key("rsa1")
    for _ in range(KEY_SEARCHES):
        await known.key("nobody's")
    clock.advance(seconds=-60)
    await known.key("nobody's")
    assert (
        hostile.hits["jwk"] == 1 + KEY_SEARCHES + 1
    )  # what was asked for later than now is not known to be fresh
    await known.key("nobody's")
    assert hostile.hits["jwk"] == 1 + KEY_SEARCHES + 1


async def test_a_key_that_is_made_while_another_search_is_under_way_is_found_too(hostile, known):
    """The provider's answer to the first search is older than the second token's key."""
    await known.key("rsa1")
    rotate(hostile, "rsa2")
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def handler(request):
        heal(hostile, "jwk")
        stale = {"keys": list(hostile.jwks)}
        arrived.set()
        await go_on.wait()
        return web.json_response(stale)

    hostile.on("jwk", handler)
    async with asyncio.TaskGroup() as group:
        early = group.create_task(known.key("rsa2"))
        await arrived.wait()
        rotate(hostile, "rsa3")
        late = group.create_task(known.key("rsa3"))
        await asyncio.sleep(0)
        go_on.set()
    assert (early.result().key_id, late.result().key_id) == ("rsa2", "rsa3")


@pytest.mark.parametrize("times", [1, 2])
async def test_a_search_that_fails_is_tried_again(hostile, known, times):
    await known.key("rsa1")
    rotate(hostile, "rsa2")
    fail(hostile, "jwk", times)
    assert (await known.key("rsa2")).key_id == "rsa2"


@pytest.mark.parametrize("times", [1, 2])
async def test_keys_are_asked_for_again_before_a_code_is_redeemed_even_after_a_recent_failure(
    hostile, known, times
):
    hostile.always("jwk", status=503)
    await known.refresh()
    fail(hostile, "jwk", times)
    await known.have_keys()
    assert (await known.key("rsa1")).key_id == "rsa1"


async def test_fifty_callers_that_wait_for_missing_keys_cause_three_requests(hostile, known):
    hostile.always("jwk", status=503)
    ends = await asyncio.gather(*(known.have_keys() for _ in range(50)), return_exceptions=True)
    assert {type(end) for end in ends} == {CannotAsk}
    assert hostile.hits["jwk"] == 3

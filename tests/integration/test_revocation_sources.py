"""Lists and responders over HTTP: good ones, silent ones, slow ones, lying ones; and OpenSSL's."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import ssl
import subprocess
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp as wire

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.certificates.addresses import SourceAddress, SourceAddresses
from authproxy.certificates.fetching import Fetcher, FetchLimits, NoAnswer, client_session, is_public
from authproxy.certificates.presentation import Presented
from authproxy.certificates.profiles import Profile
from authproxy.certificates.revocation import RevocationRules, RevocationSources
from authproxy.certificates.status import Good, IssuedCertificate, RevocationMode, Revoked, StatusSource
from authproxy.certificates.validator import CertificateValidator
from authproxy.certificates.verdict import Validated
from tests.support.certificate_builder import NOW, Authority, at, der, lists_at, partition, pem, responder_at
from tests.support.clock import Clock
from tests.support.ports import free_port
from tests.support.waiting import until

HOST = "http://status.example.si"
LIST, ANSWERS = f"{HOST}/sub.crl", f"{HOST}/ocsp"
ROOT = Authority.root()
SUB = ROOT.authority(lists=lists_at(f"{HOST}/root.crl"))
ANA = SUB.person(lists=lists_at(LIST), responder=responder_at(ANSWERS))
BOR = SUB.person(lists=lists_at(LIST))
LIMITS = FetchLimits(timeout=timedelta(seconds=5), octets=1000)


class Authorities:
    """What an authority's host answers: `answers` by path, octets or a handler; what is not there is 404."""

    def __init__(self):
        self.port, self.answers, self.asked = free_port(), {}, []
        self._runner = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self):
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def _answer(self, request):
        self.asked.append(request.path)
        answer = self.answers.get(request.path)
        if answer is None:
            return web.Response(status=404)
        return web.Response(body=answer) if isinstance(answer, bytes) else await answer(request)

    def publish(self, path, made, encoding=Encoding.DER):
        self.answers[path] = made.public_bytes(encoding)

    def respond(self, certificate=ANA, *, signer=SUB, nonce=None, **changes):
        """Answers every question about the certificate, with the nonce that was sent unless another is
        given."""

        async def answer(request):
            assert (request.method, request.content_type) == ("POST", "application/ocsp-request")
            asked = wire.load_der_ocsp_request(await request.read())
            sent = asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
            return web.Response(
                body=signer.answer(certificate, nonce=sent if nonce is None else nonce or None, **changes)
            )

        self.answers["/ocsp"] = answer


class Shared:
    """What instances share; away on demand."""

    def __init__(self):
        self.kept, self.is_away = {}, False

    async def get(self, key):
        self._check()
        return self.kept.get(key, (None,))[0]

    async def put(self, key, value, lives_for):
        self._check()
        self.kept[key] = value, lives_for

    def _check(self):
        if self.is_away:
            raise CannotAsk(Reason.STORE_UNAVAILABLE, "away")


@pytest.fixture
async def host():
    async with Authorities() as authorities:
        authorities.publish("/root.crl", ROOT.crl())
        yield authorities


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def shared():
    return Shared()


@pytest.fixture
async def sources(host, clock, shared):
    """Makes sources of revocation that ask `host` for what certificates name at its public name."""
    async with AsyncExitStack() as resources:

        async def make(*, addresses=None, fresh=secrets.token_bytes, **rules):
            named = await resources.enter_async_context(client_session(public_only=False))
            public = await resources.enter_async_context(client_session(public_only=True))
            stated = {"ocsp_timeout": timedelta(seconds=5), "list_timeout": timedelta(seconds=5)} | rules
            return RevocationSources(
                RevocationRules(addresses=addresses or SourceAddresses(moved={HOST: host.url}), **stated),
                Fetcher(named=named, public=public),
                shared,
                authorities=(SUB.certificate, ROOT.certificate),
                clock=clock,
                random_bytes=fresh,
            )

        yield make


def about(certificate=ANA, issuer=SUB):
    return IssuedCertificate(certificate=certificate, issuer=issuer.certificate)


async def said(sources, subject=None, *, now=NOW, **more):
    return await sources.status(subject or about(), now=now, **more)


async def failure_of(sources, subject=None, *, now=NOW):
    with pytest.raises(CannotAsk) as raised:
        await said(sources, subject, now=now)
    assert raised.value.reason is Reason.REVOCATION_UNAVAILABLE
    return str(raised.value)


# What good sources say


async def test_a_responder_says_good_and_is_not_asked_again_for_a_while(sources, host, clock):
    host.respond(next_update=at(1))
    ours = await sources()
    assert (await said(ours)).source is StatusSource.OCSP
    clock.now = at(seconds=299)
    assert isinstance(await said(ours, now=clock.now), Good)
    assert host.asked.count("/ocsp") == 1
    clock.now = at(seconds=300)
    await said(ours, now=clock.now)
    assert host.asked.count("/ocsp") == 2


async def test_a_responder_says_revoked(sources, host):
    host.respond(signer=SUB.responder(), issuer=SUB, status=wire.OCSPCertStatus.REVOKED)
    assert await said(await sources()) == Revoked(source=StatusSource.OCSP, at=at(-1), reason="keyCompromise")


async def test_a_list_says_good_and_is_fetched_once(sources, host):
    host.publish("/sub.crl", SUB.crl())
    ours = await sources()
    for _ in range(3):
        assert (await said(ours, about(BOR))).source is StatusSource.CRL
    assert host.asked == ["/sub.crl"]


async def test_a_list_in_pem_is_read(sources, host):
    host.publish("/sub.crl", SUB.crl(BOR), Encoding.PEM)
    assert isinstance(await said(await sources(), about(BOR)), Revoked)


async def test_many_who_wait_for_a_list_make_one_question(sources, host):
    host.publish("/sub.crl", SUB.crl())
    ours = await sources()
    found = await asyncio.gather(*(said(ours, about(BOR)) for _ in range(20)))
    assert {type(each) for each in found} == {Good}
    assert host.asked == ["/sub.crl"]


async def test_whoever_says_revoked_decides(sources, host):
    host.publish("/sub.crl", SUB.crl(ANA))
    host.respond()
    ours = await sources()
    assert isinstance(await said(ours), Good)  # the list is not at hand yet
    assert isinstance(await said(ours, about(BOR)), Good)
    assert (await said(ours)).source is StatusSource.CRL
    assert isinstance(await said(ours), Revoked)


async def test_a_stapled_answer_does_without_asking(sources, host):
    ours = await sources()
    assert (await said(ours, stapled=SUB.answer(ANA))).source is StatusSource.STAPLED
    assert isinstance(await said(ours, stapled=SUB.answer(ANA, status=wire.OCSPCertStatus.REVOKED)), Revoked)
    assert host.asked == []


async def test_a_stapled_answer_that_is_worthless_is_not_missed(sources, host):
    host.respond()
    assert (await said(await sources(), stapled=SUB.answer(BOR))).source is StatusSource.OCSP


async def test_authorities_are_asked_about_too(sources, host):
    host.publish("/root.crl", ROOT.crl(SUB.certificate))
    assert isinstance(await said(await sources(), about(SUB.certificate, ROOT)), Revoked)


async def test_the_operators_responder_and_lists_do_where_certificates_name_none(sources, host):
    nameless = SUB.person()
    host.publish("/all.crl", SUB.crl())
    ours = await sources(addresses=SourceAddresses(crl_urls=(f"{host.url}/all.crl",)))
    assert (await said(ours, about(nameless))).source is StatusSource.CRL
    host.respond(nameless)
    ours = await sources(addresses=SourceAddresses(ocsp_url=f"{host.url}/ocsp"))
    assert (await said(ours, about(nameless))).source is StatusSource.OCSP


# What bad ones say


async def redirecting(request):
    raise web.HTTPFound("/elsewhere")


async def compressed(request):
    return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})


async def huge(request):
    return web.Response(body=bytes(70_000))


async def silent(request):
    await asyncio.Event().wait()


async def dripping(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"0")
    await asyncio.Event().wait()


async def failing(request):
    return web.Response(status=503)


def _patience(how):
    """Short only where nothing else ends the question."""
    return timedelta(seconds=0.3 if how in (silent, dripping) else 15)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        (redirecting, "answered 302"),
        (compressed, "encoding"),
        (huge, "more than"),
        (silent, "no answer within"),
        (dripping, "no answer within"),
        (failing, "answered 503"),
        (b"garbage", "not an answer"),
        (SUB.answer(BOR), "another certificate"),
        (SUB.answer(ANA, this_update=at(-2), next_update=at(-1)), "too old"),
        (SUB.answer(ANA, this_update=at(seconds=-60), next_update=at(seconds=-1)), "out of date"),
        (SUB.answer(ANA, status=wire.OCSPCertStatus.UNKNOWN), "does not know"),
        (Authority.root().authority().answer(ANA, by_name=True), "another certificate|signed the answer"),
    ],
)
async def test_a_responder_that_does_not_answer_properly_says_nothing(sources, host, how, word):
    host.answers["/ocsp"] = how
    ours = await sources(ocsp_timeout=_patience(how))
    failure = await failure_of(ours)
    assert any(part in failure for part in word.split("|"))
    host.publish("/sub.crl", SUB.crl())
    late = NOW + timedelta(seconds=31)
    assert (await said(ours, now=late)).source is StatusSource.CRL


@pytest.mark.parametrize(
    ("how", "word"),
    [
        (redirecting, "answered 302"),
        (compressed, "encoding"),
        (huge, "more than"),
        (silent, "no answer within"),
        (b"garbage", "not a list"),
        (ROOT.crl().public_bytes(Encoding.DER), "another issuer"),
        (SUB.crl(next_update=at(seconds=-1)).public_bytes(Encoding.DER), "out of date"),
        (
            SUB.crl(point=partition(x509.UniformResourceIdentifier(f"{HOST}/2.crl"))).public_bytes(
                Encoding.DER
            ),
            "partition",
        ),
        (SUB.crl(others=((x509.DeltaCRLIndicator(1), True),)).public_bytes(Encoding.DER), "delta"),
    ],
)
async def test_a_list_that_cannot_be_believed_says_nothing(sources, host, how, word):
    host.answers["/sub.crl"] = how
    assert word in await failure_of(
        await sources(list_timeout=_patience(how), largest_list=60_000), about(BOR)
    )


PARTIAL = {
    "delta": {"others": ((x509.DeltaCRLIndicator(1), True),)},
    "some reasons": {"point": partition(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))},
}


@pytest.mark.parametrize("kind", PARTIAL)
async def test_whom_a_list_names_that_does_not_name_all_is_revoked_even_while_the_rest_is_let_pass(
    sources, host, kind
):
    host.publish("/sub.crl", SUB.crl(BOR, **PARTIAL[kind]))
    ours = await sources()
    validator = CertificateValidator(
        Profile(anchors=(ROOT.certificate,), intermediates=(SUB.certificate,)), ours
    )
    try:
        for _ in range(2):  # once with the list asked for on the spot, once with it at hand
            refused = await validator.validate(Presented(leaf=der(BOR)), now=NOW, mode=RevocationMode.ALARM)
            assert refused.reason is Reason.CERTIFICATE_REVOKED
        admitted = await validator.validate(Presented(leaf=der(ANA)), now=NOW, mode=RevocationMode.ALARM)
        assert kind in admitted.unchecked
    finally:
        validator.close()


def losing(times, then):
    """Ends so many connections without a word, and answers afterwards."""
    left = [times]

    async def answer(request):
        if left[0]:
            left[0] -= 1
            request.transport.abort()
            await asyncio.Event().wait()
        return await then(request)

    return answer


async def test_one_lost_connection_keeps_nobody_out(sources, host):
    host.respond()
    host.answers["/ocsp"] = losing(1, host.answers["/ocsp"])
    ours = await sources()
    assert isinstance(await said(ours), Good)
    assert [each.failure for each in ours.freshness(NOW) if each.source is StatusSource.OCSP] == [None]


async def test_a_responder_that_is_back_after_a_second_is_asked_by_one_and_then_by_all(sources, host, clock):
    host.respond()
    host.answers["/ocsp"] = losing(2, host.answers["/ocsp"])
    ours = await sources(ocsp_fresh_for=timedelta(0))
    assert "could not be asked" in await failure_of(ours)
    assert "a moment ago" in await failure_of(ours)
    asked = host.asked.count("/ocsp")
    clock.now = at(seconds=1.1)
    found = await asyncio.gather(*(said(ours, now=clock.now) for _ in range(5)))
    assert {type(each) for each in found} == {Good}
    assert (asked, host.asked.count("/ocsp")) == (2, 7)


async def test_a_responder_that_stays_away_is_asked_once_by_all_who_wait(sources, host, clock):
    host.answers["/ocsp"] = failing
    ours = await sources()
    await failure_of(ours)
    clock.now = at(seconds=1.1)
    await asyncio.gather(*(failure_of(ours, now=clock.now) for _ in range(5)))
    assert host.asked.count("/ocsp") == 2
    clock.now = at(seconds=2.2)  # two seconds are not over yet
    await failure_of(ours, now=clock.now)
    assert host.asked.count("/ocsp") == 2


async def test_a_certificate_about_which_nobody_may_be_asked_is_remembered(sources):
    ours = await sources(addresses=SourceAddresses(allowed_hosts=frozenset({"other.example.si"})))
    assert f"(addresses in the certificate: {ANSWERS}, {LIST})" in await failure_of(ours)
    assert ours.nobody_to_ask_at == NOW


async def test_nobody_there_says_nothing(sources):
    gone = f"http://127.0.0.1:{free_port()}"
    ours = await sources(addresses=SourceAddresses(moved={HOST: gone}))
    assert "could not be asked" in await failure_of(ours)


async def test_a_forged_nonce_says_nothing(sources, host):
    host.respond(nonce=bytes(32))
    assert "nonce" in await failure_of(await sources())


async def test_a_nonce_may_be_demanded(sources, host):
    host.respond(nonce=b"")
    assert "no nonce" in await failure_of(await sources(ocsp_requires_nonce=True))
    assert isinstance(await said(await sources()), Good)


async def test_a_question_takes_no_longer_than_patience_lasts(sources, host):
    host.answers["/ocsp"] = host.answers["/sub.crl"] = silent
    assert "nothing found out" in await failure_of(await sources(patience=timedelta(seconds=0.3)))


async def test_who_has_just_failed_is_left_alone_for_a_moment(sources, host, clock):
    host.answers["/ocsp"] = failing
    ours = await sources()
    for seconds in (0, 29, 30):
        clock.now = at(seconds=seconds)
        await failure_of(ours, now=clock.now)
    assert host.asked == ["/ocsp", "/sub.crl", "/ocsp", "/sub.crl"]


async def test_no_more_answers_are_kept_than_the_rules_say(sources, host):
    ours = await sources(answers_at_most=1)
    host.respond()
    await said(ours)
    host.respond(BOR)
    elsewhere = SUB.person(serial=BOR.serial_number, responder=responder_at(ANSWERS))
    await said(ours, about(elsewhere))
    host.respond()
    await said(ours)
    assert host.asked.count("/ocsp") == 2  # the third comes from the store


# While sources are away


async def test_the_last_answer_does_while_the_responder_is_away_until_it_ends(sources, host, clock):
    host.respond(this_update=NOW, next_update=at(5))
    ours = await sources()
    await said(ours)
    host.answers.clear()
    clock.now = at(seconds=8 * 3600)
    assert (await said(ours, now=clock.now)).this_update == NOW
    clock.now = at(seconds=8 * 3600 + 1)
    await failure_of(ours, now=clock.now)


async def test_an_answer_that_says_revoked_undoes_the_last_one(sources, host, clock):
    host.respond()
    ours = await sources()
    await said(ours)
    host.respond(status=wire.OCSPCertStatus.REVOKED)
    clock.now = at(seconds=301)
    assert isinstance(await said(ours, now=clock.now), Revoked)
    host.answers.clear()
    for each in (ours, await sources()):
        clock.now += timedelta(seconds=301)
        assert isinstance(await said(each, now=clock.now), Revoked)
    host.respond(this_update=clock.now, next_update=at(1))
    clock.now += timedelta(seconds=31)
    assert isinstance(await said(ours, now=clock.now), Good)  # it had been on hold


async def test_an_old_list_does_as_long_as_the_operator_says(sources, host, clock):
    host.publish("/sub.crl", SUB.crl(next_update=at(0.01)))
    ours = await sources(max_stale=timedelta(hours=1))
    await said(ours, about(BOR))
    host.answers.clear()
    clock.now = at(0.01) + timedelta(hours=1)
    assert (await said(ours, about(BOR), now=clock.now)).is_stale
    clock.now += timedelta(seconds=1)
    await failure_of(ours, about(BOR), now=clock.now)


async def test_a_list_is_fetched_ahead_of_need(sources, host, clock):
    host.publish("/sub.crl", SUB.crl(next_update=at(seconds=3600)))
    ours = await sources()
    await said(ours, about(BOR))
    await ours.refresh()
    asked = host.asked.count("/sub.crl")
    clock.now = at(seconds=1800)  # half of its time: due by now, whatever the jitter
    host.publish("/sub.crl", SUB.crl(BOR, this_update=at(seconds=1700), next_update=at(1), number=2))
    await ours.refresh()
    assert host.asked.count("/sub.crl") == asked + 1
    assert isinstance(await said(ours, about(BOR), now=clock.now), Revoked)


async def test_the_authorities_own_lists_are_there_before_anybody_signs_in(sources, host):
    ours = await sources()
    await ours.refresh()
    assert host.asked == ["/root.crl"]
    host.answers.clear()
    assert isinstance(await said(ours, about(SUB.certificate, ROOT)), Good)


async def test_instances_do_not_ask_at_the_same_time(sources, host, clock):
    # The random octets decide when, between three quarters of an hour and a whole one.
    ours = [await sources(fresh=bytes([number]).__mul__) for number in (0, 85, 170, 255)]
    for each in ours:
        await each.refresh()
    asked = []
    for minutes in (44, 46, 51, 56, 60):
        clock.now, before = at(seconds=60 * minutes), len(host.asked)
        for each in ours:
            await each.refresh()
        asked.append(len(host.asked) - before)
    assert asked == [0, 1, 1, 1, 1]


async def test_a_list_is_not_exchanged_for_an_older_one(sources, host, clock):
    host.publish("/sub.crl", SUB.crl(BOR, this_update=at(seconds=-30), next_update=at(seconds=60)))
    ours = await sources()
    assert isinstance(await said(ours, about(BOR)), Revoked)
    host.publish("/sub.crl", SUB.crl(this_update=at(seconds=-31), next_update=at(9)))
    clock.now = at(seconds=61)
    await ours.refresh()
    assert host.asked.count("/sub.crl") == 2
    assert isinstance(await said(ours, about(BOR), now=clock.now), Revoked)


async def test_a_refresh_that_fails_is_tried_again_and_told_of(sources, host, clock):
    host.answers.clear()
    ours = await sources()
    await ours.refresh()
    (only,) = ours.freshness(NOW)
    assert (only.source, only.is_usable, only.answered_at, only.failure) == (
        StatusSource.CRL,
        False,
        None,
        "answered 404",
    )
    host.publish("/root.crl", ROOT.crl(next_update=at(1)))
    clock.now = at(seconds=60)
    await ours.refresh()
    (only,) = ours.freshness(clock.now)
    assert (only.is_usable, only.answered_at, only.next_update, only.failure) == (
        True,
        clock.now,
        at(1),
        None,
    )
    assert not ours.freshness(at(2))[0].is_usable


async def test_freshness_tells_of_responders(sources, host, clock):
    host.respond()
    ours = await sources()
    await said(ours)
    found = {each.address: each for each in ours.freshness(NOW)}
    assert found[f"{host.url}/ocsp"].is_usable
    assert found[f"{host.url}/ocsp"].answered_at == NOW
    host.answers["/ocsp"] = failing
    host.publish("/sub.crl", SUB.crl())
    clock.now = at(seconds=301)
    await said(ours, now=clock.now)
    responder = {each.address: each for each in ours.freshness(NOW)}[f"{host.url}/ocsp"]
    assert (responder.is_usable, responder.failure) == (False, "answered 503")


async def test_the_background_task_keeps_lists(sources, host):
    ours = await sources()
    running = asyncio.ensure_future(ours.run())
    await until(lambda: ours.freshness(NOW)[0].is_usable, within=10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


# What instances share


async def test_what_one_instance_knows_another_need_not_ask(sources, host):
    host.respond(this_update=NOW)
    host.publish("/sub.crl", SUB.crl())
    one, other = await sources(), await sources()
    await said(one)
    await said(one, about(BOR))
    host.answers.clear()
    assert (await said(other)).source is StatusSource.OCSP
    assert (await said(other, about(BOR))).source is StatusSource.CRL


async def test_what_the_store_holds_is_examined(sources, host, shared):
    host.respond(this_update=NOW)
    host.publish("/sub.crl", SUB.crl())
    one, other = await sources(), await sources()
    await said(one)
    await said(one, about(BOR))
    host.answers.clear()
    forged = Authority.root().authority()
    for key in shared.kept:
        shared.kept[key] = (
            (forged.answer(ANA) if key.startswith("ocsp:") else forged.crl().public_bytes(Encoding.DER)),
            timedelta(1),
        )
    await failure_of(other)
    await failure_of(other, about(BOR))


async def test_what_is_shared_ends_when_it_stops_being_believed_and_names_nobody(sources, host, shared):
    host.respond(this_update=NOW, next_update=at(5))
    host.publish("/sub.crl", SUB.crl(next_update=at(3)))
    ours = await sources(max_stale=timedelta(hours=1))
    await said(ours)
    await said(ours, about(BOR))
    assert {key.partition(":")[0]: lives_for for key, (_, lives_for) in shared.kept.items()} == {
        "ocsp": timedelta(hours=8),
        "crl": timedelta(days=3, hours=1),
    }
    assert not any(str(ANA.serial_number) in key or f"{ANA.serial_number:x}" in key for key in shared.kept)


async def test_without_the_store_everything_goes_on(sources, host, shared):
    host.respond()
    host.publish("/sub.crl", SUB.crl())
    shared.is_away = True
    ours = await sources()
    assert isinstance(await said(ours), Good)
    assert isinstance(await said(ours, about(BOR)), Good)


# Where certificates cannot lead us


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "0x7f000001"]
)
async def test_an_allowed_host_that_is_private_is_not_reached(sources, host, name):
    leaf = SUB.person(lists=lists_at(f"http://{name}:{host.port}/sub.crl"))
    host.publish("/sub.crl", SUB.crl())
    ours = await sources(
        addresses=SourceAddresses(allowed_hosts=frozenset({f"{name.strip('[]')}:{host.port}"}))
    )
    await failure_of(ours, about(leaf))
    assert host.asked == []


async def test_a_host_that_nobody_allowed_is_not_asked(sources, host):
    leaf = SUB.person(lists=lists_at(f"http://localhost:{host.port}/sub.crl"))
    assert "may be asked" in await failure_of(await sources(addresses=SourceAddresses()), about(leaf))
    assert host.asked == []


@pytest.mark.parametrize(
    ("address", "is_out"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("169.254.1.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:93.184.216.34", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
    ],
)
def test_public_addresses_are_told_from_others(address, is_out):
    assert is_public(address) == is_out


async def test_certificates_cannot_make_us_keep_everything(sources, host):
    ours = await sources()
    for number in range(300):
        leaf = SUB.person(lists=lists_at(f"{HOST}/{number}.crl"))
        await failure_of(ours, about(leaf))
    assert len(ours.freshness(NOW)) <= 256 + 300
    allowed = await sources(addresses=SourceAddresses(allowed_hosts=frozenset({"127.0.0.1"})))
    for number in range(300):
        await failure_of(allowed, about(SUB.person(lists=lists_at(f"http://127.0.0.1/{number}.crl"))))
    assert len(allowed.freshness(NOW)) <= 256


async def test_a_public_name_is_connected_to_where_it_leads():
    # Of the resolver alone: nothing beyond loopback is connected to here.
    async with client_session(public_only=True) as public:
        resolver = public.connector._resolver
        with pytest.raises(OSError):
            await resolver.resolve("localhost", 80)
        assert [each["host"] for each in await resolver.resolve("93.184.216.34", 80)] == ["93.184.216.34"]


@pytest.mark.parametrize(
    "spelling",
    ["127.1", "2130706433", "127.0.0.01", "127.0.0.1.", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1%25lo]"],
)
async def test_other_spellings_of_this_machine_in_a_certificate_are_not_asked(host, spelling):
    host.answers["/x"] = web.Response(body=b"reached")
    async with client_session(public_only=False) as named, client_session(public_only=True) as public:
        url = host.url.replace("127.0.0.1", spelling).replace("localhost", spelling)
        with pytest.raises(NoAnswer):
            await Fetcher(named=named, public=public).fetched(
                SourceAddress(f"{url}/x", is_named=False), LIMITS
            )
    assert host.asked == []


async def test_a_fetcher_says_only_the_class_of_what_went_wrong(host):
    async def malformed(request):
        request.transport.write(b"HTTP/1.1 200 secret-word\r\nsecret word without colon\r\n\r\n")
        request.transport.close()
        return web.Response()

    host.answers["/x"] = malformed
    async with client_session(public_only=False) as named, client_session(public_only=True) as public:
        with pytest.raises(NoAnswer) as raised:
            await Fetcher(named=named, public=public).fetched(
                SourceAddress(f"{host.url}/x", is_named=True), LIMITS
            )
    assert "secret" not in str(raised.value)


# The whole, and OpenSSL's responder


async def test_a_validator_takes_what_the_sources_say(sources, host):
    host.respond(this_update=NOW)
    ours = await sources()
    validator = CertificateValidator(
        Profile(anchors=(ROOT.certificate,), intermediates=(SUB.certificate,)), ours
    )
    verdict = await validator.validate(Presented(leaf=der(ANA)), now=NOW, mode=RevocationMode.HARD)
    assert isinstance(verdict, Validated)
    assert [each.source for each in verdict.status] == [StatusSource.OCSP, StatusSource.CRL]
    host.publish("/sub.crl", SUB.crl(BOR))
    assert (
        await validator.validate(Presented(leaf=der(BOR)), now=NOW, mode=RevocationMode.HARD)
    ).reason is Reason.CERTIFICATE_REVOKED
    validator.close()


@pytest.fixture
async def openssl_responder(tmp_path):
    """`openssl ocsp` with a delegated responder; Ana is valid, Bor is revoked, and it has never heard of
    anybody else."""
    responder = SUB.responder(start=at(-700), end=at(1900))
    (tmp_path / "ca.pem").write_text(pem(SUB.certificate))
    (tmp_path / "responder.pem").write_text(pem(responder.certificate))
    (tmp_path / "responder.key").write_bytes(
        responder.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    lines = (
        f"V\t311122090000Z\t\t{ANA.serial_number:024X}\tunknown\t/CN=Ana",
        f"R\t311122090000Z\t261120090000Z,keyCompromise\t{BOR.serial_number:024X}\tunknown\t/CN=Bor",
    )
    (tmp_path / "index.txt").write_text("\n".join(lines) + "\n")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "openssl",
        "ocsp",
        "-port",
        str(port),
        "-index",
        "index.txt",
        "-CA",
        "ca.pem",
        "-rsigner",
        "responder.pem",
        "-rkey",
        "responder.key",
        "-nmin",
        "10",
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(15):
            # Not asked whether it listens: a connection without a question keeps it busy.
            await process.stdout.readuntil(b"waiting")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.needs("openssl")
async def test_openssls_responder_is_understood(openssl_responder, sources, clock):
    # It knows no other time than the machine's.
    clock.now = datetime.now(UTC)
    ours = await sources(addresses=SourceAddresses(ocsp_url=openssl_responder), ocsp_requires_nonce=True)
    assert (await said(ours, now=clock.now)).source is StatusSource.OCSP
    revoked = await said(ours, about(BOR), now=clock.now)
    assert (revoked.reason, revoked.at) == ("keyCompromise", datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert "does not know" in await failure_of(ours, about(SUB.person()), now=clock.now)


@pytest.mark.needs("openssl")
def test_openssl_agrees_about_our_chains(tmp_path):
    for name, certificate in (("root", ROOT.certificate), ("sub", SUB.certificate), ("ana", ANA)):
        (tmp_path / f"{name}.pem").write_text(pem(certificate))
    told = subprocess.run(
        [
            shutil.which("openssl"),
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-attime",
            str(int(NOW.timestamp())),
            "-CAfile",
            "root.pem",
            "-untrusted",
            "sub.pem",
            "ana.pem",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "ana.pem: OK\n", told.stderr
    assert ssl.PEM_cert_to_DER_cert(pem(ANA)) == der(ANA)

"""Stores of several servers that speak TLS only, and certificates that are not what they should be: nothing is asked,
nobody is signed out, and operators read why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from authproxy.access.unavailable import CannotAsk
from authproxy.storage.redis.connection import RedisConnection
from authproxy.storage.redis.servers import StoreTls
from tests.support.gateway import open_house
from tests.support.redis_server import GENEROUS
from tests.support.redis_topologies import Tls, asked, clustered, replicated
from tests.support.store_side import store_sides
from tests.support.waiting import until

pytestmark = [
    pytest.mark.needs("redis-server"),
    pytest.mark.rehearsal,
]
EXPIRED = "its certificate is not accepted: certificate has expired"
SERVED_WITHIN = 30.0


@dataclass
class Authority:
    issuer: trustme.CA
    folder: Path

    @property
    def file(self):
        return str(self.folder / "authority.pem")

    def certified(self, name="127.0.0.1", *, expired=False):
        """The files of servers."""
        ends = datetime.now(UTC) + (timedelta(minutes=-1) if expired else timedelta(days=1))
        made = self.issuer.issue_cert(name, not_before=ends - timedelta(days=2), not_after=ends)
        files = [self.folder / f"{name}-{expired}.{kind}" for kind in ("pem", "key")]
        files[0].write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(files[1])
        self.issuer.cert_pem.write_to_path(self.file)
        return Tls(certificate=files[0], key=files[1], authority=Path(self.file))


@pytest.fixture
def authority(tmp_path):
    return Authority(trustme.CA(), tmp_path)


def show(store, files):
    """All servers show another certificate from now on, on new connections, of which everybody needs one."""
    for node in store.nodes:
        asked(node, "CONFIG", "SET", "tls-cert-file", str(files.certificate), "tls-key-file", str(files.key))
        asked(node, "CLIENT", "KILL", "TYPE", "normal")
        asked(node, "CLIENT", "KILL", "TYPE", "pubsub")


@pytest.mark.parametrize("topology", [replicated, clustered])
async def test_an_expired_certificate_is_503_and_told_and_nobody_is_signed_out(topology, authority):
    good, expired = authority.certified(), authority.certified(expired=True)
    with topology(tls=good) as store:
        sections = {"store": {"ca_file": authority.file, "deadline": "800ms"}}
        async with open_house(store.url, sections=sections, keeps_log=True) as house:
            ana = house.person()
            await ana.signs_in(house.acq + "/")
            before = ana.browser.cookies.of(house.acq + "/")
            assert (await house.ready())["checks"]["store"]["status"] != "failed"

            show(store, expired)
            house.clock.advance(seconds=2)
            script = await ana.browser.fetch(f"{house.acq}/api/jaz")
            assert (script.status, script.json["reason"]) == (503, "store_unavailable")
            page = await ana.opens(f"{house.acq}/")
            assert (page.status, page.all("set-cookie"), page.all("location")) == (503, [], [])
            check = (await house.ready())["checks"]["store"]
            assert check["status"] == "failed"
            assert EXPIRED in check["detail"]
            assert EXPIRED in house.log.getvalue()

            show(store, good)

            async def is_served():
                return (await ana.browser.fetch(f"{house.acq}/api/jaz")).status == 200

            await until(is_served, within=SERVED_WITHIN)
            assert ana.browser.cookies.of(house.acq + "/") == before


async def test_a_sentinel_with_an_expired_certificate_is_named_and_the_others_are_believed(authority):
    with replicated(tls=authority.certified()) as store:
        expired = authority.certified(expired=True)
        first, *others = store.sentinels
        show_as_sentinel(first, expired)
        async with store_sides(store.url, tls=StoreTls(ca_file=authority.file)) as (one, other):
            ticket = await one.starts()
            assert await other.asks(ticket)
            [warning] = await one.connection.warnings()
            assert f"1 of 3 Sentinels do not say where the primary is (127.0.0.1:{first.port}: it" in warning
            assert EXPIRED in warning
        for sentinel in others:
            show_as_sentinel(sentinel, expired)
        await cannot_ask(store, authority.file, f"the Sentinels do not lead to the primary: .*{EXPIRED}")


def show_as_sentinel(sentinel, files):
    """A Sentinel takes another certificate when it starts."""
    sentinel.kill()
    lines = [
        line
        for line in sentinel.file.read_text().splitlines()
        if not line.startswith(("tls-cert-file", "tls-key-file"))
    ]
    lines += [f'tls-cert-file "{files.certificate}"', f'tls-key-file "{files.key}"']
    sentinel.file.write_text("\n".join(lines) + "\n")
    sentinel.start()


@pytest.mark.parametrize("topology", [replicated, clustered])
async def test_a_certificate_for_another_name_or_of_another_authority_is_refused(
    topology, authority, tmp_path
):
    (tmp_path / "other").mkdir()
    other = Authority(trustme.CA(), tmp_path / "other")
    other.certified()
    with topology(tls=authority.certified("redis.example.si")) as store:
        await cannot_ask(store, authority.file, "its certificate is not accepted: IP address mismatch")
        await cannot_ask(store, other.file, "its certificate is not accepted: .*(self|issuer)")


async def cannot_ask(store, ca_file, said):
    redis = RedisConnection(store.url, tls=StoreTls(ca_file=ca_file), deadline=GENEROUS)
    with pytest.raises(CannotAsk, match=said):
        await redis.ask("GET", "authproxy:{x}:session")
    await redis.aclose()

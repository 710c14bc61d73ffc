"""HAProxy on another machine than the gateway: it asks over TCP, and signs each question."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest

from tests.support.fronts import haproxy
from tests.support.fronts.world import QUESTION_KEY, World, status_of

pytestmark = [pytest.mark.needs("haproxy", "redis-server", "node"), pytest.mark.asyncio(loop_scope="session")]


def signing(world: World, key: Path) -> dict[str, str]:
    """The shipped files as README.md says for a gateway on another machine."""
    files = haproxy.FRONT.files()
    name = next(name for name in files if name.endswith(".cfg"))
    over_tcp = f"127.0.0.1:{world.house.ports['gateway']}"
    files[name], places = re.subn(
        r"(?m)^ *setenv AUTHPROXY_GATEWAY .*$",
        f"    # unix@/run/authproxy/edge.sock\n    setenv AUTHPROXY_GATEWAY ipv4@{over_tcp}\n"
        f"    setenv AUTHPROXY_QUESTION_KEY_FILE {key}",
        files[name],
    )
    assert places == 1
    return files


async def test_a_signed_question_is_answered_and_one_with_another_key_is_not(
    world: World, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(QUESTION_KEY + "\n")
    wrong.write_text(secrets.token_hex(32))
    with world.broken(haproxy.FRONT, signing(world, right)) as front:
        ana = await front.signed_in()
        cookie = f"{front.cookie(ana)}; x={'y' * 3000}"
        for target in ("/a", "/a?b=c&d=%2F", "/" + "ž".encode().hex()):
            assert status_of(await front.raw_get(target, cookie=cookie)) == 200, front.running.errors
            assert front.portal.last.target == target
        assert status_of(await front.raw_get("/a")) == 401
        assert status_of(await front.raw_get("/a", "X-Authproxy-Question: t=1;h=00", cookie=cookie)) == 200
    with world.broken(haproxy.FRONT, signing(world, wrong)) as front:
        seen = len(front.portal.received)
        answer = await front.raw_get("/a", cookie=cookie)
        assert status_of(answer) == 403
        assert b"untrusted_peer" in answer
        assert len(front.portal.received) == seen


async def test_without_a_readable_key_it_does_not_start(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    with (
        pytest.raises(RuntimeError, match="does not contain 64 hexadecimal digits"),
        world.broken(haproxy.FRONT, signing(world, empty)),
    ):
        pass

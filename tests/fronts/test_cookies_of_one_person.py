"""A portal's own session belongs to one person behind Envoy and HAProxy, too, with the lines of their READMEs."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.support.fronts import envoy, haproxy
from tests.support.fronts.front import DEPLOY, Front
from tests.support.fronts.world import Standing, World
from tests.support.gateway import Person

pytestmark = [pytest.mark.needs("redis-server"), pytest.mark.asyncio(loop_scope="session")]

DAVID = "david.horvat@example.si"


def written(proxy: str, language: str) -> str:
    """A block of the README, so that what operators copy is what is tested."""
    [found] = re.findall(
        rf"\n## Cookies of one person\n.*?```{language}\n(.*?)```",
        (DEPLOY / proxy / "README.md").read_text(),
        re.DOTALL,
    )
    return str(found)


def in_envoys_script(files: Mapping[str, str]) -> dict[str, str]:
    [name] = [name for name in files if name.endswith(".yaml")]
    end = '                            headers:remove("x-authproxy-cookie-mark")\n                          end\n'
    assert end in files[name]
    portal = "                        - match: {prefix: /}\n                          # No time limit"
    assert portal in files[name]
    text = files[name].replace(end, end + written("envoy", "lua"))
    return {**files, name: text.replace(portal, written("envoy", "yaml") + portal)}


def in_haproxys_backend(files: Mapping[str, str]) -> dict[str, str]:
    [name] = [name for name in files if name.endswith(".cfg")]
    backend = "\nbackend acq\n"
    assert backend in files[name]
    return {**files, name: files[name].replace(backend, backend + written("haproxy", "haproxy"))}


CHANGED = {envoy.FRONT: in_envoys_script, haproxy.FRONT: in_haproxys_backend}


async def portal_gets(front: Standing, person: Person) -> list[str]:
    """The cookies that the portal gets with a request of this person."""
    assert (await person.browser.fetch(front.url + "/look")).status == 200
    return sorted("; ".join(front.portal.last.all("Cookie")).split("; "))


@pytest.mark.parametrize("kind", list(CHANGED), ids=lambda kind: kind.name)
async def test_a_cookie_of_one_person_comes_back_with_their_requests_only(world: World, kind: Front) -> None:
    with world.broken(kind, CHANGED[kind](kind.files())) as front:
        ana = await front.signed_in()
        await ana.browser.fetch(
            front.url + "/?set-cookie=look%3Dblue&set-cookie=JSESSIONID%3Dof.Ana%3B+Path%3D/"
        )
        assert await portal_gets(front, ana) == ["JSESSIONID=of.Ana", "look=blue"]
        assert not [name for name, _ in front.portal.last.headers if name.lower().startswith("x-authproxy")]

        # Her session ends without a sign-out, and somebody else signs in at the same browser.
        ana.browser.cookies.put(front.url, "__Host-authproxy", None)
        ana.browser.cookies.put(world.house.issuer, "JSESSIONID", None)
        david = world.house.person(DAVID, browser=ana.browser)
        await david.signs_in(front.url + "/")
        assert await portal_gets(front, david) == ["look=blue"]
        await david.browser.fetch(front.url + "/?set-cookie=JSESSIONID%3Dof.David%3B+Path%3D/")
        assert await portal_gets(front, david) == ["JSESSIONID=of.David", "look=blue"]
        seen = len(front.portal.received)
        for path, left in (
            ("/list;jsessionid=of.Ana;v=1?a=b;jsessionid=1", "/list;v=1?a=b;jsessionid=1"),
            ("/list%3bJSESSIONID=of.Ana/x", "/list/x"),
        ):
            answer = await david.browser.request("POST", front.url + path, body=b"a=b")
            assert answer.status == 307
            assert (answer.header("location") or "").removeprefix(front.url) == left
        assert len(front.portal.received) == seen

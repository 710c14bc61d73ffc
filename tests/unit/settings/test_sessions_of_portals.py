"""Settings about a portal's own session: its cookies, its sign-out, and what keeps a session of ours alive."""

from __future__ import annotations

import base64
import os

import pytest

from authproxy.access.personal_cookies import PersonalCookies
from authproxy.bootstrap.portals import all_portals
from authproxy.identity.person import Issuer, Person, Subject

ANA = Person(issuer=Issuer("https://idp.example"), subject=Subject("ana"))


def with_portal(**keys):
    def spoil(settings):
        settings["portals"]["acq"] |= keys

    return spoil


def portal(workshop, **keys):
    reading = workshop.read(with_portal(**keys))
    assert not reading.findings
    [found] = [each for each in all_portals(reading.settings).by_host.values() if each.portal_id == "acq"]
    return found


def test_a_plain_portal_has_none_of_it(workshop):
    plain = portal(workshop)
    assert (plain.activity, plain.personal_cookies, plain.sign_out_paths) == ({"requests"}, None, frozenset())


def test_a_portal_with_all_of_it(workshop):
    full = portal(
        workshop,
        cookies={"end_with_session": ["JSESSIONID", "ASPSESSIONID*"]},
        sign_out_url="http://127.0.0.1:9001/app/logout?from=gateway",
        sign_out_paths=["/app/logout", "/exit"],
        activity=["requests", "websocket_messages"],
    )
    assert full.activity == {"requests", "websocket_messages"}
    assert full.sign_out_paths == {"/app/logout", "/exit"}
    cookies = full.personal_cookies
    assert isinstance(cookies, PersonalCookies)
    assert cookies.lists(b"aspsessionidQQ")
    [line] = cookies.marks([(b"Set-Cookie", b"JSESSIONID=carried")], cookies.owner(ANA), "/").splitlines()
    assert cookies.marked(line.removeprefix(b"Set-Cookie: "))[0].value == "carried"


def test_the_key_of_marks_stays_the_same_while_a_session_key_is_added(workshop):
    def marks(*keys):
        (workshop.directory / "keys").unlink(missing_ok=True)

        def spoil(settings):
            with_portal(cookies={"end_with_session": ["sid"]})(settings)
            settings["sessions"] = {
                "keys_file": str(workshop.write("keys", "\n".join(keys).encode(), mode=0o400))
            }

        reading = workshop.read(spoil)
        assert not reading.findings, [str(finding) for finding in reading.findings]
        settings = reading.settings
        [found] = [each for each in all_portals(settings).by_host.values() if each.portal_id == "acq"]
        return found.personal_cookies.owner(ANA)

    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    assert marks(old) == marks(new, old) != marks(new)


@pytest.mark.parametrize(
    ("keys", "key", "problem"),
    [
        ({"cookies": {"end_with_session": ["a b"]}}, "cookies.end_with_session[0]", "is no name of a cookie"),
        (
            {"cookies": {"end_with_session": ["x", "*"]}},
            "cookies.end_with_session[1]",
            "is no name of a cookie",
        ),
        ({"cookies": {"end_with_session": ["ab*"]}}, "cookies.end_with_session[0]", "is no name of a cookie"),
        ({"cookies": {"end_with_session": ["a*b"]}}, "cookies.end_with_session[0]", "is no name of a cookie"),
        (
            {"cookies": {"end_with_session": ["__host-authproxy"]}},
            "cookies.end_with_session[0]",
            "is a cookie of the gateway itself",
        ),
        ({"cookies": {"ends_with_session": ["a"]}}, "cookies.ends_with_session", "unknown key"),
        ({"sign_out_url": "/logout"}, "sign_out_url", ""),
        ({"sign_out_url": "http://me:secret@127.0.0.1/x"}, "sign_out_url", ""),
        ({"sign_out_url": "http://[fe80/logout"}, "sign_out_url", ""),
        ({"sign_out_url": "http://127.0.0.1:8080/logout"}, "sign_out_url", "is the gateway itself"),
        ({"sign_out_url": "http://portal.example/logout"}, "sign_out_url", "in plain text"),
        ({"sign_out_paths": ["/"]}, "sign_out_paths[0]", "is the portal's front page"),
        ({"sign_out_paths": ["/logout?x"]}, "sign_out_paths[0]", "covers no request"),
        ({"sign_out_paths": ["/.authproxy/logout"]}, "sign_out_paths[0]", "is the gateway's own"),
        ({"sign_out_paths": ["logout"]}, "sign_out_paths[0]", "covers no request"),
        ({"activity": []}, "activity", "is empty"),
        ({"activity": ["polls"]}, "activity[0]", "is not valid"),
    ],
)
def test_what_cannot_be_meant_is_said(workshop, keys, key, problem):
    def spoil(settings):
        with_portal(**keys)(settings)
        settings["server"]["listen"].append("127.0.0.1:8080")

    finding = workshop.finding(spoil)
    assert (finding.key, finding.severity) == (f"portals.acq.{key}", "error")
    assert problem in str(finding)
    assert "secret" not in str(finding)


@pytest.mark.parametrize(
    ("keys", "key", "problem"),
    [
        (
            {"sign_out_url": "https://ACQ.example.si/app/logout"},
            "sign_out_url",
            "is the portal's public address",
        ),
        ({"activity": ["streams"]}, "activity", "lacks `requests`"),
    ],
)
def test_what_is_probably_not_meant_is_warned_of(workshop, keys, key, problem):
    finding = workshop.finding(with_portal(**keys))
    assert (finding.key, finding.severity) == (f"portals.acq.{key}", "warning")
    assert problem in str(finding)


def test_plain_text_for_a_sign_out_is_allowed_with_that_for_the_portal(workshop):
    assert portal(workshop, allows_plaintext=True, sign_out_url="http://portal.example/logout")

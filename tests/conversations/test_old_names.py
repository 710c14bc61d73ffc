"""A portal behind an old server, or behind another sign-on before: it gets what it wants to see, whatever a client
says, and nobody learns the password by which it knows the gateway."""

from __future__ import annotations

import base64

from tests.support.nginx import recording_portal
from tests.support.waiting import until

PASSWORD = "the-password-of-a-technical-user"
BASIC = "Basic " + base64.b64encode(f"gate:{PASSWORD}".encode()).decode()
FORGED = [
    ("EMPLOYEE_ID", "forged"),
    ("employee-id", "forged"),
    ("BankSSO-User", "forged"),
    ("HTTP_BANKSSO_GROUPS", "forged"),
    ("WL-Proxy-SSL", "forged"),
    ("wl_proxy_ssl", "forged"),
    ("X-Gate-Key", "forged"),
    ("x.gate.key", "forged"),
    ("Authorization", "Negotiate forged"),
    ("AUTHORIZATION_", "forged"),
]


async def test_what_is_set_replaces_what_a_client_sends_and_what_is_stripped_never_arrives(
    houses, tmp_path, capfd
):
    for name, text in (("user", f"gate:{PASSWORD}"), ("key", PASSWORD)):
        (tmp_path / name).write_text(f"{text}\n")
        (tmp_path / name).chmod(0o400)
    async with recording_portal() as portal:
        upstream = f"http://127.0.0.1:{portal.port}"
        acq = {
            "upstream": upstream,
            "sign_out_url": f"{upstream}/odjava",
            "strip": ["EMPLOYEE_ID", "BANKSSO_*"],
            "set": {
                "WL-Proxy-SSL": "true",
                "X-Forwarded-Port": "443",
                "X-Gate-Key_file": str(tmp_path / "key"),
            },
            "authorization": {"basic_file": str(tmp_path / "user")},
            "routes": [{"path": "/open", "access": "public"}],
        }
        async with houses(acq=acq) as house:
            ana = house.person()
            await ana.signs_in(f"{house.acq}/")
            for path in ("/a", "/open"):
                assert (await ana.browser.fetch(house.acq + path, headers=FORGED)).status == 200
                assert_clean(portal.last)
                assert portal.last.all("X-Auth-Subject") not in ([], ["-"])
            stranger = house.person()
            assert (await stranger.browser.fetch(f"{house.acq}/open", headers=FORGED)).status == 200
            assert_clean(portal.last)
            assert portal.last.all("X-Auth-Subject") == ["-"]
            assert (await stranger.browser.fetch(f"{house.acq}/a", headers=FORGED)).status == 401
            confirmation = await ana.opens(f"{house.acq}/.authproxy/logout")
            form = next(form for form in confirmation.forms if "/.authproxy/logout" in form.action)
            await ana.browser.post(form.action, form.fields)
            await until(lambda: is_told(portal))
            assert portal.last.all("Authorization") == [BASIC]
    written = "".join(capfd.readouterr())
    assert "request.answered" in written
    for secret in (PASSWORD, BASIC.removeprefix("Basic ")):
        assert secret not in written


def assert_clean(received):
    assert "forged" not in str(received.headers)
    for name, value in (
        ("WL-Proxy-SSL", "true"),
        ("X-Forwarded-Port", "443"),
        ("X-Gate-Key", PASSWORD),
        ("Authorization", BASIC),
    ):
        assert received.all(name) == [value]


async def is_told(portal):
    return portal.last.target == "/odjava"

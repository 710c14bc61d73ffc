"""`authproxy doctor` as a command: whom it attacks, and whom it does not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import CliRunner

from authproxy.access import consent
from authproxy.bootstrap.keys import consent_keys
from authproxy.cli.doctor import doctor
from tests.support.nginx_house import Front, behind_nginx, status_of

pytestmark = [pytest.mark.needs("nginx"), pytest.mark.asyncio(loop_scope="module")]

ROUTES = [{"path": "/open", "access": "public"}, {"path": "/closed", "access": "deny"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front() -> AsyncIterator[Front]:
    async with behind_nginx("memory://", acq={"routes": ROUTES}) as opened:
        yield opened


async def run(front: Front, *arguments: str, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "authproxy",
        "doctor",
        *arguments,
        env={**os.environ, **front.house.environment, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def refused(front: Front, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and what was said of a command that sends little or nothing, in this process: a process of
    its own takes a second to start."""
    given = {name: None for name in os.environ if name.startswith("AUTHPROXY")}
    done = await asyncio.to_thread(
        CliRunner().invoke,
        doctor,
        [*arguments],
        env={**given, **front.house.environment, **environment},
    )
    return done.exit_code, done.stderr


def connected(front: Front) -> tuple[str, ...]:
    return ("--connect", f"127.0.0.1:{front.nginx.port}")


def settings(front: Front) -> tuple[str, ...]:
    return ("-c", str(front.house.settings_file))


async def asked(front: Front) -> float:
    return await front.house.metric('authproxy_requests_total{decision="authentication_required"')


async def test_it_says_what_is_wrong_and_ends_with_1(front: Front) -> None:
    code, out, err = await run(front, front.url, *settings(front), *connected(front), "--json")

    # Warnings about the settings are not mixed with the report.
    assert re.fullmatch(r"authproxy check-config -c \S+ has \d+ warnings\.\n", err)
    said = json.loads(out)
    colours = {finding["id"]: finding["colour"] for finding in said["findings"]}
    assert (code, said["exit_code"], said["proxy"]) == (1, 1, "nginx")
    # Without TLS, and without anybody in the portal's place.
    assert [name for name, colour in colours.items() if colour == "red"] == ["plain_http"]
    assert {"forged_identity", "large_upload", "tls_version"} <= {
        name for name, colour in colours.items() if colour == "not_tried"
    }
    assert colours["unprotected_path"] == colours["path_confusion"] == colours["fails_open"] == "green"
    assert said["requests"] < 300


async def test_a_consent_of_the_gateway_is_enough_on_another_machine(front: Front, tmp_path: Path) -> None:
    _, token, _ = await run(front, "consent", *settings(front), "--for", front.url)
    kept = tmp_path / "token"
    kept.write_text(token)

    code, out, _ = await run(
        front, front.url, *connected(front), "--only", "plain_http", "--token-file", str(kept)
    )

    assert code == 1
    assert out.startswith(f"{front.url}, authproxy ")
    assert "RED       plain_http (not so): " in out
    assert "return 301 https://" in out


@pytest.mark.parametrize("kind", ["another_gateway", "another_host", "no_consent", "nonsense"])
async def test_without_a_consent_nothing_is_sent(front: Front, kind: str) -> None:
    now = int(front.house.clock().timestamp())
    host = "b2b.example.si" if kind == "another_host" else front.host
    token = consent.consent(b"k" * 32, host, now + 600).text()
    before = await asked(front)

    code, err = await refused(
        front,
        front.url,
        *connected(front),
        AUTHPROXY_DOCTOR_TOKEN={"no_consent": "", "nonsense": "x"}.get(kind, token),
    )

    assert code == 2
    assert err.startswith("authproxy doctor: ")
    assert err.count("\n") == 1
    assert token not in err
    assert await asked(front) == before


@pytest.mark.parametrize(
    ("answered", "what"),
    [
        (b'{"said": "{}", "proof": "00"}', "the gateway of this consent"),
        (b'{"said": "{}", "proof": 1}', "a gateway"),
        (b"[" * 100_000, "a gateway"),
        (b"\xff", "a gateway"),
    ],
    ids=["another_key", "another_type", "endless_lists", "no_text"],
)
async def test_a_server_that_is_no_gateway_is_left_alone(front: Front, answered: bytes, what: str) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        said = answered
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    token = consent_of(front).text()
    code, err = await refused(
        front, front.url, "--connect", f"127.0.0.1:{port}", AUTHPROXY_DOCTOR_TOKEN=token
    )
    server.close()

    assert (code, err) == (2, f"authproxy doctor: what answers is not {what}\n")
    assert len(seen) == 1, "and it gets nothing more"


async def test_ctrl_c_ends_it_and_is_no_finding(front: Front) -> None:
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    process = await asyncio.create_subprocess_exec(
        # A shell starts what it runs in the background with SIGINT ignored.
        "env", "--default-signal=INT", sys.executable, "-m", "authproxy", "doctor", front.url,
        "--connect", f"127.0.0.1:{server.sockets[0].getsockname()[1]}",
        env={**os.environ, "AUTHPROXY_DOCTOR_TOKEN": consent_of(front).text()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        await asked.wait()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    server.close()

    assert (process.returncode, out, err) == (
        2,
        b"",
        b"authproxy doctor: ended by Ctrl-C, without a report\n",
    )


async def test_a_redirect_is_named(front: Front) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 301 x\r\nLocation: https://elsewhere.example/a\x1b[2J?code=1\r\nContent-Length: 0\r\n\r\n"
        )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    code, err = await refused(
        front, front.url, "--connect", f"127.0.0.1:{port}", AUTHPROXY_DOCTOR_TOKEN=consent_of(front).text()
    )
    server.close()

    what = "the answer is a redirect to https://elsewhere.example/a\\u001b[2J: give the portal's own address"
    assert (code, err) == (2, f"authproxy doctor: {what}\n")


@pytest.mark.parametrize(
    "wrong", [("--stand-in", "9001"), ("--only", "nothing"), ("--connect", "x"), ("--session-file", __file__)]
)
async def test_a_wrong_option_is_told(front: Front, wrong: tuple[str, ...]) -> None:
    code, err = await refused(front, front.url, *wrong, AUTHPROXY_DOCTOR_TOKEN=consent_of(front).text())

    assert code == 2
    assert "Error: " in err


async def test_another_kind_of_address_is_no_portal(front: Front) -> None:
    code, err = await refused(front, "ftp://acq.localhost", *settings(front))

    assert (code, "Error: URL is no http URL" in err) == (2, True)


async def test_the_page_for_the_doctor_does_not_exist_for_others(front: Front) -> None:
    assert status_of(await front.raw_get("/.authproxy/doctor")) == 404
    assert (
        status_of(await front.raw_get("/.authproxy/doctor", "Authorization: Bearer authproxy-doctor.look"))
        == 404
    )
    # An order for something else opens no page.
    made = consent_of(front).order("echo", nonce="n" * 22, now=front.house.clock())
    assert status_of(await front.raw_get("/.authproxy/doctor", f"Authorization: {made}")) == 404


async def test_a_consent_for_one_portal_is_none_for_another(front: Front) -> None:
    other = front.host.replace("acq.", "b2b.")
    for purpose, path, own, foreign in (
        ("look", "/.authproxy/doctor", 200, 404),
        ("deny", "/", 403, 401),
        ("fail", "/", 503, 401),
    ):
        for host, status in ((front.host, foreign), (other, own)):
            order = consent_of(front, other).order(purpose, nonce="n" * 22, now=front.house.clock())
            answer = await front.raw_get(path, f"Authorization: {order}", host=host)
            assert status_of(answer) == status, (purpose, host)


async def test_no_order_opens_a_closed_place(front: Front) -> None:
    given = consent_of(front)
    for purpose in ("look", "echo", "deny", "fail"):
        order = given.order(purpose, nonce="n" * 22, now=front.house.clock())
        for path in ("/", "/closed", "/closed/x"):
            answer = await front.raw_get(path, f"Authorization: {order}")
            assert status_of(answer) in {401, 403, 503}, (purpose, path)
    assert front.portal.received == []


async def test_what_the_gateway_says_holds_no_secret(front: Front) -> None:
    order = consent_of(front).order("look", nonce="n" * 22, now=front.house.clock())
    answer = await front.raw_get("/.authproxy/doctor", f"Authorization: {order}")

    said = json.loads(json.loads(answer.partition(b"\r\n\r\n")[2])["said"])
    assert {"version", "checks", "keys", "portals", "routes"} <= said.keys()
    assert said["request"]["client"] == "127.0.0.1"
    for key in front.house.settings.sessions.keys:
        assert key.get_secret_value() not in answer.decode()
    assert front.house.secret not in answer.decode()


def consent_of(front: Front, host: str | None = None) -> consent.Consent:
    key = consent_keys(front.house.settings.sessions)[0]
    return consent.consent(key, host or front.host, int(front.house.clock().timestamp()) + 600)

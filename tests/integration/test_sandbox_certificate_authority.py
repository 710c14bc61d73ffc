"""The certificate authority as its readers know it: `openssl` as the foreign counterpart, Chromium before its
page, scripts."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus

from authproxy.sandbox.certificate_authority.application import application
from authproxy.sandbox.certificate_authority.certified_keys import StoredKeysBroken
from authproxy.sandbox.certificate_authority.faults import WAYS
from authproxy.sandbox.certificate_authority.revocations import RevocationsBroken
from authproxy.sandbox.serving import bound, serving
from tests.support.clock import Clock
from tests.support.page_checks import faults_of
from tests.support.ports import free_port

pytestmark = [pytest.mark.needs("openssl"), pytest.mark.asyncio(loop_scope="session")]


@dataclass
class AuthorityFixture:
    url: str
    http: aiohttp.ClientSession
    folder: Path
    """Of the test: what was fetched lies here."""
    state: Path
    clock: Clock

    async def fetched(self, path: str) -> bytes:
        async with self.http.get(path) as response:
            assert response.status == 200, path
            return await response.read()

    async def file(self, path: str) -> str:
        """Fetches, and says where it lies."""
        file = self.folder / path.strip("/").replace("/", "-")
        file.write_bytes(await self.fetched(path))
        return str(file)

    async def says(self, path: str, **body: object) -> int:
        async with self.http.post(path, json=body) as response:
            return response.status

    async def breaks(self, service: str, how: str, **more: object) -> None:
        assert await self.says("/api/break", service=service, how=how, **more) == 200


@pytest.fixture(scope="session")
def beginning(tmp_path_factory):
    """A port and an authority that was made for it: making the keys takes longer than all the rest."""
    folder, port = tmp_path_factory.mktemp("authority"), free_port()
    application(base_url=f"http://localhost:{port}", clock=Clock(), state_dir=folder)
    return folder, port


@pytest_asyncio.fixture(loop_scope="session")
async def house(beginning, tmp_path):
    made, port = beginning
    state, url, clock = tmp_path / "state", f"http://localhost:{port}", Clock()
    shutil.copytree(made, state)
    async with (
        serving(application(base_url=url, clock=clock, state_dir=state), bound(port)),
        aiohttp.ClientSession(url) as http,
    ):
        yield AuthorityFixture(url=url, http=http, folder=tmp_path, state=state, clock=clock)


async def openssl(*arguments: str) -> tuple[int, str]:
    """What it says on both streams."""
    process = await asyncio.create_subprocess_exec(
        "openssl",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(30):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, said.decode(errors="replace")


async def verified(house, name, *, lists=("/crl/sub-1.pem",), options=("-crl_check",)):
    crls = [part for path in lists for part in ("-CRLfile", await house.file(path))]
    status, said = await openssl(
        "verify",
        "-CAfile",
        await house.file("/ca/root.pem"),
        "-untrusted",
        await house.file("/ca/sub.pem"),
        "-x509_strict",
        "-purpose",
        "sslclient",
        *options,
        *crls,
        await house.file(f"/people/{name}.crt"),
    )
    return "OK" if status == 0 else said


async def asked(house, name, *, issuer="/ca/sub.pem", leaf=None):
    """What `openssl ocsp` says about somebody's certificate."""
    _, said = await openssl(
        "ocsp",
        "-issuer",
        await house.file(issuer),
        "-cert",
        leaf or await house.file(f"/people/{name}.crt"),
        "-url",
        f"{house.url}/ocsp",
        "-CAfile",
        await house.file("/ca/root.pem"),
        "-verify_other",
        await house.file("/ca/sub.pem"),
        "-timeout",
        "20",
    )
    return said


def question(certificate, issuer):
    return (
        ocsp.OCSPRequestBuilder()
        .add_certificate(certificate, issuer, hashes.SHA256())
        .build()
        .public_bytes(Encoding.DER)
    )


async def loaded(house, path):
    return x509.load_pem_x509_certificate(await house.fetched(path))


# Paths and lists


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ana.novak", 1),
        ("cvetka.zupan", 2),
        ("gregor.zagar", 2),
        ("seal", 1),
        ("caron", 1),
        ("rsa-3072", 1),
        ("sign-only", 1),
    ],
)
async def test_a_certificate_leads_to_the_root_and_its_partition_knows_nothing_against_it(house, name, part):
    assert await verified(house, name, lists=[f"/crl/sub-{part}.pem"]) == "OK"


async def test_another_partition_does_not_speak_for_a_certificate(house):
    assert "different CRL scope" in await verified(house, "ana.novak", lists=["/crl/sub-2.pem"])


async def test_complete_lists_speak_for_the_whole_path(house):
    both = {"lists": ("/ca/crl.pem", "/ca/root-crl.pem"), "options": ("-crl_check_all",)}
    assert await verified(house, "cvetka.zupan", **both) == "OK"
    assert "certificate revoked" in await verified(house, "erik.kos", **both)
    assert await house.says("/api/revoke", name="sub") == 204
    assert "error 23 at 1 depth" in await verified(house, "cvetka.zupan", **both)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("erik.kos", "certificate revoked"),
        ("franc.golob", "certificate has expired"),
        ("not-yet-valid", "certificate is not yet valid"),
        ("impostor", "unable to get local issuer certificate"),
        ("impostor-ana", "unable to get local issuer certificate"),
        ("server-only", "unsuitable certificate purpose"),
        ("mail-only", "unsuitable certificate purpose"),
        ("nonrepudiation", "unsuitable certificate purpose"),
    ],
)
async def test_what_is_to_be_refused_is_refused_for_its_own_reason(house, name, why):
    assert why in await verified(house, name)


@pytest.mark.parametrize(
    ("name", "why"),
    [("sha1", "CA signature digest algorithm too weak"), ("rsa-1024", "EE certificate key too weak")],
)
async def test_weak_certificates_are_good_but_for_their_weakness(house, name, why):
    assert await verified(house, name) == "OK"
    assert why in await verified(house, name, options=("-crl_check", "-auth_level", "2"))


async def test_an_impostor_is_whole_in_a_house_of_its_own(house):
    _, sub, root = x509.load_pem_x509_certificates(await house.fetched("/people/impostor.pem"))
    (house.folder / "theirs.pem").write_bytes(
        root.public_bytes(Encoding.PEM) + sub.public_bytes(Encoding.PEM)
    )
    leaf = await house.file("/people/impostor.crt")
    status, said = await openssl("verify", "-CAfile", str(house.folder / "theirs.pem"), "-x509_strict", leaf)
    assert (status, "OK" in said) == (0, True)
    assert (await loaded(house, "/ca/sub.pem")).subject.public_bytes() == sub.subject.public_bytes()


async def test_a_list_is_the_same_in_pem_and_in_der_and_its_number_grows(house):
    binary, text = await house.fetched("/crl/sub-1.crl"), await house.fetched("/crl/sub-1.pem")
    first, second = x509.load_der_x509_crl(binary), x509.load_pem_x509_crl(text)
    assert [revoked.serial_number for revoked in first] == [revoked.serial_number for revoked in second] != []
    assert (
        list(x509.load_der_x509_crl(await house.fetched("/crl/sub-2.crl"))) == []
    )  # who is revoked belongs to the other partition
    numbers = [
        crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for crl in (first, second)
    ]
    assert numbers[0] < numbers[1]
    await house.says("/api/revoke", name="ana")
    third = x509.load_der_x509_crl(await house.fetched("/ca/crl.der"))
    assert third.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > numbers[1]
    assert len(list(third)) == len(list(first)) + 1


@pytest.mark.parametrize(
    "path",
    [
        "/crl/sub-3.crl",
        "/crl/root-2.crl",
        "/crl/other-1.crl",
        "/ca/crl.crl",
        "/people/bor.kranjc.p12",
        "/people/ana.novak",
        "/people/ana.novak.key",
    ],
)
async def test_what_does_not_exist_is_not_found(house, path):
    async with house.http.get(path) as response:
        assert response.status == 404


# OCSP


async def test_openssl_takes_the_answers_good_revoked_and_unknown(house):
    good, revoked, unknown = [await asked(house, name) for name in ("ana.novak", "erik.kos", "impostor")]
    assert "Response verify OK" in good
    assert ".crt: good" in good
    assert "WARNING" not in good  # of a nonce that is missing
    assert ".crt: revoked" in revoked
    assert "keyCompromise" in revoked
    assert ".crt: unknown" in unknown


async def test_the_root_speaks_for_the_issuing_ca_and_nobody_for_an_impostor(house):
    said = await asked(house, "", issuer="/ca/root.pem", leaf=await house.file("/ca/sub.pem"))
    assert ("Response verify OK" in said, "sub.pem: good" in said) == (True, True)
    _, theirs, _ = x509.load_pem_x509_certificates(await house.fetched("/people/impostor.pem"))
    leaf = await loaded(house, "/people/impostor.crt")
    async with house.http.post("/ocsp", data=question(leaf, theirs)) as response:
        told = ocsp.load_der_ocsp_response(await response.read())
    assert told.response_status is OCSPResponseStatus.UNAUTHORIZED


async def test_a_question_may_come_by_get_however_its_letters_are_escaped(house):
    certificate, issuer = await loaded(house, "/people/ana.novak.crt"), await loaded(house, "/ca/sub.pem")
    text = base64.b64encode(question(certificate, issuer)).decode()
    for written in (quote(text, safe=""), quote(text, safe="/+=")):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]))
        writer.write(f"GET /ocsp/{written} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert b"application/ocsp-response" in head
        assert ocsp.load_der_ocsp_response(body).certificate_status is OCSPCertStatus.GOOD


async def test_what_is_no_question_is_answered_in_ocsp(house):
    async with house.http.get("/ocsp/!!!") as got, house.http.post("/ocsp", data=b"") as posted:
        for response in (got, posted):
            assert response.status == 200
            assert (
                ocsp.load_der_ocsp_response(await response.read()).response_status
                is OCSPResponseStatus.MALFORMED_REQUEST
            )


async def test_revoked_and_back_again_is_seen_at_once(house):
    assert await house.says("/api/revoke", name="ana.novak", reason="superseded") == 204
    said = await asked(house, "ana.novak")
    assert (".crt: revoked" in said, "superseded" in said) == (True, True)
    assert "certificate revoked" in await verified(house, "ana.novak")
    assert await house.says("/api/unrevoke", name="ana.novak") == 204
    assert ".crt: good" in await asked(house, "ana.novak")
    assert await verified(house, "ana.novak") == "OK"


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({}, "name"),
        ({"name": 7}, "name"),
        ({"name": "nobody"}, "name"),
        ({"name": "impostor"}, "name"),
        ({"name": "ana", "reason": "boredom"}, "reason"),
        ({"name": "ana", "reason": "removeFromCRL"}, "reason"),
        ({"name": "ana", "reason": []}, "reason"),
    ],
)
async def test_what_cannot_be_revoked_is_refused_by_the_name_of_the_member(house, body, member):
    async with house.http.post("/api/revoke", json=body) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid", "member": member})


# Broken on purpose


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("down", "Error querying OCSP responder"),
        ("garbage", "Error querying OCSP responder"),
        ("stale", "status expired"),
        ("wrong_signature", "Response Verify Failure"),
        ("wrong_certificate_id", "No Status found"),
        ("wrong_responder", "Response Verify Failure"),
        ("unknown", ".crt: unknown"),
        ("try_later", "trylater"),
        ("nonce_dropped", "no nonce in response"),
        ("wrong_nonce", "Nonce Verify error"),
    ],
)
async def test_a_broken_responder_fails_as_it_was_told_until_it_is_mended(house, how, words):
    await house.breaks("ocsp", how)
    assert words in await asked(house, "ana.novak")
    async with house.http.delete("/api/break") as response:
        assert response.status == 204
    assert ".crt: good" in await asked(house, "ana.novak")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("stale", "CRL has expired"),
        ("wrong_signature", "CRL signature failure"),
        ("wrong_partition", "different CRL scope"),
        ("delta", "unable to get certificate CRL"),
        ("indirect", "unable to get certificate CRL"),
    ],
)
async def test_a_broken_list_is_refused_for_what_is_wrong_with_it(house, how, words):
    await house.breaks("crl", how)
    # Without -extended_crl OpenSSL takes a delta for the whole list.
    assert words in await verified(
        house, "ana.novak", options=("-crl_check", *(("-extended_crl",) if how == "delta" else ()))
    )
    async with house.http.delete("/api/break?service=crl") as response:
        assert response.status == 204
    assert await verified(house, "ana.novak") == "OK"


@pytest.mark.parametrize("path", ["/crl/sub-1.crl", "/ca/crl.pem"])
async def test_a_list_can_be_out_of_service_nonsense_or_elsewhere(house, path):
    await house.breaks("crl", "down")
    async with house.http.get(path) as response:
        assert response.status == 503
    await house.breaks("crl", "garbage")
    assert (await house.fetched(path)).startswith(b"<!doctype html>")
    await house.breaks("crl", "redirect")
    async with house.http.get(path, allow_redirects=False) as response:
        assert response.status == 307
    assert (
        len(await house.fetched(path)) > 500
    )  # at the end of the redirect all is well, so whoever follows it is found out


async def test_a_redirected_question_stays_a_question(house):
    await house.breaks("ocsp", "redirect")
    certificate, issuer = await loaded(house, "/people/ana.novak.crt"), await loaded(house, "/ca/sub.pem")
    async with house.http.post("/ocsp", data=question(certificate, issuer)) as response:
        assert [step.status for step in response.history] == [307]
        assert ocsp.load_der_ocsp_response(await response.read()).certificate_status is OCSPCertStatus.GOOD


@pytest.mark.parametrize("service", ["ocsp", "crl"])
async def test_a_huge_answer_goes_on_until_the_reader_has_had_enough(house, service):
    await house.breaks(service, "huge")
    read = 0
    async with house.http.request(
        "GET" if service == "crl" else "POST", "/crl/sub-1.crl" if service == "crl" else "/ocsp"
    ) as response:
        assert "Content-Length" not in response.headers
        async for chunk in response.content.iter_any():
            read += len(chunk)
            if read > 9 * 1024 * 1024:
                break
        response.close()
    assert read > 9 * 1024 * 1024
    assert len(await house.fetched("/ca/root.pem")) > 500  # and the authority goes on


async def test_a_slow_answer_waits_for_its_time_or_until_the_service_is_mended(house):
    await house.breaks("crl", "slow", seconds=0)
    assert x509.load_der_x509_crl(await house.fetched("/crl/sub-1.crl"))
    await house.breaks("crl", "slow", seconds=600)
    waits = asyncio.ensure_future(house.fetched("/crl/sub-1.crl"))
    done, _ = await asyncio.wait([waits], timeout=0.2)
    assert not done
    async with house.http.delete("/api/break") as response:
        assert response.status == 204
    async with asyncio.timeout(10):
        assert x509.load_der_x509_crl(await waits)


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"service": "ldap", "how": "down"}, "service"),
        ({"service": "ocsp", "how": "delta"}, "how"),
        ({"service": "crl", "how": []}, "how"),
        ({"service": "crl", "how": "slow", "seconds": 601}, "seconds"),
        ({"service": "crl", "how": "slow", "seconds": True}, "seconds"),
    ],
)
async def test_what_cannot_be_broken_is_refused_by_the_name_of_the_member(house, body, member):
    async with house.http.post("/api/break", json=body) as response:
        assert (response.status, await response.json()) == (400, {"error": "invalid", "member": member})
    assert json.loads(await house.fetched("/api/break")) == []


async def test_services_are_broken_apart_and_what_is_broken_can_be_read(house):
    await house.breaks("ocsp", "down")
    await house.breaks("crl", "stale")
    assert {one["service"]: one["how"] for one in json.loads(await house.fetched("/api/break"))} == {
        "ocsp": "down",
        "crl": "stale",
    }
    async with house.http.delete("/api/break?service=ocsp") as response:
        assert response.status == 204
    assert [one["service"] for one in json.loads(await house.fetched("/api/break"))] == ["crl"]
    async with house.http.delete("/api/break?service=ldap") as response:
        assert response.status == 400


# Files


@pytest.mark.parametrize(
    ("end", "options", "encryption"),
    [
        (".p12", (), "PBES2, PBKDF2, AES-256-CBC"),
        (".legacy.p12", ("-legacy",), "pbeWithSHA1And3-KeyTripleDES-CBC"),
    ],
)
async def test_a_file_for_browsers_opens_with_its_password_and_has_the_whole_chain(
    house, end, options, encryption
):
    file = await house.file(f"/people/gregor.zagar{end}")
    status, said = await openssl(
        "pkcs12", "-in", file, "-info", "-noout", "-passin", "pass:sandbox", *options
    )
    assert status == 0, said
    assert (said.count(encryption), said.count("Certificate bag")) == (2, 3)
    held = pkcs12.load_pkcs12(Path(file).read_bytes(), b"sandbox")
    assert held.cert.friendly_name.decode() == "Gregor Žagar"
    assert (await openssl("pkcs12", "-in", file, "-noout", "-passin", "pass:Sandbox", *options))[0] != 0


async def test_a_file_for_scripts_has_the_key_the_certificate_and_its_chain(house):
    content = await house.fetched("/people/ana.pem")
    leaf, sub, root = x509.load_pem_x509_certificates(content)
    assert load_pem_private_key(content, None).public_key() == leaf.public_key()
    assert [leaf, sub, root] == [
        await loaded(house, path) for path in ("/people/ana.novak.crt", "/ca/sub.pem", "/ca/root.pem")
    ]
    assert b"PRIVATE" not in await house.fetched("/people/ana.novak.crt")
    assert sub == x509.load_der_x509_certificate(await house.fetched("/ca/sub.cer"))
    async with house.http.get("/people/ana.p12") as response:
        assert (response.content_type, response.headers["Content-Disposition"]) == (
            "application/x-pkcs12",
            'attachment; filename="ana.novak.p12"',
        )


async def test_scripts_learn_every_certificate_and_its_state(house):
    known = {one["name"]: one for one in json.loads(await house.fetched("/api/certificates"))}
    states = {name: one["state"] for name, one in known.items() if one["group"] == "person"}
    assert states == {
        "ana.novak": "valid",
        "cvetka.zupan": "valid",
        "erik.kos": "revoked",
        "franc.golob": "expired",
        "gregor.zagar": "valid",
        "seal": "valid",
    }
    assert (known["not-yet-valid"]["state"], known["impostor"]["state"]) == ("not_yet_valid", "foreign")
    leaf = await loaded(house, "/people/ana.novak.crt")
    assert known["ana.novak"]["sha256"] == leaf.fingerprint(hashes.SHA256()).hex()
    assert int(known["ana.novak"]["serial_number"], 16) == leaf.serial_number
    assert set(json.loads(await house.fetched("/api/"))["POST /api/break"]["how"]) == set(WAYS)


# What is kept


async def read_from(made: object, path: str) -> bytes:
    """What an application answers at a port of its own."""
    listener = bound()
    async with (
        serving(made, listener),
        aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as http,
        http.get(path) as response,
    ):
        return await response.read()


async def test_a_restart_keeps_certificates_and_what_is_revoked(house):
    assert await house.says("/api/revoke", name="ana", reason="unspecified") == 204
    assert await house.says("/api/unrevoke", name="erik") == 204
    before = {
        path: await house.fetched(path)
        for path in ("/people/ana.pem", "/people/impostor.pem", "/ca/root.pem", "/api/certificates")
    }
    again = [
        await read_from(application(base_url=house.url, clock=house.clock, state_dir=house.state), path)
        for path in before
    ]
    assert again == list(before.values())
    assert (house.state / "root.pem").read_bytes() == before["/ca/root.pem"]
    states = {one["name"]: one["state"] for one in json.loads(before["/api/certificates"])}
    assert (states["ana.novak"], states["erik.kos"]) == ("revoked", "valid")


async def test_only_the_owner_reads_the_keys(house):
    private = house.state / "private"
    assert (private.stat().st_mode & 0o777, {file.stat().st_mode & 0o777 for file in private.iterdir()}) == (
        0o700,
        {0o600},
    )
    assert all(b"PRIVATE" not in (house.state / name).read_bytes() for name in ("root.pem", "sub.pem"))


@pytest.mark.parametrize("what", ["another address", "a year later"])
async def test_what_would_not_fit_any_more_is_made_anew(house, what):
    before = (house.state / "root.pem").read_bytes()
    if what == "a year later":
        house.clock.advance(days=365)
    url = house.url if what == "a year later" else "http://localhost:9"
    made = await asyncio.to_thread(application, base_url=url, clock=house.clock, state_dir=house.state)
    states = {one["name"]: one["state"] for one in json.loads(await read_from(made, "/api/certificates"))}
    assert (states["ana.novak"], states["franc.golob"], states["not-yet-valid"]) == (
        "valid",
        "expired",
        "not_yet_valid",
    )
    assert (house.state / "root.pem").read_bytes() != before
    leaf = x509.load_pem_x509_certificate(await read_from(made, "/people/ana.crt"))
    assert url.encode() + b"/ocsp" in leaf.public_bytes(Encoding.DER)


async def test_without_a_folder_everything_is_made_and_forgotten(house):
    made = await asyncio.to_thread(application, base_url=house.url, clock=house.clock)
    assert await read_from(made, "/ca/root.pem") != await house.fetched("/ca/root.pem")


async def test_a_key_of_another_kind_is_damage(house):
    file = house.state / "private" / "root.pem"
    other = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(other + (house.state / "root.pem").read_bytes())
    with pytest.raises(StoredKeysBroken, match="not an RSA key"):
        application(base_url=house.url, clock=house.clock, state_dir=house.state)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("made.json", b"{", StoredKeysBroken),
        ("made.json", b"[]", StoredKeysBroken),
        ("made.json", b'{"at": 7}', StoredKeysBroken),
        ("private/ana.novak.pem", b"", StoredKeysBroken),
        ("private/sub.pem", None, StoredKeysBroken),
        ("revoked.json", b"{", RevocationsBroken),
        ("revoked.json", b"[]", RevocationsBroken),
        ("revoked.json", b'{"ana.novak": {"at": "x"}}', RevocationsBroken),
    ],
)
async def test_a_damaged_folder_is_an_error_that_names_the_file_and_stays_as_it_is(
    house, file, content, said
):
    damaged = house.state / file
    damaged.unlink(missing_ok=True)
    if content is not None:
        damaged.write_bytes(content)
    with pytest.raises(said, match=damaged.name):
        application(base_url=house.url, clock=house.clock, state_dir=house.state)
    assert (damaged.read_bytes() if damaged.exists() else None) == content


# The page


async def faults_when_unfolded(page):
    await page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    return await faults_of(page)


@pytest.mark.needs("chromium-headless-shell")
@pytest.mark.parametrize(("language", "width", "scheme"), [("sl", 1100, "light"), ("en", 320, "dark")])
async def test_the_page_has_no_barriers_in_either_language(house, chromium, language, width, scheme):
    context = await chromium.new_context(
        locale=language, viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    page, complaints = await context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(house.url)
    assert await page.get_attribute("html", "lang") == language
    for service in WAYS:
        await page.locator(f"#{service}-how").select_option("stale")
        await page.locator(f"form:has(#{service}-how) button").click()
    assert await page.locator(".services .bad").count() == 2
    assert await faults_when_unfolded(page) == []
    await context.close()
    assert complaints == []


@pytest.mark.needs("chromium-headless-shell")
async def test_buttons_revoke_and_break_and_undo_both(house, chromium):
    context = await chromium.new_context(locale="en", java_script_enabled=False)
    page = await context.new_page()
    page.set_default_timeout(15_000)
    await page.goto(house.url)
    await page.get_by_role("button", name="Revoke: ana.novak", exact=True).click()
    assert "revoked" in await page.locator("[role=status]").inner_text()
    assert ".crt: revoked" in await asked(house, "ana.novak")
    await page.get_by_role("button", name="Undo the revocation: ana.novak", exact=True).click()
    assert ".crt: good" in await asked(house, "ana.novak")
    await page.locator("#ocsp-how").select_option("down")
    await page.get_by_role("button", name="Break: OCSP", exact=True).click()
    assert "Error querying" in await asked(house, "ana.novak")
    await page.get_by_role("button", name="Mend: OCSP", exact=True).click()
    assert ".crt: good" in await asked(house, "ana.novak")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download ana.novak.p12", exact=True).click()
    assert (await download.value).suggested_filename == "ana.novak.p12"
    await context.close()


@pytest.mark.parametrize("path", ["/revoke", "/unrevoke", "/break", "/mend"])
async def test_forms_of_other_sites_and_forms_without_sense_change_nothing(house, path):
    async with house.http.post(
        path, data={"name": "ana", "service": "ocsp", "how": "down"}, headers={"Sec-Fetch-Site": "cross-site"}
    ) as response:
        assert response.status == 403
    async with house.http.post(path, data={"name": "nobody", "service": "ldap", "how": "down"}) as response:
        assert response.status == 400
    assert json.loads(await house.fetched("/api/break")) == []
    assert ".crt: good" in await asked(house, "ana.novak")

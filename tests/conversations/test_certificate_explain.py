"""`authproxy certificate explain`: the same story as a sign-in tells, for an operator, with an exit code."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from authproxy.bootstrap.certificate_explanation import explain_certificate
from authproxy.certificates.files import FileKind
from tests.support.certificate_host import ana, signs_in
from tests.support.sandbox import ROOT


async def explain(house, file, *more):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "authproxy",
        "certificate",
        "explain",
        str(file),
        "-c",
        str(house.settings_file),
        *more,
        env={**os.environ, **house.environment},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    return process.returncode, said.decode(), errors.decode()


async def explained(house, name):
    code, said, _ = await explain(house, house.certificates.folder / "private" / f"{name}.pem", "--json")
    told = json.loads(said)
    return code, told, {check["check"]: check["outcome"] for check in told["checks"]}


async def test_a_certificate_of_the_register_names_its_person_and_their_portals(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    code, told, checks = await explained(house, "ana.novak")

    assert (code, told["person"], told["portals"], told["refused"]) == (0, "ana", ["acq", "b2b"], None)
    assert set(checks.values()) == {"passed"}
    assert (told["says"]["holder"], told["says"]["sha-256"]) == (
        "Ana Novak",
        house.certificates.leaf("ana.novak").fingerprint,
    )
    assert "tax" not in json.dumps(told)


@pytest.mark.parametrize(
    ("name", "reason", "fails", "not_reached"),
    [
        ("gregor.zagar", "certificate_unknown", set(), set()),
        ("erik.kos", "certificate_revoked", {"revocation"}, {"second_opinion"}),
        ("seal", "certificate_is_a_seal", {"seal"}, {"path", "second_opinion", "revocation"}),
    ],
)
async def test_who_is_not_signed_in_is_told_why(certificate_house, name, reason, fails, not_reached):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    code, told, checks = await explained(house, name)

    assert code == 1
    assert told["refused"].startswith(f"{reason}: ")
    assert fails <= {check for check, outcome in checks.items() if outcome == "failed"}
    assert {check for check, outcome in checks.items() if outcome == "not_reached"} == not_reached


async def test_for_people_it_is_a_table_with_the_reasons(certificate_house):
    house = certificate_house
    code, said, _ = await explain(house, house.certificates.folder / "private" / "server-only.pem")

    assert code == 1
    assert "NO   it may be used for signing in" in said
    assert "its extended key usage is not clientAuth" in said
    assert "signs nobody in: certificate_not_for_signing_in" in said


async def test_while_nobody_can_be_asked_each_portal_tells_its_own_story_as_the_listener_does(
    certificate_houses,
):
    async with certificate_houses(environment={"AUTHPROXY__PORTALS__B2B__REVOCATION": "alarm"}) as house:
        await house.enrols(ana(house.certificates))
        await house.certificates.authority.stop()
        told = await explain_certificate(
            house.settings, (house.certificates.folder / "private" / "ana.novak.pem").read_bytes()
        )

        checks = {line.check: line.outcome for line in told.lines}
        assert (checks["revocation"], checks["second_opinion"]) == ("unknown", "passed")
        assert (told.person, told.portals, told.refused) == ("ana", ("b2b",), None)
        assert told.refused_at["acq"].startswith("revocation_unavailable: ")
        pages = [
            await signs_in(house.certificates.browser("ana.novak"), origin + "/")
            for origin in (house.acq, house.b2b)
        ]
        assert [page.status for page in pages] == [503, 200]


async def test_a_portal_that_demands_more_than_a_certificate_gives_is_named_with_its_reason_and_a_bundle_is_opened(
    certificate_houses,
):
    async with certificate_houses(acq={"level": 30}) as house:
        await house.enrols(ana(house.certificates))
        chain = [
            x509.load_pem_x509_certificate((house.certificates.folder / file).read_bytes())
            for file in ("sub.pem", "private/ana.novak.pem")
        ]
        told = await explain_certificate(house.settings, pkcs7.serialize_certificates(chain, Encoding.DER))
        assert (told.kind, told.portals) == (FileKind.BUNDLE, ("b2b",))
        assert told.refused_at["acq"].startswith("method_not_allowed_here: ")

        told = await explain_certificate(house.settings, (house.certificates.folder / "sub.pem").read_bytes())
        assert (told.kind, told.portals) == (FileKind.AUTHORITY, ())


async def test_what_is_no_certificate_and_what_is_no_file(certificate_house, tmp_path):
    (tmp_path / "letter.txt").write_text("Spoštovani")
    code, said, _ = await explain(certificate_house, tmp_path / "letter.txt")
    assert (code, "signs nobody in: certificate_unreadable: it is no certificate" in said) == (1, True)
    code, _, errors = await explain(certificate_house, tmp_path / "nowhere.pem")
    assert (code, "cannot be read" in errors) == (2, True)

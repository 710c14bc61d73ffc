"""`authproxy certificate explain`: the same story as a sign-in tells, for an operator, with an exit code."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from tests.support.certificate_house import ana
from tests.support.sandbox import ROOT


async def explain(house, file, *more):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "authproxy", "certificate", "explain", str(file), "-c", str(house.house.settings_file), *more,
        env={**os.environ, **house.environment}, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, errors = await process.communicate()
    return process.returncode, said.decode(), errors.decode()


async def explained(house, name):
    code, said, _ = await explain(house, house.folder / "private" / f"{name}.pem", "--json")
    told = json.loads(said)
    return code, told, {check["check"]: check["outcome"] for check in told["checks"]}


async def test_a_certificate_of_the_register_names_its_person_and_their_portals(certificate_house):
    house = certificate_house
    await house.enrols(ana(house))
    code, told, checks = await explained(house, "ana.novak")

    assert (code, told["person"], told["portals"], told["refused"]) == (0, "ana", ["acq", "b2b"], None)
    assert set(checks.values()) == {"passed"}
    assert (told["says"]["holder"], told["says"]["sha-256"]) == ("Ana Novak", house.leaf("ana.novak").fingerprint)
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
    await house.enrols(ana(house))
    code, told, checks = await explained(house, name)

    assert code == 1
    assert told["refused"].startswith(f"{reason}: ")
    assert fails <= {check for check, outcome in checks.items() if outcome == "failed"}
    assert {check for check, outcome in checks.items() if outcome == "not_reached"} == not_reached


async def test_for_people_it_is_a_table_with_the_reasons(certificate_house):
    house = certificate_house
    code, said, _ = await explain(house, house.folder / "private" / "server-only.pem")

    assert code == 1
    assert "NO   it may be used for signing in" in said
    assert "its extended key usage is not clientAuth" in said
    assert "signs nobody in: certificate_not_for_signing_in" in said


async def test_while_nobody_can_be_asked_it_says_so(certificate_house):
    house = certificate_house
    await house.authority.stop()
    code, told, checks = await explained(house, "ana.novak")

    assert (code, checks["path"], checks["revocation"]) == (1, "passed", "not_reached")
    assert told["refused"].startswith("revocation_unavailable: ")


async def test_what_is_no_certificate_and_what_is_no_file(certificate_house, tmp_path):
    (tmp_path / "letter.txt").write_text("Spoštovani")
    code, said, _ = await explain(certificate_house, tmp_path / "letter.txt")
    assert (code, "signs nobody in: certificate_unreadable" in said) == (1, True)
    code, _, errors = await explain(certificate_house, tmp_path / "nowhere.pem")
    assert (code, "cannot be read" in errors) == (2, True)

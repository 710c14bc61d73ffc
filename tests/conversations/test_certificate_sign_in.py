"""Signing in with a client certificate: over the chooser to the host where certificates are shown, and back
to the portal's page."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from authproxy.access.decision import Reason
from authproxy.bootstrap.audited_register import audited_register
from tests.support.certificate_host import ana, choosing, signs_in, to_certificate_host
from tests.support.gateway import FLOW, TICKET
from tests.support.http_client import Browser, Form
from tests.support.log_lines import log_lines

PLACE = "/?izpis=2026-11"


def session_of(house, browser):
    return browser.cookies.get(house.acq, TICKET)


async def whoami(house, browser):
    return (await browser.fetch(f"{house.acq}/.authproxy/session")).json


async def test_a_certificate_of_the_register_leads_to_the_page_that_was_asked_for(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    page = await signs_in(browser, house.acq + PLACE)

    assert (page.status, page.url) == (200, house.acq + PLACE)
    assert "Ana Novak" in page.text
    me = await whoami(house, browser)
    assert (me["subject"], me["name"], me["method"], me["level"]) == ("ana", "Ana Novak", "acnlb", 20)
    started, accepted = house.events("session.started"), house.events("certificate.accepted")
    assert (started[0]["method"], started[0]["level"]) == ("acnlb", 20)
    assert accepted[0]["detail"].startswith(
        f"certificate {house.certificates.leaf('ana.novak').fingerprint}: not revoked, says "
    )


async def test_what_travels_says_neither_who_nor_where(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    await signs_in(browser, house.acq + PLACE)

    there, back = [
        answer.location for answer in browser.history if answer.is_redirect and "hop=" in answer.location
    ]
    assert re.fullmatch(rf"https://localhost:{house.certificates.port}/\?hop=[A-Za-z0-9_-]{{200,600}}", there)
    assert re.fullmatch(rf"{house.acq}/\.authproxy/callback/acnlb\?hop=[A-Za-z0-9_-]{{200,600}}", back)
    assert there.partition("hop=")[2] != back.partition("hop=")[2]
    for secret in (there.partition("hop=")[2], back.partition("hop=")[2]):
        assert secret not in house.audit


async def test_the_portal_hears_the_method_and_the_level_of_a_certificate(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    page = await signs_in(browser, house.acq + PLACE)

    assert "acnlb" in page.text
    assert house.events("session.started")[0]["person"] is not None


REFUSALS = {
    None: (Reason.CERTIFICATE_MISSING, "Brskalnik ni predložil certifikata"),
    "franc.golob": (Reason.CERTIFICATE_EXPIRED, "Vaš certifikat je potekel"),
    "not-yet-valid": (Reason.CERTIFICATE_NOT_YET_VALID, "Vaš certifikat še ni veljaven"),
    "erik.kos": (Reason.CERTIFICATE_REVOKED, "Vaš certifikat je preklican"),
    "impostor": (Reason.CERTIFICATE_UNTRUSTED, "Tega certifikata ne sprejemamo"),
    "impostor-ana": (Reason.CERTIFICATE_UNTRUSTED, "Tega certifikata ne sprejemamo"),
    "nonrepudiation": (Reason.CERTIFICATE_NOT_FOR_SIGNING_IN, "Ta certifikat ni namenjen prijavi"),
    "server-only": (Reason.CERTIFICATE_NOT_FOR_SIGNING_IN, "Ta certifikat ni namenjen prijavi"),
    "foreign-policy": (Reason.CERTIFICATE_NOT_FOR_SIGNING_IN, "Ta certifikat ni namenjen prijavi"),
    "seal": (Reason.CERTIFICATE_IS_A_SEAL, "Ta certifikat pripada organizaciji"),
    "seal-qscd": (Reason.CERTIFICATE_IS_A_SEAL, "Ta certifikat pripada organizaciji"),
    "sha1": (Reason.CERTIFICATE_WEAK, "Ta certifikat ni več dovolj varen"),
    "rsa-1024": (Reason.CERTIFICATE_WEAK, "Ta certifikat ni več dovolj varen"),
}


async def test_every_refusal_is_a_page_with_a_code_that_closes_the_connection_and_signs_nobody_in(
    certificate_house,
):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    for name, (reason, title) in REFUSALS.items():
        browser = house.certificates.browser(name)
        page = await to_certificate_host(browser, house.acq + PLACE)

        assert (page.status, page.heading) == (403, title), name
        assert f"<code>{reason}-" in page.text, name
        assert f"{house.acq}/.authproxy/login?" in page.text, name
        assert page.header("connection") == "close", name
        assert not page.all("set-cookie"), name
        assert session_of(house, browser) is None
        [event] = [each for each in house.events("certificate.refused") if each["request_id"] in page.text]
        assert (event["reason"], event["portal"], event["method"]) == (reason, "acq", "acnlb"), name
    assert house.events("session.started") == []
    assert not any(name in house.audit for name in ("Golob", "franc.golob", "Novak"))


async def test_the_handshake_itself_judges_nothing(certificate_house):
    """Its clock is the machine's. Whether a certificate of next year is valid is asked of the gateway's, once
    for every way to show one."""
    house = certificate_house
    begins_in = house.certificates.leaf("not-yet-valid").not_before - house.clock()
    house.clock.advance(seconds=begins_in.total_seconds() + 3600)
    await house.enrols(ana(house.certificates, certificates=(house.certificates.named("not-yet-valid"),)))
    page = await signs_in(house.certificates.browser("not-yet-valid"), house.acq + PLACE)

    assert (page.status, page.url) == (200, house.acq + PLACE)


async def test_after_a_refusal_another_certificate_may_be_shown_on_the_same_way(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("franc.golob")
    refused = await to_certificate_host(browser, house.acq + PLACE)
    assert refused.status == 403
    browser.tls = house.certificates.browser("ana.novak").tls

    page = await browser.follow(await browser.follow(await browser.navigate(refused.url)))
    assert (page.status, page.url) == (200, house.acq + PLACE)


async def test_a_valid_certificate_that_nobody_has_registered_signs_nobody_in(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("gregor.zagar")
    page = await signs_in(browser, house.acq + PLACE)

    assert (page.status, page.heading) == (403, "Vaš certifikat ni vpisan v register")
    assert session_of(house, browser) is None
    [event] = house.events("sign_in.refused")
    assert (event["reason"], event["detail"]) == (
        "certificate_unknown",
        f"certificate {house.certificates.leaf('gregor.zagar').fingerprint}",
    )


async def test_the_code_of_the_page_links_the_certificate_that_was_shown(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates, certificates=()))
    page = await signs_in(house.certificates.browser("ana.novak"), house.acq + PLACE)
    [code] = set(re.findall(r"<code>(certificate_unknown-\w+)</code>", page.text))
    assert "Sporočite mu tudi kodo s te strani" in page.text

    async with audited_register(house.settings) as register:
        assert await register.refused_certificate("certificate_unknown-0000000000000000") is None
        shown = await register.refused_certificate(code)
        assert hashlib.sha256(shown).hexdigest() == house.certificates.leaf("ana.novak").fingerprint
        await register.link("ana", certificate=house.certificates.named("ana.novak"))
    assert (await signs_in(house.certificates.browser("ana.novak"), house.acq + PLACE)).status == 200


@pytest.mark.parametrize("changes", [{"is_blocked": True}, {"tax_number": None}])
async def test_who_may_not_come_in_is_told_only_that(certificate_house, changes):
    house = certificate_house
    await house.enrols(ana(house.certificates, **changes))
    browser = house.certificates.browser("ana.novak")
    page = await signs_in(browser, house.acq + PLACE)

    assert (page.status, page.heading) == (403, "Do tega portala nimate dostopa")
    assert session_of(house, browser) is None
    assert house.events("sign_in.refused")[0]["reason"] == "not_a_member"


async def test_a_portal_for_members_admits_those_whom_the_register_names_for_it(certificate_houses):
    async with certificate_houses(acq={"members": "register"}) as house:
        await house.enrols(ana(house.certificates, portals=["b2b"]))
        refused = await signs_in(house.certificates.browser("ana.novak"), house.acq + PLACE)
        await house.enrols(ana(house.certificates, portals=["acq"]))
        admitted = await signs_in(house.certificates.browser("ana.novak"), house.acq + PLACE)

        assert (refused.status, refused.heading) == (403, "Do tega portala nimate dostopa")
        assert admitted.status == 200


async def test_a_blocked_persons_next_request_is_refused(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    await signs_in(browser, house.acq + PLACE)
    async with audited_register(house.settings) as register:
        await register.block("ana", "lost card")

    assert (await browser.fetch(house.acq + "/", mode="navigate")).status == 303


# Nobody else's way.


async def test_a_certificate_shown_on_somebody_elses_way_signs_neither_of_them_in(certificate_house):
    """An attacker begins, and makes Ana open where it leads: her browser shows her certificate by itself."""
    house = certificate_house
    await house.enrols(ana(house.certificates))
    attacker, victim = house.certificates.browser(), house.certificates.browser("ana.novak")
    way = (await choosing(attacker, house.acq + PLACE)).location
    back = await victim.navigate(way)
    assert back.status == 303

    for secret in (way.partition("hop=")[2], "A" * 43, ""):
        stolen = await attacker.navigate(f"{house.acq}/.authproxy/callback/acnlb?hop={secret}")
        assert (stolen.status, stolen.heading) == (400, "Te prijave ni mogoče najti")
    await victim.navigate(house.acq + PLACE)
    landed = await victim.follow(back)
    assert landed.status == 400
    assert (session_of(house, attacker), session_of(house, victim)) == (None, None)
    assert house.events("session.started") == []


async def test_the_way_back_is_worth_nothing_in_another_browser(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    owner, thief = house.certificates.browser("ana.novak"), house.certificates.browser()
    back = await to_certificate_host(owner, house.acq + PLACE)
    await choosing(thief, house.acq + PLACE)

    stolen = await thief.follow(back)
    assert (stolen.status, stolen.heading) == (400, "Ta prijava se je začela v drugem brskalniku")
    assert "izpis" not in stolen.text
    assert session_of(house, thief) is None
    late = await owner.follow(back)
    assert (late.status, late.heading) == (400, "Ta prijava je že bila uporabljena")


async def test_a_repeated_way_back_goes_on_without_a_word_where_somebody_is_signed_in(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    back = await to_certificate_host(browser, house.acq + PLACE)
    await browser.follow(back)
    ticket = session_of(house, browser)

    again = await browser.follow(back)
    assert (again.status, again.location) == (303, house.acq + PLACE)
    assert session_of(house, browser) == ticket
    browser.cookies.put(house.acq, TICKET, None)
    assert (await browser.follow(back)).status == 400


async def test_without_the_flow_cookie_nobody_is_signed_in(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    back = await to_certificate_host(browser, house.acq + PLACE)
    browser.cookies.put(house.acq, FLOW, None)

    page = await browser.follow(back)
    assert (page.status, page.heading) == (400, "Vaš brskalnik ne shranjuje piškotkov")


async def test_the_way_back_leads_to_the_portal_where_it_began_and_to_no_other(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    back = await to_certificate_host(browser, house.acq + PLACE)
    await browser.navigate(house.b2b + "/.authproxy/login")

    page = await browser.navigate(back.location.replace(house.acq, house.b2b))
    assert page.status == 400
    assert browser.cookies.get(house.b2b, TICKET) is None


@pytest.mark.parametrize(("before", "after"), [(31, 0), (0, 6)])
async def test_what_took_too_long_signs_nobody_in(certificate_house, before, after):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    way = await choosing(browser, house.acq + PLACE)
    house.clock.advance(minutes=before)
    back = await browser.follow(way)
    house.clock.advance(minutes=after)
    page = await browser.follow(back) if back.is_redirect else back

    assert page.status == 400
    assert session_of(house, browser) is None


async def test_an_attempt_at_the_provider_is_no_way_to_show_a_certificate_nor_the_other_way_round(
    certificate_house,
):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    chooser = await browser.follow(await browser.navigate(house.acq + PLACE))
    form = chooser.forms[0]
    state = re.search(r"state=([^&]+)", (await browser.submit(chooser, form, {"method": "rekono"})).location)[
        1
    ]
    hop = (await browser.submit(chooser, form, {"method": "acnlb"})).location.partition("hop=")[2]

    assert (await browser.navigate(f"{house.certificates.url}/?hop={state}")).status == 400
    page = await browser.navigate(f"{house.acq}/.authproxy/callback/rekono?state={hop}&code=c")
    assert (page.status, page.heading) == (400, "Te prijave ni mogoče najti")


async def test_what_begins_at_one_instance_may_be_shown_and_end_at_another(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    async with house.second_gateway() as port:
        [other] = house.others
        way = await choosing(browser, house.acq + PLACE)
        back = await browser.navigate(
            way.location.replace(f":{house.certificates.port}", f":{other.certificate_listener.address[1]}")
        )
        page = await browser.navigate(back.location, port=port)

        assert (page.status, page.location) == (303, house.acq + PLACE)
        assert (await whoami(house, browser))["method"] == "acnlb"


# The connection.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_of_tls_bring_the_certificate(certificate_house, version):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    page = await signs_in(house.certificates.browser("ana.novak", maximum=version), house.acq + PLACE)
    assert page.status == 200


async def test_older_versions_of_tls_are_not_spoken(certificate_house):
    context = certificate_house.certificates.browser().tls
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection("localhost", certificate_house.certificates.port, ssl=context)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_the_names_of_the_authorities_are_sent_and_no_session_is_resumed(
    certificate_house, tmp_path, version
):
    async def asks(*more):
        process = await asyncio.create_subprocess_exec(
            "openssl",
            "s_client",
            "-connect",
            f"localhost:{certificate_house.certificates.port}",
            version,
            *more,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return (await process.communicate())[0].decode()

    said = await asks("-sess_out", str(tmp_path / "session"))
    assert "CN = ACNLB SubCA" in said.partition("Acceptable client certificate CA names")[2]
    if (tmp_path / "session").exists():
        assert "Reused" not in await asks("-sess_in", str(tmp_path / "session"))


async def test_certificates_that_are_shown_too_fast_from_one_address_are_told_to_wait(certificate_houses):
    async with certificate_houses(
        environment={"AUTHPROXY__SERVER__LIMITS__PER_MINUTE__CALLBACKS": "1"}
    ) as house:
        await house.enrols(ana(house.certificates))
        browser = house.certificates.browser("ana.novak")
        way = await choosing(browser, house.acq + PLACE)
        assert (await browser.follow(way)).status == 303
        again = await browser.follow(way)
        assert (again.status, again.header("retry-after"), again.heading) == (429, "60", "Preveč zahtev")


async def test_the_address_alone_says_where_to_begin(certificate_house):
    house = certificate_house
    for path in ("/", "/?hop=", "/?hop=" + "A" * 43):
        page = await house.certificates.browser("ana.novak").navigate(house.certificates.url + path)
        assert (page.status, page.heading) == (400, "Začnite na portalu")
        assert f"{house.acq}/" in page.links
    assert (
        await house.certificates.browser().navigate(house.certificates.url + "/.authproxy/login")
    ).status == 404


async def test_the_language_that_was_chosen_is_spoken_on_the_way(certificate_house):
    house = certificate_house
    page = await to_certificate_host(house.certificates.browser(), f"{house.acq}/.authproxy/login?lang=en")
    assert page.heading == "Your browser has presented no certificate"


# Revocation.


async def test_a_certificate_that_is_revoked_ends_its_sessions_everywhere(certificate_houses):
    async with certificate_houses(acq={"idle": "30m"}) as house:
        await house.enrols(ana(house.certificates))
        browser = house.certificates.browser("ana.novak")
        await signs_in(browser, house.acq + PLACE)
        house.clock.advance(minutes=6)
        await house.gateway.certificates.look()
        assert (await browser.fetch(house.acq + "/")).status == 200

        await house.certificates.revokes("ana.novak")
        house.clock.advance(minutes=6)
        async with house.second_gateway() as second:
            assert (await browser.request("GET", house.acq + "/", port=second)).status == 200
            await house.gateway.certificates.look()

            async def is_over_there():
                return (await browser.request("GET", house.acq + "/", port=second)).status == 401

            assert (await browser.fetch(house.acq + "/")).status == 401
            await house.at_once(is_over_there)
        [event] = house.events("session.revoked")
        assert (event["by"], event["reason"], event["method"], event["portal"]) == (
            "authority",
            "certificate_revoked",
            "acnlb",
            "acq",
        )


async def test_while_nobody_can_be_asked_people_stay_signed_in(certificate_houses):
    async with certificate_houses(acq={"idle": "30m"}) as house:
        await house.enrols(ana(house.certificates))
        browser = house.certificates.browser("ana.novak")
        await signs_in(browser, house.acq + PLACE)
        await house.certificates.authority.stop()
        house.clock.advance(minutes=20)
        await house.gateway.certificates.look()

        assert (await browser.fetch(house.acq + "/")).status == 200


async def test_nobody_signs_in_while_revocation_cannot_be_found_out(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    await house.certificates.authority.stop()
    browser = house.certificates.browser("ana.novak")
    with log_lines() as log:
        page = await to_certificate_host(browser, house.acq + PLACE)

    assert [line["portal"] for line in log.lines() if line["event"] == "request.unanswerable"] == ["acq"]
    assert (page.status, page.heading, page.header("retry-after")) == (
        503,
        "Certifikata ni bilo mogoče preveriti",
        "5",
    )
    assert house.events("session.started") == []
    [event] = house.events("certificate.refused")
    assert (event["reason"], event["portal"], event["method"]) == ("revocation_unavailable", "acq", "acnlb")
    assert event["detail"].startswith(
        f"certificate {house.certificates.leaf('ana.novak').fingerprint}: OCSP: "
    )


async def test_a_portal_may_let_people_in_then_and_has_it_recorded(certificate_houses):
    async with certificate_houses(acq={"revocation": "alarm"}) as house:
        await house.enrols(ana(house.certificates))
        await house.certificates.authority.stop()
        page = await signs_in(house.certificates.browser("ana.novak"), house.acq + PLACE)

        assert page.status == 200
        assert house.events("certificate.accepted")[0]["reason"] == "revocation_unavailable"
        metrics = (await Browser().request("GET", house.management + "/metrics")).text
        assert 'authproxy_fail_open_total{what="certificate"} 1.0' in metrics


async def test_a_replaced_host_certificate_is_shown_from_the_next_connection_on(certificate_house):
    house, folder = certificate_house, certificate_house.certificates.folder.parent
    fresh = trustme.CA()
    issued = fresh.issue_cert("localhost")
    (folder / "host.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "host.key").write_bytes(issued.private_key_pem.bytes())
    trusting = ssl.create_default_context()
    fresh.configure_trust(trusting)
    with pytest.raises(ssl.SSLCertVerificationError):
        await Browser(tls=trusting).request("GET", f"{house.certificates.url}/")

    house.gateway.own_certificates.look()
    assert (await Browser(tls=trusting).request("GET", f"{house.certificates.url}/")).status == 400


async def test_readiness_tells_of_certificates_about_which_nobody_may_be_asked(certificate_houses):
    alarm = {"AUTHPROXY__PORTALS__ACQ__REVOCATION": "alarm", "AUTHPROXY__PORTALS__B2B__REVOCATION": "alarm"}
    async with certificate_houses(environment=alarm | {"AUTHPROXY__ACNLB__REVOCATION__MOVED": ""}) as house:
        await house.enrols(ana(house.certificates))
        assert (await signs_in(house.certificates.browser("ana.novak"), house.acq + PLACE)).status == 200
        told = (await Browser().request("GET", house.management + "/readyz")).json["checks"]["revocation"]
        assert (told["status"], "no list and no responder may be asked" in told["detail"]) == (
            "warning",
            True,
        )
        assert (
            "no list and no responder may be asked (addresses in the certificate: "
            in house.events("certificate.accepted")[0]["detail"]
        )


async def test_readiness_and_metrics_tell_of_the_sources(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    await signs_in(house.certificates.browser("ana.novak"), house.acq + PLACE)
    told = (await Browser().request("GET", house.management + "/readyz")).json["checks"]["revocation"]
    assert told["status"] == "ok", told
    own = (await Browser().request("GET", house.management + "/readyz")).json["checks"]["own_certificates"]
    assert (own["status"], re.fullmatch(r"acnlb\.tls: \d+ days left", own["detail"]) is not None) == (
        "ok",
        True,
    )
    metrics = (await Browser().request("GET", house.management + "/metrics")).text
    assert 'authproxy_revocation_sources{source="ocsp",state="usable"} 1.0' in metrics
    assert 'authproxy_sessions_started_total{method="acnlb",portal="acq"} 1.0' in metrics


async def test_readiness_tells_that_the_certificate_of_our_own_listener_ends(certificate_house):
    house = certificate_house
    house.clock.advance(days=360_000)  # it is good until the year 3000
    own = (await Browser().request("GET", house.management + "/readyz")).json["checks"]["own_certificates"]
    assert own["status"] == "warning"
    assert own["detail"].startswith("acnlb.tls has expired on ")


# The end of ACNLB.


async def test_people_are_told_to_move_on_from_a_day_that_the_operator_sets(certificate_houses):
    async with certificate_houses(environment={"AUTHPROXY__ACNLB__WARN_FROM": "2026-01-01"}) as house:
        await house.enrols(ana(house.certificates))
        browser = house.certificates.browser("ana.novak")
        chooser = await browser.follow(await browser.navigate(house.acq + PLACE))
        await signs_in(browser, house.acq + PLACE)
        mine = await browser.navigate(f"{house.acq}/.authproxy/session")

        for page in (chooser, mine):
            assert "Certifikate ACNLB sprejemamo še do:" in page.text
            assert "28. 6. 2028" in page.text


async def test_after_the_last_day_no_certificate_signs_anybody_in(certificate_houses):
    environment = {"AUTHPROXY__ACNLB__WARN_FROM": "2025-01-01", "AUTHPROXY__ACNLB__STOP_AT": "2026-01-01"}
    async with certificate_houses(environment=environment) as house:
        await house.enrols(ana(house.certificates))
        page = await to_certificate_host(house.certificates.browser("ana.novak"), house.acq + PLACE)
        assert (page.status, page.heading) == (403, "Certifikatov ACNLB ne sprejemamo več")


# Certificates that a terminator of TLS passes on.


def forwarded(house, name, **more):
    pem = (Path(house.certificates.folder) / "private" / f"{name}.pem").read_text()
    own = "-----BEGIN CERTIFICATE-----" + pem.split("-----BEGIN CERTIFICATE-----")[1]
    return {"X-SSL-Client-Cert": quote(own.strip() + "\n"), "X-SSL-Client-Verify": "SUCCESS", **more}


NGINX = {
    "AUTHPROXY__ACNLB__PRESENTED_BY": "nginx",
    "AUTHPROXY__ACNLB__TRUSTED_TERMINATORS": "127.0.0.1",
    "AUTHPROXY__ACNLB__TLS__CERTIFICATE_FILE": "",
    "AUTHPROXY__ACNLB__TLS__KEY_FILE": "",
}


async def test_a_trusted_terminator_passes_the_certificate_on(certificate_houses):
    async with certificate_houses(environment=NGINX) as house:
        await house.enrols(ana(house.certificates))
        browser = Browser()
        way = (await choosing(browser, house.acq + PLACE)).location.replace("https:", "http:")
        back = await browser.navigate(
            way, headers=forwarded(house, "ana.novak", **{"X-Forwarded-For": "203.0.113.9"})
        )
        await browser.follow(back)

        assert (await whoami(house, browser))["subject"] == "ana"
        assert house.events("certificate.accepted")[0]["client"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "certificate_unreadable"),
        ({"X-SSL-Client-Verify": "NONE", "X-SSL-Client-Cert": ""}, "certificate_missing"),
        ({"X-SSL-Client-Verify": "FAILED:certificate has expired"}, "certificate_untrusted"),
        ({"X-SSL-Client-Cert": "rubbish"}, "certificate_unreadable"),
        ({"X_SSL_Client_Cert": "rubbish"}, "certificate_unreadable"),
    ],
)
async def test_what_a_terminator_passes_on_is_read_strictly(certificate_houses, headers, reason):
    async with certificate_houses(environment=NGINX) as house:
        await house.enrols(ana(house.certificates))
        browser = Browser()
        way = (await choosing(browser, house.acq + PLACE)).location.replace("https:", "http:")
        sent = forwarded(house, "ana.novak") | headers if headers else {}
        page = await browser.navigate(way, headers=sent)

        assert page.status == 403
        assert house.events("certificate.refused")[0]["reason"] == reason


async def test_nobody_but_the_terminator_is_believed(certificate_houses):
    async with certificate_houses(
        environment=NGINX | {"AUTHPROXY__ACNLB__TRUSTED_TERMINATORS": "203.0.113.0/24"}
    ) as house:
        await house.enrols(ana(house.certificates))
        browser = Browser()
        way = (await choosing(browser, house.acq + PLACE)).location.replace("https:", "http:")
        page = await browser.navigate(way, headers=forwarded(house, "ana.novak"))

        assert page.status == 403
        assert house.events("certificate.refused")[0]["reason"] == "untrusted_peer"
        assert house.events("session.started") == []


async def test_signing_out_after_a_certificate_asks_nothing_of_the_provider(certificate_house):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    await signs_in(browser, house.acq + PLACE)
    page = await browser.navigate(f"{house.acq}/.authproxy/logout")
    [form] = [form for form in page.forms if form.action.endswith("/logout")]
    assert isinstance(form, Form)
    ended = await browser.submit(page, form)
    while ended.is_redirect:
        ended = await browser.follow(ended)

    assert ended.heading == "Odjavljeni ste"
    assert "Brskalnik si vaš certifikat zapomni, dokler brskalnika ne zaprete" in ended.text
    assert "pri Rekonu" not in ended.text
    assert (await browser.fetch(house.acq + "/")).status == 401
    assert not any("endsession" in asked for asked in house.provider.asked)


async def test_a_form_that_was_sent_after_the_end_of_the_session_waits_for_a_sign_in_with_a_certificate_too(
    certificate_house,
):
    house = certificate_house
    await house.enrols(ana(house.certificates))
    browser = house.certificates.browser("ana.novak")
    await signs_in(browser, house.acq + "/vnos")
    house.advance(minutes=16)
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Referer": house.acq + "/vnos"}
    met = await browser.post(house.acq + "/vnos", {"besedilo": "november"}, headers=headers)
    assert "&held=" in met.location
    shown = await signs_in(browser, met.location)
    assert (shown.status, "november" in shown.text) == (200, True)
    [form] = [form for form in shown.forms if "authproxy-held" in form.fields]
    assert (await browser.submit(shown, form)).status == 200
    assert house.portal.asked.count("POST /vnos") == 1

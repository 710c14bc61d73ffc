from __future__ import annotations

import base64
import json
import os
import pwd
import re
import socket
import time
from dataclasses import replace

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs7, pkcs12

from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.member import issuer_and_serial
from authproxy.identity.person import Issuer, MemberId, Person, Subject, TaxNumber
from authproxy.storage.redis.audit_queue import MOST_WAITING
from authproxy.storage.redis.keys import AUDIT_ENTRIES
from tests.support.certificate_builder import Authority, der, ec_key, pem
from tests.support.people_desk import ANA, ANAS, CVETKA, HEADER, Desk
from tests.support.session_builders import NOW, new_ticket, session_for
from tests.support.terminal import CTRL_C, CTRL_D, at_a_terminal

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture
def desk(config):
    return Desk(config)


def test_a_list_is_imported_listed_and_shown_without_numbers(desk):
    assert desk.imported(ANA, CVETKA) == "2 added, 0 changed, 0 removed, 0 as they were; 0 sessions ended\n"
    rows = json.loads(desk.run("list", "--json").stdout)
    assert [(row["id"], row["portals"], row["blocked"]) for row in rows] == [
        ("ana", ["acq", "b2b"], False),
        ("cvetka", ["*"], False),
    ]
    table = desk.run("list", "--portal", "acq")
    assert table.stdout.splitlines()[1].split() == ["ana", "Ana", "Novak", "acq", "|", "b2b", "0", "0", "no"]
    assert table.stderr.endswith("2 people, revision 1\n")
    shown = desk.run("show", "ana").stdout
    assert "*****008" in shown
    assert "+********456" in shown
    assert desk.shown("cvetka")["phone"] is None
    assert not any(number in shown + table.output for number in ("99990008", "40123456"))


def test_a_list_with_a_fault_changes_nothing_and_all_faults_are_told(desk):
    desk.imported(ANA)
    result = desk.run("import", desk.file(f"{HEADER}{CVETKA}a b;1;;;;x;;\n"), code=1)
    assert result.stderr.count("people.csv:3: ") == 4
    assert result.stderr.endswith("4 findings; nothing was changed\n")
    assert [row["id"] for row in json.loads(desk.run("list", "--json").stdout)] == ["ana"]


def test_a_contradiction_with_the_register_is_told_with_its_line(desk):
    desk.imported(ANA)
    result = desk.run("import", desk.file(f"{HEADER}bor;99990008;Bor;;;acq;;\n"), code=1)
    assert "people.csv:2: tax_number: is that of `ana` in the register" in result.stderr


def test_a_rehearsal_changes_nothing_and_leaves_no_audit_event(desk):
    result = desk.run("import", desk.file(HEADER + ANA), "--dry-run", "--replace")
    assert result.stdout == "would be: 1 added, 0 changed, 0 removed, 0 as they were\n"
    assert json.loads(desk.run("list", "--json").stdout) == []
    assert desk.every_event() == []


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfei", HEADER.encode(), f"{HEADER}ana;;Ana Žužemberk;;;acq;;".encode("cp1250")]
)
def test_what_is_no_list_has_an_exit_code_of_its_own(desk, content):
    file = desk.folder / "people.csv"
    if content is not None:
        file.write_bytes(content)
    assert str(file) in desk.run("import", file, code=2).stderr


def test_blocking_ends_sessions_and_is_audited_without_its_reason(desk):
    desk.imported(ANA)
    desk.sign_in(
        person=session_for(new_ticket()).person.__class__(issuer="https://x/", subject="s", member="ana")
    )
    assert (
        desk.run("block", "ana", "--reason", "izgubljena kartica").stdout
        == "ana: blocked; 1 sessions ended\n"
    )
    assert desk.shown("ana")["reason"] == "izgubljena kartica"
    assert desk.run("unblock", "ana").stdout == "ana: not blocked; no wrong answers; 0 sessions ended\n"
    assert desk.shown("ana")["blocked"] is None
    events = desk.events()
    assert [event["event"] for event in events] == ["person.imported", "person.blocked", "person.unblocked"]
    assert events[1]["person"] == events[2]["person"] != "ana"
    assert "kartica" not in json.dumps(events)


def test_unblocking_lets_somebody_answer_again_whom_wrong_codes_have_blocked(desk):
    desk.imported(ANA)
    desk.answer_wrongly(ANAS)
    assert desk.is_blocked(ANAS)
    assert (
        desk.run("unblock", "ana").stdout == "ana: not blocked; wrong answers forgotten; 0 sessions ended\n"
    )
    assert not desk.is_blocked(ANAS)
    assert desk.events()[-1]["detail"] == "0 sessions ended; wrong answers forgotten"


def test_somebody_outside_the_register_is_unblocked_by_their_account(desk):
    owner = ("account", "https://provider/", "sub")
    desk.answer_wrongly(owner)
    told = [desk.run("unblock", "--subject", *owner[1:]).stdout for _ in range(2)]
    assert told == ["sub: wrong answers forgotten\n", "sub: no wrong answers\n"]
    assert not desk.is_blocked(owner)
    assert [(event["event"], event["by"]) for event in desk.events()] == [
        ("person.unblocked", "operator")
    ] * 2
    assert "sub" not in {event["person"] for event in desk.events()}


def test_unblocking_needs_one_name(desk):
    desk.run("unblock", code=2)
    desk.run("unblock", "ana", "--subject", "a", "b", code=2)


@pytest.mark.parametrize(
    "command", [["show"], ["block"], ["unblock"], ["link", "--subject", "https://x/", "s"]]
)
def test_nobody_of_that_id_is_an_exit_code(desk, command):
    result = desk.run(*command, "david", code=1)
    assert result.stderr == "nobody in the register has the id david\n"


ROOT = Authority.root()
SUB = ROOT.authority()
LEAF = SUB.person()


def bundle(*certificates, encoding=Encoding.DER):
    return pkcs7.serialize_certificates(certificates, encoding)


FORMS = {
    "ana.pem": pem(LEAF).encode(),
    "chain.pem": (pem(SUB.certificate) + pem(LEAF) + pem(ROOT.certificate)).encode(),
    "ana.cer": der(LEAF),
    "ana.p7b": bundle(SUB.certificate, LEAF),
    "pem.p7b": bundle(LEAF, ROOT.certificate, encoding=Encoding.PEM),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_certificate_is_linked_from_its_file_whatever_its_form_and_order(desk, tmp_path, name):
    desk.imported(ANA, CVETKA)
    (tmp_path / name).write_bytes(FORMS[name])
    linked = desk.run("link", "ana", "--certificate", tmp_path / name, "--yes")
    assert linked.stdout == "ana: linked; 0 sessions ended\n"
    fingerprint = LEAF.fingerprint(SHA256()).hex()
    assert all(
        each in linked.stderr
        for each in (
            "holder       Ana Novak\n",
            f"sha-256      {fingerprint}\n",
            "nobody yet: the settings have no section",
        )
    )
    [shown] = desk.shown("ana")["certificates"]
    assert shown.startswith(fingerprint)
    assert (
        issuer_and_serial(LEAF.issuer.rfc4514_string(), LEAF.serial_number).value.split("\0")
        == shown.split(", ", 1)[1].split("@", 1)[::-1]
    )
    assert (
        "this fingerprint is that of ana"
        in desk.run("link", "cvetka", "--certificate", tmp_path / name, "--yes", code=1).stderr
    )
    [event] = [event for event in desk.events() if event["event"] == "person.linked"]
    assert event["detail"] == f"certificate {fingerprint}"


ODD = {
    "is the certificate of an authority (a CA)": pem(SUB.certificate).encode(),
    "holds the certificates of 2 holders": (pem(LEAF) + pem(SUB.person())).encode(),
    "is a request for a certificate": x509.CertificateSigningRequestBuilder()
    .subject_name(LEAF.subject)
    .sign(ec_key(), SHA256())
    .public_bytes(Encoding.DER),
    "is a PKCS #12 file (.p12, .pfx)": pkcs12.serialize_key_and_certificates(
        b"ana", ec_key(), None, None, BestAvailableEncryption(b"secret")
    ),
    "is no certificate in DER": b"rubbish",
}


@pytest.mark.parametrize("problem", ODD)
def test_what_is_nobodys_certificate_is_not_linked_and_is_named(desk, tmp_path, problem):
    desk.imported(ANA)
    (tmp_path / "odd").write_bytes(ODD[problem])
    assert problem in desk.run("link", "ana", "--certificate", tmp_path / "odd", "--yes", code=1).stderr
    assert desk.shown("ana")["certificates"] == []


def test_without_a_terminal_linking_must_be_agreed_to(desk, tmp_path):
    desk.imported(ANA)
    (tmp_path / "ana.pem").write_bytes(FORMS["ana.pem"])
    assert "say --yes" in desk.run("link", "ana", "--certificate", tmp_path / "ana.pem", code=2).stderr
    assert desk.shown("ana")["certificates"] == []


@pytest.mark.parametrize(
    ("keys", "is_linked"),
    [("y\n", True), ("n\n", False), ("\n", False), (CTRL_D, False), (CTRL_C, False)],
    ids=["yes", "no", "nothing", "Ctrl-D", "Ctrl-C"],
)
def test_at_a_terminal_it_is_shown_whose_the_certificate_is_and_asked_before_it_is_linked(
    desk, tmp_path, keys, is_linked
):
    desk.imported(ANA)
    (tmp_path / "ana.pem").write_bytes(FORMS["ana.pem"])
    code, shown = at_a_terminal(
        "people",
        "link",
        "ana",
        "--certificate",
        tmp_path / "ana.pem",
        "-c",
        desk.config,
        asked="[y/N]: ",
        keys=keys,
    )
    before, _, after = shown.partition("Is this the certificate of Ana Novak (ana)? [y/N]: ")
    assert all(
        each in before
        for each in ("holder       Ana Novak\n", f"sha-256      {LEAF.fingerprint(SHA256()).hex()}\n")
    )
    assert (code, "ana: linked" in after, "Traceback" in after) == (0 if is_linked else 1, is_linked, False)
    assert bool(desk.shown("ana")["certificates"]) is is_linked
    assert ("person.linked" in {event["event"] for event in desk.every_event()}) is is_linked


def test_what_is_shown_of_somebody_commands_no_terminal(desk):
    desk.imported(ANA)
    desk.run("block", "ana", "--reason", "Red\x9b31m")
    for words in (("show", "ana"), ("show", "ana", "--json")):
        assert "Red\\u009b31m" in desk.run(*words).stdout
    assert desk.shown("ana")["reason"] == "Red\x9b31m"


def test_where_there_is_nobody_or_nothing_to_link_nothing_is_shown_or_asked(desk, tmp_path):
    desk.imported(ANA)
    (tmp_path / "ana.pem").write_bytes(FORMS["ana.pem"])
    assert (
        desk.run("link", "david", "--certificate", tmp_path / "ana.pem", code=1).stderr
        == "nobody in the register has the id david\n"
    )
    assert desk.run("link", "ana", "--from-refusal", "nothing", code=1).stderr.startswith(
        "no certificate is kept under this code"
    )
    assert [event["event"] for event in desk.every_event()] == ["act.announced", "person.imported"]


def test_an_account_is_linked_and_unlinked(desk):
    desk.imported(CVETKA)
    assert "linked" in desk.run("link", "cvetka", "--subject", "https://provider/", "sub").stdout
    assert (
        "has no such account"
        in desk.run("unlink", "cvetka", "--subject", "https://provider/", "other", code=1).stderr
    )
    assert (
        desk.run("unlink", "cvetka", "--subject", "https://provider/", "sub").stdout
        == "cvetka: unlinked; 0 sessions ended\n"
    )
    assert desk.shown("cvetka")["accounts"] == []
    assert [event["event"] for event in desk.events()] == [
        "person.imported",
        "person.linked",
        "act.abandoned",
        "person.unlinked",
    ]


@pytest.mark.parametrize("how", ["file", "fingerprint", "serial"])
def test_a_certificate_is_unlinked_by_any_of_its_names(desk, tmp_path, how):
    desk.imported(ANA)
    (tmp_path / "ana.p7b").write_bytes(FORMS["ana.p7b"])
    desk.run("link", "ana", "--certificate", tmp_path / "ana.p7b", "--yes")
    fingerprint, serial = desk.shown("ana")["certificates"][0].split(", ", 1)
    name = {"file": tmp_path / "ana.p7b", "fingerprint": fingerprint, "serial": serial}[how]
    assert desk.run("unlink", "ana", "--certificate", name).stdout == "ana: unlinked; 0 sessions ended\n"
    assert desk.shown("ana")["certificates"] == []
    assert "has no such certificate" in desk.run("unlink", "ana", "--certificate", name, code=1).stderr


def test_what_names_no_certificate_unlinks_nothing(desk):
    desk.imported(ANA)
    assert "is no SHA-256 fingerprint" in desk.run("unlink", "ana", "--certificate", "nowhere", code=1).stderr
    desk.run("unlink", "ana", code=2)


def test_an_export_is_an_import_that_changes_nothing(desk, tmp_path):
    desk.imported(ANA, CVETKA, 'bor;;"Bor »B; C« Kranjc";;;-;-;yes\n')
    (tmp_path / "ana.pem").write_bytes(FORMS["ana.pem"])
    desk.run("link", "ana", "--certificate", tmp_path / "ana.pem", "--yes")
    desk.run("roles", "ana", "add", "acq:approver", "*:auditor")
    before = [desk.shown(each) for each in ("ana", "bor", "cvetka")]
    file = tmp_path / "register.csv"
    assert desk.run("export", file).stdout == "3 people\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "File exists" in desk.run("export", file, code=2).stderr
    assert "0 added" in desk.run("import", file, "--replace").stdout
    after = [desk.shown(each) for each in ("ana", "bor", "cvetka")]
    certificates = (
        [set(", ".join(each.pop("certificates")).split(", ")) for each in before],
        [set(", ".join(each.pop("certificates")).split(", ")) for each in after],
    )
    assert (before, certificates[0]) == (after, certificates[1])
    assert [event["event"] for event in desk.events()][-2:] == ["people.exported", "person.imported"]


def test_linking_needs_one_thing_and_a_readable_one(desk):
    desk.run("link", "ana", code=2)
    desk.run("link", "ana", "--certificate", "missing.pem", "--subject", "a", "b", code=2)
    assert (
        "cannot be read"
        in desk.run("link", "ana", "--certificate", desk.folder / "missing.pem", code=2).stderr
    )
    desk.run("link", "ana", "--from-refusal", "x", "--subject", "a", "b", code=2)


def test_only_portals_of_the_settings_are_listed(desk):
    assert "there are: acq, b2b" in desk.run("list", "--portal", "bips", code=2).stderr


def test_a_store_in_this_process_takes_no_register(desk):
    env = {"AUTHPROXY__STORE__URL": "memory://"}
    assert "memory://" in desk.run("block", "ana", code=1, env=env).stderr
    assert json.loads(desk.run("list", "--json", env=env).stdout) == []


def test_a_store_that_cannot_be_asked_is_a_sentence(desk):
    result = desk.run("list", code=1, env={"AUTHPROXY__STORE__URL": "redis://127.0.0.1:1/0"})
    assert len(result.stderr.strip().splitlines()) == 1


def test_nothing_is_changed_that_cannot_be_written_down(desk, redis_server):
    desk.imported(ANA)
    redis_server.command(
        "EVAL", f"for entry = 1, {MOST_WAITING} do redis.call('RPUSH', KEYS[1], 'x') end", "1", AUDIT_ENTRIES
    )
    result = desk.run("block", "ana", code=1)
    assert result.stderr.startswith(
        "nothing was changed, because it could not be written down: too many acts wait"
    )
    assert len(result.stderr.splitlines()) == 1
    assert desk.shown("ana")["blocked"] is None


def test_an_act_is_announced_by_name_before_it_is_done_and_told_afterwards(desk):
    desk.run("import", desk.file(HEADER + ANA), env={"SUDO_USER": "jana"})
    announced, told = desk.every_event()
    assert (announced["event"], announced["detail"], told["event"]) == (
        "act.announced",
        "people import",
        "person.imported",
    )
    user = pwd.getpwuid(os.geteuid()).pw_name
    for event in (announced, told):
        assert (event["by"], event["operator"]) == ("operator", f"jana as {user} at {socket.gethostname()}")
    assert announced["request_id"] == told["request_id"] != None  # noqa: E711


@pytest.mark.parametrize("caller", ["boss as root at gw9; " * 20, "x" * 300, "boss as root at gw9", ""])
def test_nobody_hides_behind_a_caller_who_is_no_name(desk, caller):
    desk.run("import", desk.file(HEADER + ANA), env={"SUDO_USER": caller})
    assert {event["operator"] for event in desk.every_event()} == {
        f"{pwd.getpwuid(os.geteuid()).pw_name} at {socket.gethostname()}"
    }


def test_an_act_of_which_nothing_came_says_so(desk):
    desk.run("block", "david", code=1)
    announced, abandoned = desk.every_event()
    assert (announced["detail"], abandoned["event"], abandoned["detail"]) == (
        "people block",
        "act.abandoned",
        "nothing was changed",
    )
    assert announced["person"] is not None
    assert "david" not in json.dumps([announced, abandoned])


def test_nothing_of_the_trail_is_printed_on_the_operators_terminal(desk):
    settings = yaml.safe_load(desk.config.read_text())
    del settings["telemetry"]["audit_file"]
    desk.config.write_text(yaml.safe_dump(settings))
    result = desk.run("import", desk.file(HEADER + ANA))
    assert "person.imported" not in result.output
    assert desk.events()[-1]["event"] == "person.imported"


def test_a_person_has_one_name_in_the_trail_and_keeps_it_when_session_keys_change(desk):
    desk.imported(ANA)
    desk.run("block", "ana")
    name = desk.shown("ana")["audit_name"]
    assert desk.events()[-1]["person"] == name
    assert name in desk.run("show", "ana").stdout
    keys = desk.folder / "session-keys"
    new, old = base64.b64encode(os.urandom(32)).decode(), keys.read_text()
    keys.write_text(f"{new}\n{old}")
    desk.run("reseal")
    keys.write_text(new)
    assert desk.shown("ana")["audit_name"] == name


def test_a_session_that_an_operator_ends_is_written_down(desk):
    desk.sign_in()
    [known] = json.loads(desk.run_plain("sessions", "list", "--json").stdout)
    assert desk.run_plain("sessions", "revoke", known["session"]).stdout == "1 ended\n"
    [told] = desk.events()
    assert (told["event"], told["by"], told["session"]) == ("session.revoked", "operator", known["session"])
    desk.run_plain("sessions", "revoke", known["session"], code=1)
    assert desk.events()[-1]["event"] == "act.abandoned"


def test_a_session_whose_id_begins_with_a_hyphen_is_named_like_every_other(desk):
    for beginning in ("-", "--"):
        ticket = next(each for each in iter(new_ticket, None) if each.session_id.startswith(beginning))
        desk.sign_in(ticket)
        asked = ("explain", "GET", "https://acq.example.si/", "--session", ticket.session_id)
        assert "passes   with this session" in desk.run_plain(*asked).stdout
        assert desk.run_plain("sessions", "revoke", ticket.session_id).stdout == "1 ended\n"
        told = desk.run_plain(*asked, code=1).stdout.splitlines()
        assert told[-1].startswith("refused  session_ended: ")


def test_all_sessions_of_a_person_are_ended_under_the_persons_name(desk):
    for _ in range(2):
        desk.sign_in()
    person = session_for(new_ticket()).person
    assert (
        desk.run_plain("sessions", "revoke", "--subject", person.subject, "--issuer", person.issuer).stdout
        == "2 ended\n"
    )
    [told] = desk.events()
    assert (told["event"], told["detail"]) == ("session.revoked", "2 sessions of this person")
    assert re.fullmatch("[0-9a-f]{32}", told["person"])


def test_sessions_are_listed_with_their_people_and_ended_by_what_is_listed(desk):
    ana = Person(
        issuer=Issuer("https://idp.example/"),
        subject=Subject("a-1"),
        name="Ana Novak",
        tax_number=TaxNumber("99990008"),
    )
    bor = replace(ana, subject=Subject("b-1"), name="Bor Kos", member=MemberId("bor"))
    for person in (ana, ana, bor):
        desk.sign_in(person=person)

    def listed(*arguments):
        return json.loads(desk.run_plain("sessions", "list", "--json", *arguments).stdout)

    assert [
        (row["person"], row["name"], row["tax_number"])
        for row in listed("--person", "a-1", "--portal", "acq")
    ] == [("a-1", "Ana Novak", "*****008")] * 2
    assert listed("--person", "nobody") == []
    assert (
        "there is no portal nowhere"
        in desk.run_plain("sessions", "list", "--portal", "nowhere", code=2).stderr
    )
    hashed = desk.run_plain("sessions", "list", "--hashes", "--json").stdout
    assert not any(known in hashed for known in ("Ana", "Bor", "a-1", "b-1", '"bor"', "*****008", "99990008"))
    [name] = {row["person"] for row in listed("--hashes", "--person", "bor")}
    assert desk.run_plain("sessions", "revoke", "--person", name).stdout == "1 ended\n"
    assert desk.events()[-1]["person"] == name
    assert desk.run_plain("sessions", "revoke", "--person", "a-1").stdout == "2 ended\n"
    assert desk.events()[-1]["detail"] == "2 sessions of this person"
    assert desk.run_plain("sessions", "revoke", "--person", "a-1", code=1).stdout == "0 ended\n"


def test_of_two_people_of_one_name_none_is_signed_out_by_it(desk):
    for issuer in ("https://one.example/", "https://two.example/"):
        desk.sign_in(person=Person(issuer=Issuer(issuer), subject=Subject("1")))
    refused = desk.run_plain("sessions", "revoke", "--person", "1", code=1).stderr
    named = re.findall("[0-9a-f]{32}", refused)
    assert (len(set(named)), len(json.loads(desk.run_plain("sessions", "list", "--json").stdout))) == (2, 2)
    assert desk.run_plain("sessions", "revoke", "--person", named[0]).stdout == "1 ended\n"


def test_a_rotation_of_keys_is_written_down_or_does_not_happen(desk, redis_server):
    settings = yaml.safe_load(desk.config.read_text())
    settings["assertions"] |= {
        "next_key_file": str(desk.folder / "next.pem"),
        "retiring_key_file": str(desk.folder / "retiring.pem"),
    }
    desk.config.write_text(yaml.safe_dump(settings))

    def roles():
        return {
            row["role"]: row["kid"] for row in json.loads(desk.run_plain("keys", "list", "--json").stdout)
        }

    first = roles()
    refused = desk.run_plain("keys", "rotate", code=1, env={"AUTHPROXY__STORE__URL": "redis://127.0.0.1:1/0"})
    assert refused.stderr.startswith("nothing was changed, because it could not be written down: ")
    assert roles() == first
    desk.run_plain("keys", "rotate")
    prepared = roles()
    assert (prepared["current"], set(prepared)) == (first["current"], {"current", "next"})
    desk.run_plain("keys", "rotate")
    rotated = roles()
    assert (rotated["current"], rotated["retiring"]) == (prepared["next"], prepared["current"])
    assert [(event["event"], event["detail"]) for event in desk.events()] == [
        ("key.rotated", first["current"]),
        ("key.rotated", rotated["current"]),
    ]


def test_a_store_that_no_gateway_shares_takes_no_act(desk):
    settings = yaml.safe_load(desk.config.read_text())
    settings["assertions"] |= {
        "next_key_file": str(desk.folder / "next.pem"),
        "retiring_key_file": str(desk.folder / "retiring.pem"),
    }
    desk.config.write_text(yaml.safe_dump(settings))
    refused = desk.run_plain("keys", "rotate", code=1, env={"AUTHPROXY__STORE__URL": "memory://"})
    assert "store.url is memory://, which no gateway shares" in refused.stderr
    assert not (desk.folder / "next.pem").exists()


def test_an_old_key_may_be_dropped_once_the_register_is_resealed(desk):
    desk.imported(ANA)
    file = desk.folder / "session-keys"
    old, new = file.read_text(), base64.b64encode(os.urandom(32)).decode()

    def with_keys(*keys):
        file.write_text("\n".join(keys))

    phone = Enrolment(
        enrolment_id="e-1", method="totp", label="Telefon", enrolled_at=NOW, secret="JBSWY3DPEHPK3PXP"
    )
    with_keys(new)
    assert "was a key dropped too early" in desk.run("list", code=1).stderr
    with_keys(new, old)
    assert desk.shown("ana")["name"] == "Ana Novak"
    with_keys(old, new)
    desk.in_store(lambda opened: opened.enrolments.add(ANAS, phone))
    with_keys(new, old)
    assert desk.run("reseal").stdout == "1 people resealed; 1 enrolments moved\n"
    assert (desk.events()[-1]["event"], desk.events()[-1]["detail"]) == (
        "people.resealed",
        "1 people, 1 enrolments moved, 0 API keys",
    )
    with_keys(new)
    assert desk.shown("ana")["name"] == "Ana Novak"
    assert desk.in_store(lambda opened: opened.enrolments.of(ANAS)) == (phone,)


@pytest.mark.parametrize("many", [1_000, pytest.param(10_000, marks=pytest.mark.rehearsal)])
def test_thousands_of_people_are_imported_in_a_few_seconds(desk, many):
    rows = [
        f"p-{number};;Oseba {number};p{number}@example.si;+386401{number:05};acq;{number:064x};\n"
        for number in range(many)
    ]
    file = desk.file(HEADER + "".join(rows))
    began = time.process_time()
    assert desk.run("import", file).stdout.startswith(f"{many} added")
    assert desk.run("import", file, "--replace").stdout.startswith(
        f"0 added, 0 changed, 0 removed, {many} as they were"
    )
    assert time.process_time() - began < 12

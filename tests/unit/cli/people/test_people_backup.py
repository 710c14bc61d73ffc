"""`people export --backup` and `people import` of it: what comes back, and what stays as it is."""

from __future__ import annotations

import base64
import os
import stat

import pytest

from authproxy.bootstrap.clock import utc_now
from authproxy.challenges import totp
from authproxy.challenges.enrolment import Enrolment
from authproxy.identity.person import Issuer, Person, Subject
from tests.support.people_desk import ANA, ANAS, CVETKA, Desk
from tests.support.session_builders import NOW

pytestmark = pytest.mark.needs("redis-server")
STRANGER = ("https://idp.example/", "stranger")
THIEF = ("https://idp.example/", "thief")
BOR = "bor;99990024;Bor Kranjc;;;acq;;\n"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


class BackupDesk(Desk):
    @property
    def backup(self):
        return self.folder / "people.backup"

    def enrols(self, owner, *names, recovery=()):
        async def enrol(opened):
            for name in names:
                assert await opened.enrolments.add(
                    owner,
                    Enrolment(
                        enrolment_id=name, method="totp", label="Telefon", enrolled_at=NOW, secret=SECRET
                    ),
                )
            if recovery:
                await opened.enrolments.put_recovery(owner, recovery)

        self.in_store(enrol)

    def methods(self, owner):
        async def found(opened):
            return [each.enrolment_id for each in await opened.enrolments.of(owner)]

        return self.in_store(found)

    def recovery_left(self, owner):
        return self.in_store(lambda opened: opened.enrolments.recovery_left(owner))

    def blocked_accounts(self):
        async def found(opened):
            return [each.account.subject for each in (await opened.people.every()).blocked]

        return self.in_store(found)

    def sessions(self):
        async def found(opened):
            return [summary async for summary in opened.sessions.all_summaries(now=utc_now())]

        return len(self.in_store(found))

    def exports(self):
        return self.run("export", "--backup", self.backup).stdout

    def imports(self, *options, code=0):
        return self.run("import", self.backup, *options, code=code)


@pytest.fixture
def desk(config):
    return BackupDesk(config)


@pytest.fixture
def backed_up(desk):
    """Ana with a method and a sheet, Cvetka blocked, a stranger with a method, and a thief who is blocked."""
    desk.imported(ANA, CVETKA)
    desk.run("roles", "ana", "add", "acq:approver")
    desk.run("link", "ana", "--subject", "https://idp.example/", "ana-at-idp")
    desk.run("block", "cvetka", "--reason", "lost her telephone")
    desk.run("block", "--subject", *THIEF)
    desk.enrols(ANAS, "app", recovery=["a", "b"])
    desk.enrols(("account", *STRANGER), "strangers")
    assert desk.exports() == "2 people, 2 with methods, 1 blocked accounts\n"
    return desk


@pytest.fixture
def lost(backed_up, redis_server):
    redis_server.command("FLUSHALL")
    return backed_up


def shown_of_all(desk):
    return [desk.shown(person) for person in ("ana", "cvetka")]


def test_everything_comes_back_into_an_empty_store_and_nobody_is_signed_in(backed_up, redis_server):
    before = shown_of_all(backed_up)
    backed_up.sign_in(person=Person(issuer=Issuer("https://x"), subject=Subject("ana"), member="ana"))
    redis_server.command("FLUSHALL")
    answer = backed_up.imports()
    assert answer.stdout == (
        "2 added, 0 as they were, 1 blocked accounts, 2 with their methods; 0 sessions ended\n"
    )
    assert shown_of_all(backed_up) == before
    assert before[0]["roles"] == ["acq:approver"]
    assert before[0]["accounts"] == ["ana-at-idp at https://idp.example/"]
    assert (before[1]["reason"], before[1]["blocked"] is None) == ("lost her telephone", False)
    assert backed_up.methods(ANAS) == ["app"]
    assert backed_up.methods(("account", *STRANGER)) == ["strangers"]
    assert backed_up.blocked_accounts() == ["thief"]
    assert backed_up.sessions() == 0


def test_the_trail_has_both_acts(lost):
    lost.imports()
    [event] = [event for event in lost.events() if event["event"] == "person.imported"]
    assert event["detail"].endswith(": 2 added, 2 with methods; 0 sessions ended")
    assert event["detail"].startswith("a backup of 20")
    lost.backup.unlink()
    lost.exports()
    [event] = [event for event in lost.events() if event["event"] == "people.exported"]
    assert event["detail"] == "a backup: 2 people, 2 with methods"


def test_nobody_else_may_read_the_file_and_an_earlier_one_is_not_overwritten(backed_up):
    assert stat.S_IMODE(backed_up.backup.stat().st_mode) == 0o600
    before = backed_up.backup.read_bytes()
    assert (
        "cannot be written: File exists"
        in backed_up.run("export", "--backup", backed_up.backup, code=2).stderr
    )
    assert backed_up.backup.read_bytes() == before
    assert not [
        secret
        for secret in (b"Ana Novak", b"99990008", b"40123456", b"thief", b"Telefon", SECRET.encode())
        if secret in before
    ]


def test_a_second_import_changes_nothing_and_says_so(lost):
    lost.imports()
    answer = lost.imports()
    assert answer.stdout.startswith("0 added, 2 as they were, 0 blocked accounts, 0 with their methods")


def test_a_rehearsal_says_how_many_and_changes_nothing(lost):
    answer = lost.imports("--dry-run")
    assert answer.stdout.startswith("would be: 2 added")
    lost.run("show", "ana", code=1)
    assert lost.methods(ANAS) == []
    assert lost.every_event() == []


# A code of an application that was used before the loss.


def test_no_code_that_an_application_has_shown_until_now_is_good_after_it(lost):
    step = totp.latest_step(utc_now())
    lost.imports()

    async def accepted(opened):
        return [await opened.enrolments.accept_step(name, step) for name in ("app", "strangers")]

    assert lost.in_store(accepted) == [False, False]


def test_recovery_codes_come_back_only_if_the_operator_says_so(lost, redis_server):
    answer = lost.imports()
    assert "recovery codes of 1 left out: some may have been used since" in answer.stderr
    assert lost.recovery_left(ANAS) == 0
    redis_server.command("FLUSHALL")
    assert lost.imports("--recovery-codes").stderr == ""
    assert lost.recovery_left(ANAS) == 2


# A backup that is older than the store.


def test_somebody_who_was_blocked_since_stays_blocked(backed_up):
    backed_up.run("block", "ana")
    for options in ((), ("--missing",)):
        backed_up.imports(*options)
        assert backed_up.shown("ana")["blocked"] is not None


def test_somebody_who_was_unblocked_since_is_named_and_stays_so(backed_up):
    backed_up.run("unblock", "cvetka")
    assert backed_up.imports("--missing").stderr == "blocked in the backup and not here: cvetka\n"
    assert backed_up.shown("cvetka")["blocked"] is None


def test_a_method_that_was_removed_or_replaced_since_does_not_come_back(backed_up):
    backed_up.run("methods", "ana", "remove", "--all")
    backed_up.imports("--missing")
    assert backed_up.methods(ANAS) == []
    backed_up.enrols(ANAS, "new")
    backed_up.imports("--missing")
    assert backed_up.methods(ANAS) == ["new"]


def test_somebody_who_was_removed_since_comes_back_only_if_the_operator_says_so(backed_up):
    backed_up.run("forget", "ana", "--yes")
    refused = backed_up.imports(code=1)
    assert "may know better than the backup who was removed; nothing was changed" in refused.stderr
    backed_up.run("show", "ana", code=1)
    assert backed_up.methods(ANAS) == []
    assert backed_up.imports("--missing", "--dry-run").stdout.startswith("would be: 1 added, 1 as they were")
    backed_up.imports("--missing")
    assert backed_up.methods(ANAS) == ["app"]


def test_a_stranger_whose_method_was_removed_gets_it_back_only_if_the_operator_says_so(backed_up):
    backed_up.run("methods", "--subject", *STRANGER, "remove", "--all")
    backed_up.imports(code=1)
    assert backed_up.methods(("account", *STRANGER)) == []
    backed_up.imports("--missing")
    assert backed_up.methods(("account", *STRANGER)) == ["strangers"]


def test_an_account_whose_block_comes_back_is_signed_out(backed_up):
    backed_up.run("unblock", "--subject", *THIEF)
    backed_up.sign_in(person=Person(issuer=Issuer(THIEF[0]), subject=Subject(THIEF[1])))
    assert backed_up.imports("--missing").stdout.endswith(
        "1 blocked accounts, 0 with their methods; 1 sessions ended\n"
    )
    assert (backed_up.blocked_accounts(), backed_up.sessions()) == (["thief"], 0)


def test_a_store_in_which_somebody_has_enrolled_since_is_not_empty(lost):
    lost.enrols(("account", "https://idp.example/", "new"), "new")
    assert "the store is not empty" in lost.imports(code=1).stderr
    lost.imports("--missing")
    assert lost.methods(ANAS) == ["app"]


def test_an_import_that_died_half_way_is_done_again(lost):
    lost.enrols(ANAS, "app")
    assert "the store is not empty" in lost.imports(code=1).stderr
    lost.imports("--missing")
    assert (lost.methods(ANAS), lost.shown("ana")["id"]) == (["app"], "ana")


def test_a_key_that_somebody_else_has_now_stops_all_of_it(lost):
    lost.imported("maja;99990008;Maja Novak;;;acq;;\n")
    refused = lost.imports("--missing", code=1)
    assert "the tax number of ana is that of maja in the register: nothing was changed" in refused.stderr
    assert "99990008" not in refused.output
    lost.run("show", "cvetka", code=1)
    assert lost.methods(ANAS) == []


# Where gateways still know that there was a register.


def lose(desk, redis_server):
    """As after a loss that a running gateway has noticed."""
    redis_server.command("FLUSHALL")
    redis_server.command("SET", "authproxy:{store}:register-seen", "7")


def test_a_lost_register_comes_back_only_as_a_new_one(backed_up, redis_server):
    lose(backed_up, redis_server)
    assert "--new-register" in backed_up.imports(code=1).stderr
    answer = backed_up.imports("--new-register", "--keep-methods")
    assert answer.stdout.startswith("2 added, 0 as they were, 1 blocked accounts, 2 with their methods")
    assert backed_up.shown("cvetka")["blocked"] is not None
    assert (backed_up.methods(ANAS), backed_up.blocked_accounts()) == (["app"], ["thief"])
    refused = backed_up.imports("--new-register", "--keep-methods", code=1)
    assert refused.stderr == "the register is there and whole: leave --new-register out\n"


def test_with_a_lost_register_methods_can_be_left_out(backed_up, redis_server):
    lose(backed_up, redis_server)
    backed_up.imports("--new-register", "--remove-methods")
    assert backed_up.methods(ANAS) == []


def test_methods_that_outlived_the_register_are_known_better_than_the_backup(backed_up, redis_server):
    backed_up.run("methods", "ana", "remove", "--all")
    redis_server.command("DEL", "authproxy:{register}:register", "authproxy:{register}:register-people")
    backed_up.imports("--new-register", "--keep-methods")
    assert backed_up.methods(ANAS) == []
    assert backed_up.methods(("account", *STRANGER)) == ["strangers"]


# Other keys.


def new_key(desk):
    old = (desk.folder / "session-keys").read_text()
    (desk.folder / "session-keys").write_text(base64.b64encode(os.urandom(32)).decode())
    (desk.folder / "old-key").write_text(old)
    return desk.folder / "old-key"


def test_at_a_site_with_other_keys_nothing_is_written_until_the_old_key_is_named(lost):
    old = new_key(lost)
    refused = lost.imports(code=2)
    assert "is not here" in refused.stderr
    assert "--key-file" in refused.stderr
    assert old.read_text() not in refused.output
    lost.run("show", "ana", code=1)
    lost.imports("--key-file", old)
    assert lost.methods(ANAS) == ["app"]


def test_after_a_rotation_of_keys_it_opens_as_long_as_the_key_is_in_the_ring(lost):
    old = new_key(lost)
    keys = lost.folder / "session-keys"
    keys.write_text(f"{keys.read_text()}\n{old.read_text()}")
    lost.imports()
    assert lost.shown("ana")["id"] == "ana"


def test_a_backup_for_another_site_travels_under_a_key_of_its_own(backed_up, redis_server):
    key = backed_up.folder / "key-of-the-way"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    backed_up.backup.unlink()
    backed_up.run("export", "--backup", backed_up.backup, "--key-file", key)
    redis_server.command("FLUSHALL")
    new_key(backed_up)
    assert "is not here" in backed_up.imports(code=2).stderr
    backed_up.imports("--key-file", key)
    assert backed_up.methods(ANAS) == ["app"]


@pytest.mark.parametrize("octets", [b"", b"not a key", b"A" * 44, b"\xff\xfe\x01"])
def test_a_file_that_is_no_key_is_refused_without_a_word_of_it(lost, octets):
    wrong, other = lost.folder / "wrong", lost.folder / "other.backup"
    wrong.write_bytes(octets)
    for refused in (
        lost.imports("--key-file", wrong, code=2),
        lost.run("export", "--backup", other, "--key-file", wrong, code=2),
    ):
        assert "there is no key: the one in" in refused.stderr
        assert not octets or octets.decode("latin-1") not in refused.output
        assert "xff" not in refused.output
    assert not other.exists()
    assert lost.every_event() == []
    assert "cannot be read" in lost.imports("--key-file", lost.folder / "none", code=2).stderr


def test_a_list_is_sealed_under_no_key(backed_up):
    refused = backed_up.run("export", backed_up.folder / "list", "--key-file", backed_up.backup, code=2)
    assert "without --backup nothing is sealed" in refused.stderr


def test_what_is_sealed_under_a_dropped_key_is_missing_from_a_backup_and_it_says_so(desk):
    desk.imported(ANA)
    desk.enrols(ANAS, "app")
    new_key(desk)
    assert "does not open" in desk.run("export", "--backup", desk.backup, code=1).stderr
    assert not desk.backup.exists()


def test_methods_under_a_dropped_key_are_counted(desk):
    desk.enrols(("account", *STRANGER), "old")
    new_key(desk)
    desk.enrols(("account", *STRANGER), "new")
    answer = desk.run("export", "--backup", desk.backup)
    assert "warning: 1 methods are not in the backup" in answer.stderr


# Files from elsewhere.


def test_a_damaged_backup_changes_nothing(lost):
    octets = lost.backup.read_bytes()
    for damaged in (octets[:-1], octets[:200], octets.replace(b"2 people", b"3 people")):
        lost.backup.write_bytes(damaged)
        assert "does not open: it has been changed, or is not whole" in lost.imports(code=2).stderr
    lost.run("show", "ana", code=1)


def test_options_of_one_kind_of_file_are_refused_for_the_other(lost):
    assert "--replace is for lists" in lost.imports("--replace", code=2).stderr
    csv = lost.file("id;name;portals\nana;Ana;acq\n")
    for option in (("--missing",), ("--recovery-codes",), ("--key-file", csv)):
        assert "are for backups" in lost.run("import", csv, *option, code=2).stderr


def test_a_huge_file_is_refused_unread(desk):
    with (desk.folder / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    assert "is larger than 256 MiB" in desk.run("import", desk.folder / "huge", code=2).stderr


def test_a_formula_in_a_name_is_text_for_a_spreadsheet_and_comes_back_as_it_was(desk, redis_server):
    desk.imported("ana;;=HYPERLINK(1);=1+1@example.si;+38640123456;acq;;\n")
    file = desk.folder / "list.csv"
    desk.run("export", file)
    row = file.read_text().splitlines()[1].split(";")
    assert (row[2], row[3], row[4]) == (" =HYPERLINK(1)", " =1+1@example.si", "+38640123456")
    before = desk.shown("ana")
    redis_server.command("FLUSHALL")
    desk.run("import", file)
    assert desk.shown("ana") == before

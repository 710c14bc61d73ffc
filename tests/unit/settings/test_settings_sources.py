from __future__ import annotations

import os
from datetime import timedelta

import pytest
import yaml

from authproxy.settings import schema_keys
from authproxy.settings.findings import SettingsInvalid, SettingsUnreadable
from authproxy.settings.sources import load, read


def at(settings, *path):
    for part in path[:-1]:
        settings = settings.setdefault(part, {})
    return settings, path[-1]


def setting(*path, to):
    """A spoiler that sets one key."""

    def spoil(settings):
        place, name = at(settings, *path)
        place[name] = to

    return spoil


def without(*path):
    def spoil(settings):
        place, name = at(settings, *path)
        del place[name]

    return spoil


def test_a_good_file_gives_settings_and_nothing_to_say(workshop):
    reading = workshop.read()
    assert reading.findings == ()
    assert reading.settings is not None
    assert reading.settings.sessions.idle == timedelta(minutes=15)
    assert reading.settings.rekono.client_secret.get_secret_value() == "a-client-secret-of-good-length"


def test_the_environment_wins_over_the_file(workshop):
    reading = workshop.read(
        setting("server", "management", to="127.0.0.1:1"), {"AUTHPROXY__SERVER__MANAGEMENT": "127.0.0.1:2"}
    )
    assert reading.settings.server.management == "127.0.0.1:2"


def test_the_environment_can_add_what_the_file_lacks(workshop):
    environ = {
        "AUTHPROXY__PORTALS__ACQ__UPSTREAM": "http://127.0.0.1:9002",
        "AUTHPROXY__TELEMETRY__ACCESS_LOG": "off",
    }
    reading = workshop.read(without("portals", "acq", "upstream"), environ)
    assert (reading.settings.portals["acq"].upstream, reading.settings.telemetry.access_log) == (
        "http://127.0.0.1:9002",
        False,
    )


def test_the_environment_takes_the_place_of_a_secret_file_that_is_not_there(workshop):
    environ = {"AUTHPROXY__REKONO__CLIENT_SECRET": "another-secret-of-good-length"}
    reading = workshop.read(setting("rekono", "client_secret_file", to="/nowhere"), environ)
    assert reading.findings == ()
    assert reading.settings.rekono.client_secret.get_secret_value() == "another-secret-of-good-length"


def test_a_secret_file_of_the_environment_takes_the_place_of_a_secret_in_the_file(workshop):
    def spoil(settings):
        del settings["rekono"]["client_secret_file"]
        settings["rekono"]["client_secret"] = "written-down-for-everybody"

    reading = workshop.read(spoil, {"AUTHPROXY__REKONO__CLIENT_SECRET__FILE": str(workshop.secret_file)})
    assert reading.findings == ()
    assert reading.settings.rekono.client_secret.get_secret_value() == "a-client-secret-of-good-length"


def test_a_secret_and_its_file_together_are_refused(workshop):
    finding = workshop.finding(setting("rekono", "client_secret", to="x" * 20))
    assert (finding.key, finding.problem) == (
        "rekono.client_secret_file",
        "and `client_secret` are both given; leave one out",
    )


def test_a_secret_and_its_file_together_in_the_environment_are_refused(workshop):
    environ = {
        "AUTHPROXY__STORE__PASSWORD": "x",
        "AUTHPROXY__STORE__PASSWORD__FILE": str(workshop.secret_file),
    }
    finding = workshop.finding(environ=environ)
    assert finding.file == "environment AUTHPROXY__STORE__PASSWORD__FILE"
    assert finding.problem == "is given twice: AUTHPROXY__STORE__PASSWORD gives it too"


def test_a_secret_in_the_settings_file_is_a_warning_with_its_line_and_without_the_secret(workshop):
    def spoil(settings):
        del settings["rekono"]["client_secret_file"]
        settings["rekono"]["client_secret"] = "written-down-for-everybody"

    reading = workshop.read(spoil)
    [finding] = reading.findings
    assert (finding.severity, finding.key) == ("warning", "rekono.client_secret")
    assert finding.line == 11
    assert "written-down" not in str(finding)
    assert reading.settings is not None


def test_a_secret_in_the_environment_is_no_warning(workshop):
    assert (
        workshop.read(
            without("rekono", "client_secret_file"), {"AUTHPROXY__REKONO__CLIENT_SECRET": "x" * 20}
        ).findings
        == ()
    )


def test_only_the_newline_at_the_end_is_taken_off_a_secret(workshop):
    workshop.secret_file.chmod(0o600)
    workshop.secret_file.write_bytes("pass  wörd with spaces \r\n".encode())
    reading = workshop.read()
    assert reading.settings.rekono.client_secret.get_secret_value() == "pass  wörd with spaces "


def test_keys_stand_one_a_line_with_comments(workshop):
    one, two = os.urandom(32).hex(), os.urandom(32).hex()
    workshop.keys_file.chmod(0o600)
    workshop.keys_file.write_text(f"# new since spring\n{one}\n\n {two} \n")
    assert [key.get_secret_value() for key in workshop.read().settings.sessions.keys] == [one, two]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"x" * 70_000, "larger than"),
    ],
)
def test_a_secret_file_without_a_secret_is_one_finding(workshop, content, problem):
    file = workshop.write("odd", content)
    finding = workshop.finding(setting("sessions", "keys_file", to=str(file)))
    assert finding.key == "sessions.keys_file"
    assert problem in finding.problem


def test_what_is_wrong_with_a_secret_stands_where_its_file_is_named(workshop):
    file = workshop.write("short", b"too-short\n")

    def spoil(settings):
        settings["server"]["subrequest_key_file"] = str(file)

    finding = workshop.finding(spoil)
    assert (finding.key, finding.line) == ("server.subrequest_key[0]", 4)
    environ = {"AUTHPROXY__SERVER__SUBREQUEST_KEY_FILE": str(file)}
    finding = workshop.finding(environ=environ)
    assert (finding.key, finding.file) == (
        "server.subrequest_key[0]",
        "environment AUTHPROXY__SERVER__SUBREQUEST_KEY_FILE",
    )


@pytest.mark.parametrize("name", ["", ["a"], {}])
def test_a_secret_file_without_a_name_is_one_finding(workshop, name):
    finding = workshop.finding(setting("rekono", "client_secret_file", to=name))
    assert (finding.key, finding.problem) == ("rekono.client_secret_file", "is no file name")


def test_a_secret_file_that_is_not_there_is_one_finding_and_the_rest_is_still_judged(workshop):
    def spoil(settings):
        settings["rekono"]["client_secret_file"] = "/nowhere"
        settings["portals"]["acq"]["url"] = "http://acq.example.si"

    assert [each.key for each in workshop.read(spoil).findings] == [
        "rekono.client_secret_file",
        "portals.acq.url",
    ]


def test_a_secret_file_for_everybody_is_a_warning(workshop):
    workshop.secret_file.chmod(0o444)
    finding = workshop.finding()
    assert (finding.severity, finding.key) == ("warning", "rekono.client_secret_file")


def test_a_relative_file_is_relative_to_the_settings_file(workshop):
    def spoil(settings):
        settings["assertions"]["current_key_file"] = "assertion.pem"
        settings["rekono"]["client_secret_file"] = "client-secret"

    reading = workshop.read(spoil)
    assert reading.findings == ()
    assert reading.settings.assertions.current_key_file == str(workshop.key_file)


def test_a_section_in_which_everything_is_commented_out_is_as_if_it_was_not_there(workshop):
    good = workshop.good()
    del good["telemetry"]
    text = yaml.safe_dump(good) + "store:\n  # url: redis://elsewhere\ntelemetry:\n"
    reading = workshop.read_text(text)
    assert [finding.key for finding in reading.findings] == ["telemetry.audit_key"]
    assert reading.settings.store.url == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- a\n", "holds no `key: value`"),
        ("text", "holds no `key: value`"),
    ],
)
def test_a_file_without_settings_says_where_to_look(workshop, text, problem):
    [finding] = workshop.read_text(text).findings
    assert finding.problem == f"{problem}; config/authproxy.example.yaml shows every key"


def test_a_text_that_is_no_yaml_is_reported_alone(workshop):
    reading = workshop.read_text("server: {listn: 1\nportals: [\n", {"AUTHPROXY__NONSENSE": "1"})
    [finding] = reading.findings
    assert finding.problem.startswith("is not YAML")
    assert finding.line is not None


def test_a_file_that_is_not_utf8_names_the_line(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_bytes(b"a: 1\nb: \xe8e\n")
    [finding] = read(file, {}).findings
    assert (finding.line, finding.problem) == (2, "is not UTF-8 text")


def test_a_byte_order_mark_is_no_trouble(workshop):
    assert workshop.read_text("\ufeff" + yaml.safe_dump(workshop.good())).settings is not None


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_no_file_to_read_is_another_failure_than_a_bad_file(tmp_path, name):
    with pytest.raises(SettingsUnreadable, match="cannot be read"):
        load(tmp_path / name, {})


def test_load_raises_everything_that_read_finds(workshop):
    workshop.read(without("rekono", "client_id"))
    with pytest.raises(SettingsInvalid) as refusal:
        load(workshop.directory / "authproxy.yaml", {})
    assert [each.key for each in refusal.value.findings] == ["rekono.client_id"]


def test_warnings_alone_do_not_stop_anything(workshop):
    reading = workshop.read(setting("server", "trusted_proxies", to=["0.0.0.0/0"]))
    assert [each.severity for each in reading.findings] == ["warning"]
    assert reading.settings is not None


def test_all_findings_come_at_once_in_the_order_of_the_file(workshop):
    def spoil(settings):
        settings["server"]["listn"] = "x"
        settings["sessions"]["idle"] = "soon"
        settings["rekono"]["prompt"] = "maybe"
        settings["portals"]["acq"]["upstrem"] = settings["portals"]["acq"].pop("upstream")
        settings["portals"]["b2b"] = {
            "name": "B2B",
            "url": "http://b2b.example.si",
            "upstream": "http://127.0.0.1:9003",
        }

    findings = workshop.read(spoil, {"AUTHPROXY__STORE__DEADLINE": "1h"}).findings
    assert [each.key for each in findings] == [
        "server.listn",
        "sessions.idle",
        "rekono.prompt",
        "portals.acq.upstream",
        "portals.acq.upstrem",
        "portals.b2b.url",
        "store.deadline",
    ]
    assert [each.line for each in findings] == [*sorted(each.line or 99 for each in findings)[:-1], None]


def test_the_line_of_an_unknown_key_reads_as_promised(workshop):
    def spoil(settings):
        settings["portals"]["acq"]["upstrem"] = settings["portals"]["acq"].pop("upstream")

    findings = workshop.read(spoil).findings
    assert (
        f'{workshop.directory}/authproxy.yaml:16: portals.acq.upstrem: unknown key; did you mean "upstream"?'
        in map(str, findings)
    )


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        (
            ("portals", "acq", "level"),
            "high",
            "is not valid (read: high; valid: 10, 20 or 30. The lowest accepted level of trust.)",
        ),
        (("portals", "acq", "level"), None, "is empty"),
        (("server", "limits", "header_count"), "3", "is less than 10 (read: 3;"),
        (("server", "limits", "head_size"), "much", "is not a size; write `32KiB`"),
        (("server", "listen"), [], "is empty"),
        (("server", "listen"), "127.0.0.1:8080", "is not valid (read: 127.0.0.1:8080; valid: list of text."),
        (("server",), ["a"], "is not valid (read: a list; valid: a section with the keys listen, tls"),
        (("portals", "ACQ!"), {}, "is no name that can be used here"),
        (("portals", "acq", "name"), {"de": "x"}, "portals.acq.name"),
        (("portals", "acq", "name"), "", "is empty"),
        (
            ("rekono", "levels"),
            {"high": "35"},
            "rekono.levels.high: is not valid (read: 35; valid: 10, 20 or 30)",
        ),
        (("rekono", "client_secret_file"), None, "rekono.client_secret: is missing"),
        (
            ("portals", "acq", "url"),
            "acq.example.si",
            "portals.acq.url: is not valid (read: acq.example.si; valid: `https://host[:port]`.",
        ),
        (("telemetry", "access_log"), "sometimes", "valid: true or false."),
        (("assertions", "issuer"), {"a": "b"}, "is not valid (read: keys and values; valid: text."),
        (
            ("portals", "acq", "routes"),
            [{"path": "/a", "strct": "true"}],
            'portals.acq.routes[0].strct: unknown key; did you mean "strict"?',
        ),
        (("zzz",), "x", "zzz: unknown key (valid: server, store, sessions,"),
    ],
)
def test_a_finding_says_what_was_read_and_what_is_valid(workshop, path, to, said):
    assert any(said in str(each) for each in workshop.read(setting(*path, to=to)).findings)


def test_a_missing_key_says_what_it_is_for(workshop):
    finding = workshop.finding(without("assertions", "issuer"))
    assert (finding.key, finding.problem, finding.line) == ("assertions.issuer", "is missing", 6)
    assert "`iss` of the assertion" in finding.valid


@pytest.mark.parametrize(
    "spoil",
    [
        setting("rekono", "client_secrt", to="hunter2hunter2hunter2"),
        setting("sessions", "keys", to=["hunter2hunter2hunter2"]),
        setting("store", "password", to={"hunter2": "hunter2"}),
        setting("store", "password", to=["hunter2"]),
        setting("store", "url", to="redis://user:hunter2@host:port/0"),
        setting("store", "url", to="nonsense://user:hunter2@host/0"),
        setting("portals", "acq", "upstream", to="ftp://user:hunter2@host"),
        setting("hunter", to={"password": "hunter2"}),
    ],
)
def test_no_finding_shows_a_secret_not_even_a_misspelt_one(workshop, spoil):
    findings = workshop.read(spoil, {"AUTHPROXY__STORE__PASSWRD": "hunter2"}).findings
    assert len(findings) >= 2
    for finding in findings:
        assert "hunter2" not in f"{finding} {finding!r} {finding.as_json()}"


def test_settings_do_not_show_their_secrets(workshop):
    settings = workshop.read().settings
    assert "good-length" not in repr(settings)
    assert settings.sessions.keys[0].get_secret_value() not in repr(settings)


@pytest.mark.parametrize("path", [(), *(path for path, _ in schema_keys.sections())], ids=".".join)
def test_an_unknown_key_is_refused_in_every_section(workshop, path):
    """pydantic ignores unknown keys of stdlib dataclasses unless told otherwise, at each depth."""

    def spoil(settings):
        place = settings
        for part in path:
            if part == "[]":
                place = place[0] if place else (place.append({"path": "/a"}) or place[0])
            else:
                place = place.setdefault("acq" if part == "<name>" else part, [] if part == "routes" else {})
        place["no_such_key"] = "x"

    assert any(
        each.key.endswith("no_such_key") and each.problem.startswith("unknown key")
        for each in workshop.read(spoil).findings
    )


def test_every_key_says_what_it_means():
    silent = [
        ".".join((*path, name))
        for path, section in schema_keys.sections()
        for name, key in section.keys.items()
        if not key.meaning
    ]
    assert silent == []

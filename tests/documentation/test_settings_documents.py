from __future__ import annotations

import base64
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.access.decision import Denied, Reason
from authproxy.access.target import RequestTarget
from authproxy.cli import main, reasons
from authproxy.edge.rules import refusals
from authproxy.edge.rules.request_head import RequestHead
from authproxy.settings import reference, schema_keys
from authproxy.settings.document import parse
from authproxy.settings.sources import read
from authproxy.web.refusals import PAGES
from tests.support.certificate_builder import Authority, ec_key, lists_at, pem
from tests.support.machine import MACHINE

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = sorted(CONFIG.glob("*.yaml"))


@pytest.fixture
def environ(tmp_path):
    """Replaces the secrets that the example files name on a real machine."""
    (tmp_path / "session-keys").write_text(base64.b64encode(os.urandom(32)).decode())
    (tmp_path / "audit-key").write_text(base64.b64encode(os.urandom(32)).decode())
    (tmp_path / "secret").write_text("a-secret-of-good-length\n")
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(key)
    for file in tmp_path.iterdir():
        file.chmod(0o400)
    return {
        "AUTHPROXY__SESSIONS__KEYS__FILE": str(tmp_path / "session-keys"),
        "AUTHPROXY__STORE__PASSWORD__FILE": str(tmp_path / "secret"),
        "AUTHPROXY__REKONO__CLIENT_SECRET__FILE": str(tmp_path / "secret"),
        "AUTHPROXY__ASSERTIONS__CURRENT_KEY_FILE": str(tmp_path / "key.pem"),
        "AUTHPROXY__TELEMETRY__AUDIT_KEY__FILE": str(tmp_path / "audit-key"),
        "AUTHPROXY__TELEMETRY__AUDIT_FILE": str(tmp_path / "audit.jsonl"),
    }


def with_authority(file, environ, folder):
    """Adds what only the file of all keys names: certificates, SMS gateways and the service for phones."""
    if file.name != "authproxy.example.yaml":
        return environ
    root = Authority.root(key=ec_key())
    sub, host = (
        root.authority(key=ec_key(), lists=lists_at("http://acldap.nlb.si/crl/root.crl")),
        root.authority("potrdila.example.si", key=ec_key()),
    )
    made = {
        "ROOT_FILE": pem(root.certificate),
        "SUB_CA_FILE": pem(sub.certificate),
        "TLS__CERTIFICATE_FILE": pem(host.certificate),
    }
    made["TLS__KEY_FILE"] = host.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    given = {}
    for name, content in made.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o400)
        given[f"AUTHPROXY__ACNLB__{name}"] = str(folder / name)
    for secret in ("SMS__GATEWAYS__OTHER__SMPP__PASSWORD", "ONEPASS__API_KEY"):
        given[f"AUTHPROXY__STEP_UP__{secret}__FILE"] = environ["AUTHPROXY__REKONO__CLIENT_SECRET__FILE"]
    return environ | given


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_file_loads_without_errors(file, environ, tmp_path):
    reading = read(file, with_authority(file, environ, tmp_path))
    assert [str(each) for each in reading.findings if each.severity == "error"] == []
    assert reading.settings is not None


IDLE_MINUTES = {"acq": 5, "b2b": 5, "bips": 5, "bws": 15, "ecmsweb": 15, "bankomati": 15}


@pytest.mark.parametrize("name", IDLE_MINUTES)
def test_the_file_of_a_portal_passes_the_check_without_a_finding_and_is_short_where_payments_are(
    environ, name
):
    reading = read(CONFIG / f"{name}.yaml", environ, machine=MACHINE)
    assert reading.findings == ()
    [(found, portal)] = reading.settings.portals.items()
    assert (found, portal.url, reading.settings.sessions.idle) == (
        name,
        f"https://{name}.bankart.si",
        timedelta(minutes=IDLE_MINUTES[name]),
    )
    assert reading.settings.assertions.issuer == portal.url


def test_the_file_of_all_portals_says_the_same_of_each_as_its_own_file(environ):
    together = read(CONFIG / "all-portals.yaml", environ, machine=MACHINE)
    assert together.findings == ()
    assert list(together.settings.portals) == list(IDLE_MINUTES)
    for name, portal in together.settings.portals.items():
        [alone] = read(CONFIG / f"{name}.yaml", environ, machine=MACHINE).settings.portals.values()
        assert replace(portal, idle=None) == alone
        assert (portal.idle or together.settings.sessions.idle) == timedelta(minutes=IDLE_MINUTES[name])


def test_instances_on_one_machine_do_not_take_each_others_places(environ):
    readings = [read(CONFIG / f"{name}.yaml", environ, machine=MACHINE).settings for name in IDLE_MINUTES]
    assert (
        len({each.server.management for each in readings})
        == len({each.server.listen for each in readings})
        == len(IDLE_MINUTES)
    )


def test_the_check_command_passes_every_example_file(environ, tmp_path):
    for file in EXAMPLES:
        result = CliRunner().invoke(
            main, ["check-config", "-c", str(file)], env=with_authority(file, environ, tmp_path)
        )
        assert result.exit_code == 0, (file.name, result.output)


def test_the_example_has_every_key():
    text = (CONFIG / "authproxy.example.yaml").read_text()
    for path, section in schema_keys.sections():
        for name in section.keys:
            assert re.search(rf"^[ #-]*{name}(_file)?:", text, re.MULTILINE), ".".join((*path, name))


def in_one_line(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {in_one_line(item)}" for name, item in value.items()) + "}"
    return "[" + ", ".join(map(in_one_line, value)) + "]" if isinstance(value, list) else value


def test_the_example_shows_the_defaults_as_they_are():
    shown = parse((CONFIG / "authproxy.example.yaml").read_text()).value
    checked = 0
    for path, section in schema_keys.sections():
        place = shown
        for part in path:
            place = place.get("example" if part == "<name>" else part, {}) if isinstance(place, dict) else {}
        for name, key in section.keys.items():
            if (
                not isinstance(place, dict)
                or name not in place
                or key.default is schema_keys.REQUIRED
                or key.kind == "section"
            ):
                continue
            value = place[name]
            written = in_one_line(value)
            assert written.replace("60s", "1m") == reference.written(key.default, key), (path, name)
            checked += 1
    assert checked > 45


def test_the_reference_is_the_schema():
    document = (CONFIG / "README.md").read_text()
    assert reference.replaced(document) == document, "run `make reference`"


def test_the_reference_has_every_key_of_every_section_in_one_table_and_equal_tables_once():
    tables = [
        (re.findall(r"`([^`]+)`", heading), re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
        for heading, table in re.findall(r"^### (.+)\n((?:(?!###).*\n)*)", reference.text(), re.MULTILINE)
    ]
    found = [(section, key) for sections, keys in tables for section in sections for key in keys]
    named = [
        (".".join(path).replace(".[]", "[]"), name)
        for path, section in schema_keys.sections()
        for name, key in section.keys.items()
        if key.kind != "section"
    ]
    assert sorted(found) == sorted(named)
    together = ["portals.<name>.timeouts", "portals.<name>.routes[].timeouts"]
    assert [sections for sections, _ in tables if together[0] in sections] == [together]


def test_a_document_without_markers_is_not_spoilt():
    with pytest.raises(ValueError, match="markers"):
        reference.replaced("# Something else\n")


def test_the_reference_can_be_printed_and_written(tmp_path, capsys):
    reference.main([])
    assert capsys.readouterr().out == reference.text()
    file = tmp_path / "README.md"
    file.write_text(f"before\n{reference.BEGIN}\nold\n{reference.END}\nafter\n")
    reference.main([str(file)])
    assert reference.text() in file.read_text()
    assert file.read_text().startswith("before\n")
    assert file.read_text().endswith("after\n")


def test_the_table_of_reasons_is_what_explain_says():
    document = (CONFIG / "README.md").read_text()
    assert reasons.replaced(document) == document, "run `make reference`"


def test_the_statuses_of_reasons_are_those_of_the_answers():
    table = (CONFIG / "README.md").read_text().partition("## Reasons")[2]
    documented = {
        name: statuses.split(" / ")[-1]
        for name, statuses in re.findall(r"^\| `([a-z_]+)` \| ([0-9 /]+) \|", table, re.MULTILINE)
    }
    assert documented == {reason.value: str(status) for reason, (_, status) in PAGES.items()}


DENIED = [
    Reason.UNKNOWN_HOST,
    Reason.FOREIGN_ORIGIN,
    Reason.HELD_REQUEST_GONE,
    Reason.REQUEST_CANNOT_BE_BOUND,
    Reason.NOT_A_MEMBER,
    Reason.METHOD_NOT_ALLOWED_HERE,
    Reason.LEVEL_TOO_LOW,
    Reason.PERSONAL_DATA_MISSING,
    Reason.TAX_NUMBER_MISSING,
]
"""What decisions deny for."""


@pytest.mark.parametrize("reason", DENIED)
def test_the_edge_answers_a_denial_with_the_status_of_its_page(reason):
    target = RequestTarget("GET", "acq.example", "/", None)
    head = RequestHead("GET", "/", is_http_1_0=False, fields=[])
    answer = refusals.answer(Denied(reason=reason), target=target, head=head, request_id="r")
    assert answer.status == PAGES[reason][1]

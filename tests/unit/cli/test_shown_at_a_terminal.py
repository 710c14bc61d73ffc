"""What certificates and registers say, at an operator's terminal."""

from __future__ import annotations

import json

from authproxy.bootstrap.certificate_explanation import ExplainedCertificate
from authproxy.certificates.files import FileKind
from authproxy.certificates.leaf import read
from authproxy.cli.certificate import _print
from authproxy.cli.terminal import print_json, print_table
from tests.support.certificate_builder import Authority

ODD = "Red\x1b[31m\u202e\x9b2J\x7f\u2028č"
WRITTEN = "Red\\u001b[31m\\u202e\\u009b2J\\u007f\\u2028č"


def test_no_table_commands_a_terminal(capsys):
    print_table([{"name": ODD, "portals": 1}, {"name": "Ana", "portals": 2}])
    assert capsys.readouterr().out.splitlines()[1:] == [WRITTEN + "  1", "Ana".ljust(len(WRITTEN)) + "  2"]


def test_json_says_the_same_and_commands_nobody(capsys):
    print_json({"name": ODD})
    said = capsys.readouterr().out
    assert WRITTEN in said
    assert json.loads(said) == {"name": ODD}


def test_names_in_a_certificate_are_written_out_and_each_portal_has_its_story(capsys):
    leaf = read(Authority.root(ODD).person())
    _print(
        ExplainedCertificate(
            kind=FileKind.BUNDLE,
            leaf=leaf,
            person="ana",
            refused_at={"acq": None, "b2b": "not_a_member: blocked"},
        )
    )
    said = capsys.readouterr().out
    assert f"file         {FileKind.BUNDLE}\n" in said
    assert f"issuer       CN={WRITTEN}" in said
    assert said.endswith("signs in ana at: acq\nsigns nobody in at b2b: not_a_member: blocked\n")


def test_where_nobody_is_signed_in_the_reason_is_said_once(capsys):
    same = "certificate_unknown: nobody in the register has it"
    _print(
        ExplainedCertificate(kind=FileKind.CERTIFICATE, refused=same, refused_at={"acq": same, "b2b": same})
    )
    assert capsys.readouterr().out.endswith(f"\nsigns nobody in: {same}\n")
    _print(
        ExplainedCertificate(
            kind=FileKind.CERTIFICATE, refused_at={"acq": "revocation_unavailable: x", "b2b": same}
        )
    )
    assert capsys.readouterr().out.endswith(
        f"\nsigns nobody in at acq: revocation_unavailable: x\nsigns nobody in at b2b: {same}\n"
    )

"""What operators are told about each reason for a refusal."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from authproxy.access.decision import Reason
from authproxy.cli import main, reasons


def test_the_code_of_a_refusal_says_what_has_happened_what_helps_and_where_to_look():
    assert reasons.explained("unknown_host-bde4a365a2e37fe6\n").splitlines() == [
        "reason   unknown_host",
        "status   403",
        "because  no portal has this host",
        "helps    portals.<name>.url, or the front proxy's Host",
        "log      lines with this request_id: bde4a365a2e37fe6",
    ]


def test_the_id_of_a_request_may_have_hyphens():
    assert reasons.explained("no_session-11111111-2222").endswith("request_id: 11111111-2222")


def test_a_reason_alone_will_do():
    assert reasons.explained("level_too_low").splitlines()[-1].startswith("helps ")


@pytest.mark.parametrize("code", ["", "-", "bde4a365a2e37fe6", "no_sessions-bde4a365a2e37fe6"])
def test_what_begins_with_no_reason_is_no_code(code):
    with pytest.raises(ValueError):
        reasons.explained(code)


def test_every_reason_has_a_meaning_that_fits_into_a_table():
    assert set(reasons.MEANINGS) == set(Reason)
    for line in reasons.table().splitlines():
        assert line.count("|") == 5


def test_the_table_is_written_between_the_markers_of_a_document(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{reasons.BEGIN}\nold\n{reasons.END}\nafter\n")
    reasons.main([str(file)])
    assert file.read_text() == f"before\n{reasons.BEGIN}\n\n{reasons.table()}\n\n{reasons.END}\nafter\n"
    file.write_text(f"{reasons.END} nothing begins here")
    with pytest.raises(ValueError):
        reasons.main([str(file)])


def test_the_command_explains_a_code_without_the_settings():
    done = CliRunner().invoke(
        main, ["explain", "store_unavailable-0123456789abcdef"], env={"AUTHPROXY_CONFIG": None}
    )
    assert done.exit_code == 0
    assert "the session store cannot be asked" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["GET"], "GET begins with none of the gateway's reasons; for a request, give METHOD and URL"),
        (["no_session-1", "--role", "approver"], "--address, --role and --session are for METHOD and URL"),
        (["GET", "https://acq.example.si/"], "Missing option '-c'"),
        (["GET", "https://acq.example.si/", "more"], "give METHOD and URL, or one CODE"),
    ],
)
def test_the_command_says_what_it_needs(arguments, said):
    done = CliRunner().invoke(main, ["explain", *arguments], env={"AUTHPROXY_CONFIG": None})
    assert done.exit_code == 2
    assert said in done.output

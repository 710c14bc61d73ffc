"""What a phone keeps over a restart."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

import pytest

from authproxy.sandbox.installation import Installation
from authproxy.sandbox.phone.memory import BrokenPhoneStateError, Memory, PhoneState


def installation(email, device_id="d1"):
    return Installation(
        email=email,
        name="Živa Čšž",
        device_id=device_id,
        device_token="t" * 64,
        totp_secret="GEZDGNBVGY3TQOJQ",
    )


STATE = PhoneState(
    accounts=(installation("a@example.si"),),
    pin="00:11",
    wrong_pins=3,
    wait_until=datetime(2026, 11, 22, 10, tzinfo=UTC),
)


def test_a_file_gives_back_what_was_kept_and_comes_before_the_beginning(tmp_path):
    Memory(STATE, tmp_path / "phone.json")
    assert Memory(PhoneState(), tmp_path / "phone.json").state == STATE


def test_only_the_owner_reads_the_file_and_nothing_is_left_beside_it(tmp_path):
    memory = Memory(PhoneState(), tmp_path / "phone.json")
    memory.save(STATE)
    assert stat.S_IMODE((tmp_path / "phone.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["phone.json"]


def test_without_a_file_it_is_kept_as_long_as_it_runs():
    memory = Memory(PhoneState(), None)
    memory.save(STATE)
    assert memory.state == STATE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"accounts": [{}], "wait_until": null}',
        '{"accounts": [], "wait_until": "soon"}',
        '{"accounts": [], "wait_until": null, "more": 1}',
    ],
)
def test_a_damaged_file_is_said_and_left_as_it_is(tmp_path, text):
    file = tmp_path / "phone.json"
    file.write_text(text)
    with pytest.raises(BrokenPhoneStateError, match=r"phone\.json"):
        Memory(STATE, file)
    assert file.read_text() == text


def test_an_account_is_there_once_and_the_newest_one_counts():
    kept = STATE.with_account(installation("b@example.si", "d2")).with_account(
        installation("a@example.si", "d3")
    )
    assert [one.device_id for one in kept.accounts] == ["d2", "d3"]
    assert [one.device_id for one in kept.without_account("d2").accounts] == ["d3"]


def test_neither_pin_nor_secrets_show_where_it_is_printed():
    shown = repr(STATE)
    assert "00:11" not in shown
    assert "t" * 64 not in shown
    assert "GEZDGNBVGY3TQOJQ" not in shown

"""The file in which the provider remembers: whole or not at all, for its owner only, and never overwritten
when it is not understood."""

from __future__ import annotations

import json
import os
import stat

import pytest

from authproxy.sandbox.identity_provider.state import StateBroken, StateFile


class Numbers:
    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def snapshot(self):
        return self.numbers

    def restore(self, saved):
        self.numbers = [int(number) for number in saved]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.json"


async def test_a_part_comes_back_as_it_was_saved(file):
    state = StateFile(file, {"numbers": Numbers(1, 2)})
    state.changed()
    await state.save()
    after = Numbers()
    StateFile(file, {"numbers": after}).load()
    assert after.numbers == [1, 2]


async def test_only_the_owner_reads_the_file_and_no_draft_is_left(file):
    os.umask(os.umask(0))  # whatever the mask is
    state = StateFile(file, {"numbers": Numbers(1)})
    state.changed()
    await state.save()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["state.json"]


async def test_what_a_beginning_has_drawn_is_saved_and_later_only_what_changes(file):
    state = StateFile(file, {"numbers": Numbers(1)})
    state.load()
    await state.save()
    assert json.loads(file.read_text())["numbers"] == [1]
    file.unlink()
    await state.save()
    assert not file.exists()


async def test_without_a_file_nothing_is_remembered():
    state = StateFile(None, {"numbers": Numbers(1)})
    state.load()
    state.changed()
    await state.save()
    assert StateFile(None, {}).load() is None


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "not a JSON document"),
        ("[]", "not a state file"),
        ('{"format": 2}', "not a state file"),
        ("{}", "not a state file"),
        ('{"format": 1, "numbers": 3}', "'numbers' is damaged"),
        ('{"format": 1, "numbers": ["x-secret"]}', "'numbers' is damaged"),
        ("\udcff", "not a JSON document"),
    ],
)
async def test_a_file_that_is_not_understood_is_an_error_and_stays_as_it_is(file, content, word):
    written = content.encode("utf-8", "surrogateescape")
    file.write_bytes(written)
    with pytest.raises(StateBroken, match=word) as caught:
        StateFile(file, {"numbers": Numbers()}).load()
    assert str(file) in str(caught.value)
    assert "x-secret" not in str(caught.value)
    assert file.read_bytes() == written


async def test_parts_that_only_the_file_knows_stay_in_it_and_new_parts_stay_as_they_are(file):
    file.write_text(json.dumps({"format": 1, "others": {"a": 1}}))
    numbers = Numbers(7)
    state = StateFile(file, {"numbers": numbers})
    state.load()
    assert numbers.numbers == [7]
    state.changed()
    await state.save()
    assert json.loads(file.read_text()) == {"format": 1, "others": {"a": 1}, "numbers": [7]}


async def test_a_save_that_fails_is_an_error_leaves_the_old_file_and_is_made_up_for(tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    numbers = Numbers(1)
    state = StateFile(folder / "state.json", {"numbers": numbers})
    state.changed()
    await state.save()
    folder.rename(tmp_path / "away")
    numbers.numbers = [1, 2]
    state.changed()
    with pytest.raises(FileNotFoundError):
        await state.save()
    (tmp_path / "away").rename(folder)
    assert json.loads((folder / "state.json").read_text())["numbers"] == [1]
    await state.save()
    assert json.loads((folder / "state.json").read_text())["numbers"] == [1, 2]

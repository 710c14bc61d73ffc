"""Which files of the settings are looked at, and when they count as changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from authproxy.bootstrap.settings_source import Refused, SettingsSource
from authproxy.settings.sources import read
from tests.support.gateway import write_settings
from tests.support.ports import free_port


@pytest.fixture
def file(tmp_path):
    ports = {name: free_port() for name in ("gateway", "management", "provider", "acq", "b2b")}
    file = write_settings(tmp_path, ports, "redis://127.0.0.1:6379/0", "geslo", {}, {})
    (tmp_path / "secret").write_text("geslo")
    (tmp_path / "secret").chmod(0o400)
    written = yaml.safe_load(file.read_text())
    del written["rekono"]["client_secret"]
    written["rekono"]["client_secret_file"] = "secret"
    file.write_text(yaml.safe_dump(written))
    return file


def source_of(file):
    return SettingsSource(read(file, {}), lambda: read(file, {}))


def test_all_files_that_are_read_are_known_and_not_the_one_that_is_written(file):
    reading = read(file, {"AUTHPROXY__STORE__PASSWORD__FILE": "/run/store-password"})
    names = {Path(each).name for each in reading.files}
    assert names == {"authproxy.yaml", "assertion.pem", "secret", "store-password"}
    assert yaml.safe_load(file.read_text())["telemetry"]["audit_file"] not in reading.files


@pytest.mark.parametrize("name", ["authproxy.yaml", "assertion.pem", "secret"])
def test_a_change_counts_once_it_stands_still(file, name):
    source = source_of(file)
    assert not source.has_changed()
    changed = file.parent / name
    for half in (b"# half", b"# whole"):
        changed.chmod(0o600)
        changed.write_bytes(changed.read_bytes() + half)
        assert not source.has_changed()
    assert source.has_changed()


def test_a_change_that_was_read_counts_no_more_whether_it_was_taken_over_or_refused(file):
    source = source_of(file)
    sound = file.read_text()
    for text in ("half: [", sound):
        file.write_text(text)
        source.has_changed()
        assert source.has_changed()
        if text == sound:
            assert source.read()
        else:
            with pytest.raises(Refused, match=r"authproxy\.yaml:"):
                source.read()
        assert not source.has_changed()
        assert not source.has_changed()


def test_a_link_that_leads_elsewhere_is_a_change(file):
    folder = file.parent
    for number in (1, 2):
        (folder / f"v{number}").mkdir()
        os.link(folder / "secret", folder / f"v{number}" / "secret")
    other = folder / "v2" / "secret"
    other.unlink()
    other.write_text("geslo")
    other.chmod(0o400)
    (folder / "..data").symlink_to("v1")
    (folder / "secret").unlink()
    (folder / "secret").symlink_to("..data/secret")
    source = source_of(file)
    (folder / "new").symlink_to("v2")
    (folder / "new").replace(folder / "..data")
    source.has_changed()
    assert source.has_changed()
    assert source.read()
    assert not source.has_changed()


def test_a_file_that_is_gone_is_a_change_and_its_return_another_one(file):
    source = source_of(file)
    key = file.parent / "assertion.pem"
    octets = key.read_bytes()
    key.unlink()
    source.has_changed()
    assert source.has_changed()
    with pytest.raises(Refused, match=r"current_key_file"):
        source.read()
    key.write_bytes(octets)
    key.chmod(0o600)
    source.has_changed()
    assert source.has_changed()


def test_what_is_changed_while_it_is_read_is_read_again(file):
    def reading():
        found = read(file, {})
        file.write_text(file.read_text() + "\n# later\n")
        return found

    source = SettingsSource(read(file, {}), reading)
    assert source.read()
    source.has_changed()
    assert source.has_changed()


def test_files_that_are_named_anew_are_looked_at(file):
    source = source_of(file)
    written = yaml.safe_load(file.read_text())
    (file.parent / "next.pem").write_bytes((file.parent / "assertion.pem").read_bytes())
    (file.parent / "next.pem").chmod(0o600)
    written["assertions"]["next_key_file"] = "next.pem"
    file.write_text(yaml.safe_dump(written))
    assert source.read()
    (file.parent / "next.pem").touch()
    source.has_changed()
    assert source.has_changed()

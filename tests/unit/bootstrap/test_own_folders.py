"""Temporary folders: private, and cleared away after a process that had no time to do so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from authproxy.bootstrap.own_folders import own_folder

ROOT = Path(__file__).parents[3]
HOLDS = """
import sys
from pathlib import Path
from authproxy.bootstrap.own_folders import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_only_folders_of_the_dead_are_removed(tmp_path):
    stranger = tmp_path / "authproxy-somebody-elses"
    stranger.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        theirs = Path(other.stdout.readline().decode().strip())
        with own_folder(tmp_path) as ours:
            assert theirs.is_dir()
            assert ours.stat().st_mode & 0o777 == 0o700
            other.send_signal(signal.SIGKILL)
            other.wait()
            assert theirs.is_dir()
            with own_folder(tmp_path):
                assert not theirs.exists()
                assert ours.is_dir()
    assert list(tmp_path.iterdir()) == [stranger]


def test_a_link_to_another_place_is_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / ".lock").touch()
    place = tmp_path / "place"
    place.mkdir()
    (place / "authproxy-link").symlink_to(precious)
    with own_folder(place):
        assert (precious / ".lock").exists()


def test_its_path_has_room_for_a_socket_however_long_the_usual_place_is(tmp_path, monkeypatch):
    long = tmp_path / ("t" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with own_folder() as folder:
        assert len(os.fsencode(folder / "pages.sock")) < 100

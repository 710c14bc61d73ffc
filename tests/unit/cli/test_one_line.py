"""A command that fails does so in one line, with exit code 1, and shows nothing that it should not."""

from __future__ import annotations

import errno

import click
import pytest
from click.testing import CliRunner

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.cli.terminal import OneLineGroup


def failing(error: BaseException) -> click.Group:
    @click.group(cls=OneLineGroup)
    def main() -> None:
        pass

    @main.command()
    def work() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(13, "Permission denied", "/etc/authproxy/key"),
            "authproxy: /etc/authproxy/key: Permission denied\n",
        ),
        (
            CannotAsk(Reason.STORE_UNAVAILABLE, "the session store does not answer"),
            "authproxy: the session store does not answer\n",
        ),
        (ValueError("davčna 99990008"), "authproxy: unexpected ValueError at authproxy/"),
        (click.UsageError("name a session"), "name a session"),
    ],
)
def test_what_goes_wrong_is_one_line(error, said):
    ended = CliRunner().invoke(failing(error), ["work"])
    assert ended.exit_code in {1, 2}
    assert said in ended.stderr
    assert "Traceback" not in ended.output
    assert "99990008" not in ended.output


def test_a_reader_that_has_gone_is_told_nothing():
    ended = CliRunner().invoke(failing(OSError(errno.EPIPE, "Broken pipe")), ["work"])
    assert (ended.exit_code, ended.stderr) == (1, "")

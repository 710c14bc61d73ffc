"""What is wrong, in one line that names the setting and holds no secret."""

from __future__ import annotations

import dataclasses

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.bootstrap.starting import Unusable, in_one_line
from authproxy.settings.schema import ServerSettings, StoreSettings, TelemetrySettings
from authproxy.settings.values import listen_address


@dataclasses.dataclass
class Some:
    server: ServerSettings
    store: StoreSettings
    telemetry: TelemetrySettings


SETTINGS = Some(
    ServerSettings(), StoreSettings(), TelemetrySettings(audit_file="/var/log/authproxy/audit.jsonl")
)


def caught(raising) -> Exception:
    try:
        raising()
    except Exception as error:
        return error
    raise AssertionError


def test_a_file_is_called_by_the_setting_that_names_it():
    error = PermissionError(13, "Permission denied", "/var/log/authproxy/audit.jsonl")
    assert (
        in_one_line(error, SETTINGS)
        == "telemetry.audit_file: /var/log/authproxy/audit.jsonl: Permission denied"
    )
    assert (
        in_one_line(FileNotFoundError(2, "No such file or directory", "/elsewhere"), SETTINGS)
        == "/elsewhere: No such file or directory"
    )


def test_our_own_errors_say_what_they_have_to_say():
    assert (
        in_one_line(Unusable("server.tls: a.pem and a.key are no certificate and its key\nmore"))
        == "server.tls: a.pem and a.key are no certificate and its key"
    )
    assert in_one_line(CannotAsk(Reason.STORE_UNAVAILABLE, "the store refuses")) == "the store refuses"


def test_of_what_nobody_expected_the_place_is_shown_and_not_the_text():
    line = in_one_line(caught(lambda: listen_address("davčna 99990008")))
    assert line.startswith("unexpected ValueError at authproxy/settings/values.py:")
    assert "99990008" not in in_one_line(caught(lambda: int("davčna 99990008")))

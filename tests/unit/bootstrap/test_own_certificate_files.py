"""Files of the gateway's own certificate that change while it runs: taken over when they fit together, and
told of when they do not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.bootstrap.own_certificates import OwnCertificates
from authproxy.bootstrap.server import server_tls
from authproxy.settings.schema import ServerSettings
from authproxy.settings.value_types import TlsSettings
from authproxy.telemetry.metrics import Metrics
from tests.support.host_certificates import host_certificate, new_key
from tests.support.log_lines import log_lines
from tests.support.machine import NOW


class Settings:
    """What is looked at of the settings."""

    acnlb, portals = None, {}

    def __init__(self, folder):
        tls = TlsSettings(certificate_file=str(folder / "host.pem"), key_file=str(folder / "host.key"))
        self.server = ServerSettings(listen=("127.0.0.1:8443",), tls=tls)
        self._folder = folder

    def issue(self, days, *, only=("host.pem", "host.key")):
        key = new_key()
        made = {
            "host.pem": host_certificate(
                "acq.example.si", key=key, ends=NOW + timedelta(days=days, hours=1)
            ).public_bytes(Encoding.PEM),
            "host.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        }
        for name in only:
            fresh = self._folder / f"{name}.new"
            fresh.write_bytes(made[name])
            fresh.replace(self._folder / name)


@pytest.fixture
def settings(tmp_path):
    found = Settings(tmp_path)
    found.issue(90)
    return found


@pytest.fixture
def own(settings):
    found = OwnCertificates(settings, lambda: NOW)
    found.renewed = []
    found.renewals["server"] = lambda: found.renewed.append(server_tls(settings.server, NOW))
    return found


async def told(own):
    check = await own.check()
    return check.status, check.detail


async def test_replaced_files_are_taken_over_once(settings, own):
    own.look()
    assert await told(own) == ("ok", "server.tls: 90 days left")
    settings.issue(180)
    with log_lines() as log:
        own.look()
        own.look()
    assert (await told(own), len(own.renewed)) == (("ok", "server.tls: 180 days left"), 1)
    assert [(line["event"], line["section"]) for line in log.lines()] == [("certificate.renewed", "server")]


async def test_a_certificate_without_its_key_waits_for_it_and_is_told_of(settings, own):
    settings.issue(180, only=("host.pem",))
    with log_lines() as log:
        own.look()
        own.look()
    status, detail = await told(own)
    assert (status, "the earlier one is still shown" in detail, own.renewed) == ("warning", True, [])
    assert [line["event"] for line in log.lines()] == ["certificate.in_trouble"]
    settings.issue(200)
    own.look()
    assert await told(own) == ("ok", "server.tls: 200 days left")


@pytest.mark.parametrize(("days", "part"), [(-1, "expired at"), (None, "No such file")])
async def test_what_no_browser_would_take_is_not_taken_over(settings, own, tmp_path, days, part):
    if days is None:
        (tmp_path / "host.key").unlink()
    else:
        settings.issue(days)
    own.look()
    status, detail = await told(own)
    assert (status, part in detail, own.renewed) == ("warning", True, [])


async def test_the_last_three_weeks_are_told_and_counted(settings):
    settings.issue(20)
    own, metrics = OwnCertificates(settings, lambda: NOW), Metrics(version="0")
    with log_lines() as log:
        own.look()
        own.look()
    own.count(metrics)
    assert (await told(own))[0] == "warning"
    assert [(line["event"], "in 20 days" in line["detail"]) for line in log.lines()] == [
        ("certificate.in_trouble", True)
    ]
    assert metrics.certificate_days_left["server",] == 20

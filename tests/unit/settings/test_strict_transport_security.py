"""What pages say by `Strict-Transport-Security`, from the settings file or the environment (RFC 6797
§6.1)."""

from __future__ import annotations

import pytest

from authproxy.bootstrap.server import hsts

IN_THE_FILE = [
    ({}, "max-age=31536000; includeSubDomains"),
    ({"hsts": {"include_subdomains": "false"}}, "max-age=31536000"),
    ({"hsts": {"max_age": "1h"}}, "max-age=3600; includeSubDomains"),
    ({"hsts": {"max_age": 0, "include_subdomains": False}}, "max-age=0"),
    ({"hsts": "off"}, None),
]


@pytest.mark.parametrize(("server", "header"), IN_THE_FILE)
def test_the_header_is_what_the_file_says(workshop, server, header):
    reading = workshop.read(lambda settings: settings["server"].update(server))
    assert reading.findings == ()
    assert hsts(reading.settings.server.hsts) == header


def test_the_environment_switches_it_off_too(workshop):
    reading = workshop.read(environ={"AUTHPROXY__SERVER__HSTS": "off"})
    assert hsts(reading.settings.server.hsts) is None

"""A machine for checks of settings: one address of its own, and every folder that somebody names."""

from __future__ import annotations

from datetime import UTC, datetime

from authproxy.settings.machine import Machine

OWN_ADDRESS = "10.9.8.7"
NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
MACHINE = Machine(now=NOW, has_address=lambda text: text == OWN_ADDRESS, has_folder=lambda _: True)

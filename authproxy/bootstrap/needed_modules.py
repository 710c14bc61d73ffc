"""Imports what only some settings need. It is done where the settings are read: in a thread while a gateway
serves, because an import takes longer than a request may wait; and before workers are forked, so that they
share what was imported. Whatever cannot be imported keeps these settings from being used."""

from __future__ import annotations

from authproxy.settings.schema import Settings


def import_needed(settings: Settings) -> None:
    """Imports all that `components` and `gateway` import later for these settings only."""
    if settings.acnlb is not None:
        import authproxy.bootstrap.certificate_listener  # noqa: F401, PLC0415

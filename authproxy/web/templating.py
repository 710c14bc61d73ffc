"""The Jinja environment of each language: filters, escaping, and the time zone in which times are shown."""

from __future__ import annotations

import functools
import gettext
from collections.abc import Mapping
from datetime import tzinfo
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.ext import InternationalizationExtension

from authproxy.web.locales.catalogue import translations
from authproxy.web.request_context import Locale

Templates = Mapping[Locale, Environment]


@functools.cache
def templates(zone: tzinfo) -> Templates:
    """One environment for each language, made once in a process. Raises InvalidCatalogue, so that a gateway
    with a broken catalogue does not start."""
    slovene = translations(files("authproxy.web").joinpath("locales", "sl.po").read_text(encoding="utf-8"))
    return {"sl": _environment(slovene, zone), "en": _environment(gettext.NullTranslations(), zone)}


def _environment(catalogue: gettext.NullTranslations, zone: tzinfo) -> Environment:
    environment = Environment(
        loader=PackageLoader("authproxy.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=[InternationalizationExtension],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    environment.filters["local"] = lambda at: at.astimezone(zone)
    return environment

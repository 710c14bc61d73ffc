"""ARCHITECTURE.md names only existing paths, its import line is the checked contract, and every added method,
store, refusal or dialect has all the places on its list."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from authproxy.access.decision import Reason
from authproxy.edge.rules.subrequest import ALL
from authproxy.identity.assurance import SignInMethod, StepUpMethod
from authproxy.storage import memory
from authproxy.web.refusals import PAGES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "authproxy"
DOCUMENT = (ROOT / "ARCHITECTURE.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def text(path):
    return (ROOT / path).read_text()


def rooms():
    return sorted(
        folder.relative_to(PACKAGE).as_posix()
        for folder in PACKAGE.rglob("*")
        if (folder / "__init__.py").exists() and folder.parts[len(PACKAGE.parts)] != "sandbox"
    )


def named_paths():
    tops = "|".join(sorted(path.name for path in PACKAGE.iterdir() if path.is_dir()))
    return sorted(set(re.findall(rf"`((?:authproxy|tests|deploy|config|{tops})/[\w./-]*)`", DOCUMENT)))


def is_there(path):
    return (ROOT / path).exists() or (PACKAGE / path).exists()


@pytest.mark.parametrize("path", named_paths())
def test_a_path_in_the_document_is_there(path):
    assert is_there(path)


def test_the_document_is_short_enough_to_be_read():
    assert len(DOCUMENT.splitlines()) < 250


@pytest.mark.parametrize("room", ["authproxy", "sandbox", *rooms()])
def test_every_room_is_named(room):
    alone_in_its_room = {
        "web/locales",
        "web/certificate_listener",
        "settings/checks",
        "cli/people",
        "cli/imports",
    }
    assert f"{room}/" in DOCUMENT or f"{room}`" in DOCUMENT or room in alone_in_its_room


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_import_line_is_the_contract(document):
    contract = PROJECT["tool"]["importlinter"]["contracts"][0]
    layers = [re.sub(r"[()]", "", layer) for layer in contract["layers"] if layer != "__main__"]
    assert " → ".join(layers) in text(document)


# "Where to add": for each kind of thing, a function that returns the places that a name still lacks.


def missing(places):
    return [name for name, is_filled in places.items() if not is_filled]


def missing_for_step_up_method(method):
    is_elsewhere = method in {"rekono", "certificate"}
    wherever = '{%- elif value == "' if method != "sms" else '{% if value == "'
    return missing(
        {
            "challenges/": is_elsewhere
            or (
                bool(list((PACKAGE / "challenges").glob(f"{method}.py")))
                and f'"{method}"' in text("tests/contracts/test_step_up_methods.py")
            ),
            "amr": is_elsewhere or f'"{method}": (' in text("authproxy/flows/step_up/challenges.py"),
            "label": method == "rekono"
            or f'{wherever}{method}" %}}' in text("authproxy/web/templates/macros.html"),
            "words": method == "recovery"
            or f'offer.method == "{method}"' in text("authproxy/web/templates/step_up_ways.html"),
            "levels": method == "rekono" or f'"{method}"' in text("authproxy/settings/step_up.py"),
            "example": method == "rekono" or method in text("config/authproxy.example.yaml"),
        }
    )


def missing_for_sign_in_method(method):
    is_first = method == "rekono"
    return missing(
        {
            "proof": f'"{method}":' in text("authproxy/flows/step_up/elevation.py"),
            "callback": f'"callback/{method}"' in text("authproxy/web/application.py"),
            "long callbacks": f"/callback/{method}?" in text("authproxy/edge/client/request_reader.py"),
            "way out": is_first or f'"{method}"' in text("authproxy/web/login.py"),
            "button": f'value="{method}"' in text("authproxy/web/templates/login.html"),
            "label": is_first or f'value == "{method}"' in text("authproxy/web/templates/macros.html"),
            "settings": f"{method}:" in text("config/authproxy.example.yaml"),
        }
    )


def missing_for_dialect(name):
    return missing(
        {
            "deploy/": (ROOT / "deploy" / name / "README.md").exists(),
            "scenarios": (ROOT / "tests/support/fronts" / f"{name}.py").exists(),
            "edge/README.md": name in text("authproxy/edge/README.md"),
        }
    )


def missing_for_store(module):
    twin = f"Memory{''.join(part.capitalize() for part in module.split('_'))}"
    suites = [path.read_text() for path in (ROOT / "tests/contracts").glob("*.py")]
    return missing(
        {
            "storage/redis/": (PACKAGE / "storage/redis" / f"{module}.py").exists(),
            "storage/memory/": hasattr(memory, twin),
            "tests/contracts/": any(twin in suite for suite in suites),
        }
    )


def missing_for_refusal(value):
    known = {reason.value: PAGES[reason][0] for reason in Reason if reason in PAGES}
    template = known.get(value)
    return missing(
        {
            "config/README.md": f"`{value}`" in text("config/README.md"),
            "page": template is not None and (PACKAGE / f"web/templates/refusals/{template}.html").exists(),
        }
    )


STORES = sorted(path.stem for path in (PACKAGE / "storage/memory").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("method", get_args(StepUpMethod))
def test_a_step_up_method_has_its_places(method):
    assert missing_for_step_up_method(method) == []


@pytest.mark.parametrize("method", get_args(SignInMethod))
def test_a_sign_in_method_has_its_places(method):
    assert missing_for_sign_in_method(method) == []


@pytest.mark.parametrize("name", [dialect.name for dialect in ALL])
def test_a_front_proxy_has_its_places(name):
    assert missing_for_dialect(name) == []


@pytest.mark.parametrize("module", STORES)
def test_a_store_has_its_places(module):
    assert missing_for_store(module) == []


@pytest.mark.parametrize("value", [reason.value for reason in PAGES])
def test_a_refusal_has_its_places(value):
    assert missing_for_refusal(value) == []


def test_a_new_member_without_its_places_is_noticed():
    assert missing_for_step_up_method("voice") == [
        "challenges/",
        "amr",
        "label",
        "words",
        "levels",
        "example",
    ]
    assert len(missing_for_sign_in_method("passkey")) == 7
    assert missing_for_dialect("lighttpd") == ["deploy/", "scenarios", "edge/README.md"]
    assert missing_for_store("vouchers") == ["storage/redis/", "storage/memory/", "tests/contracts/"]
    assert missing_for_refusal("moon_is_full") == ["config/README.md", "page"]

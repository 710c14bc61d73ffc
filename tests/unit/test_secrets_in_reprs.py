"""What opens a session, signs somebody in or is known of a person stands in no `repr`: those end in logs and
error reports."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest

import authproxy

PACKAGES = ("identity", "flows", "oidc", "challenges", "certificates", "storage")
HIDDEN = {
    "ticket_text",
    "id_token",
    "access_token",
    "refresh_token",
    "secret",
    "secret_hash",
    "nonce",
    "held",
    "binding",
    "location",
    "grant",
    "tax_number",
    "phone",
    "email",
    "activation_code",
    "provider_session",
}


def fields_of(package):
    """Every field of these names that holds the text or the octets themselves."""
    top = importlib.import_module(f"{authproxy.__name__}.{package}")
    for found in pkgutil.walk_packages(top.__path__, f"{top.__name__}."):
        module = importlib.import_module(found.name)
        for each in vars(module).values():
            if (
                isinstance(each, type)
                and dataclasses.is_dataclass(each)
                and each.__module__ == module.__name__
            ):
                for field in dataclasses.fields(each):
                    if field.name in HIDDEN and str(field.type).split(" ", maxsplit=1)[0] in {
                        "str",
                        "bytes",
                        "TaxNumber",
                    }:
                        yield f"{module.__name__}.{each.__name__}.{field.name}", field


@pytest.mark.parametrize("package", PACKAGES)
def test_no_repr_says_what_is_secret(package):
    shown = [name for name, field in fields_of(package) if field.repr]
    assert shown == []


def test_there_are_such_fields():
    found = {field.name for package in PACKAGES for _, field in fields_of(package)}
    assert found == HIDDEN

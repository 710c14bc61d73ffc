"""A finding about a value says what would be valid there, in words that lead somewhere: never just `text`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from pydantic.fields import FieldInfo

from authproxy.settings.schema import Settings
from authproxy.settings.value_types import Form


def annotated(of=Settings, path=()):
    """Every field of the schema below `of`, with its annotation as it is written."""
    hints = get_type_hints(of, include_extras=True)
    for field in dataclasses.fields(of):
        yield (*path, field.name), hints[field.name]
        for inner in sections_in(hints[field.name]):
            yield from annotated(inner, (*path, field.name))


def sections_in(annotation):
    if (
        isinstance(annotation, type)
        and dataclasses.is_dataclass(annotation)
        and annotation.__module__.startswith("authproxy.settings")
    ):
        yield annotation
    for part in get_args(annotation):
        yield from sections_in(part)


PATTERNS = {
    ".".join(path): annotation
    for path, annotation in annotated()
    if get_origin(annotation) is Annotated
    and any(
        hasattr(bound, "pattern")
        for note in get_args(annotation)
        if isinstance(note, FieldInfo)
        for bound in note.metadata
    )
}


@pytest.mark.parametrize("path", PATTERNS)
def test_what_must_have_a_form_says_which(path):
    assert any(isinstance(note, Form) for note in get_args(PATTERNS[path])), f"{path} would say `valid: text`"


def test_there_are_such_values():
    assert {
        "portals.url",
        "portals.upstream",
        "server.unix_socket_mode",
        "step_up.onepass.url",
        "acnlb.url",
    } <= PATTERNS.keys()


def acq(name, value):
    return lambda settings: settings["portals"]["acq"].update({name: value})


def server(section, name, value):
    return lambda settings: settings["server"].update({section: {name: value}})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (acq("url", "acq.example.si"), "is not valid (read: acq.example.si; valid: `https://host[:port]`."),
        (
            acq("upstream", "127.0.0.1:9001"),
            "valid: `http://host[:port]`, `https://host[:port]` or `unix:/path`.",
        ),
        (acq("telephone", "call us"), "valid: telephone number such as `+386 1 234 56 78`."),
        (
            acq("routes", [{"path": "payments"}]),
            "does not begin with `/` (read: payments; valid: `/payments`)",
        ),
        (acq("routes", [{"path": "/a", "strict": "maybe"}]), "valid: true or false."),
        (
            acq("upstream_tls", "yes"),
            "valid: a section with the keys ca_file, server_name, certificate_file, key_file)",
        ),
        (server("limits", "header_count", "9"), "is less than 10 (read: 9; valid: whole number, 10 or more."),
        (
            server("limits", "header_count", "many"),
            "is not valid (read: many; valid: whole number, 10 or more.",
        ),
        (
            lambda settings: settings["server"].update(unix_socket_mode="rw"),
            "valid: octal permissions. Permissions of Unix sockets, such as `660`.)",
        ),
        (
            lambda settings: settings.update(step_up={"codes": {"digits": "11"}}),
            "is more than 10 (read: 11; valid: whole number from 6 to 10.",
        ),
        (
            lambda settings: settings.update(step_up={"onepass": {"url": "push", "api_key": "k"}}),
            "valid: `https://host[:port]/path`.",
        ),
    ],
)
def test_a_finding_says_what_would_be_valid(workshop, spoil, said):
    assert any(said in str(each) for each in workshop.read(spoil).findings), list(
        map(str, workshop.read(spoil).findings)
    )

"""How the text of an Apache configuration is read, and what its requirements come to."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.cli.imports.apache_configuration import parse
from authproxy.cli.imports.apache_requirements import keys_of
from authproxy.cli.imports.draft import CannotRead


def shown(directives):
    return [
        (each.line, each.name, *each.arguments, *([shown(each.inside)] if each.inside is not None else []))
        for each in directives
    ]


def test_directives_sections_comments_quotes_and_long_lines():
    text = (
        "# a comment \\\n"
        "ServerName  portal.example\r\n"
        '<Location "/a b">\n'
        "  Require claim \\\n"
        "    'roles:x y' roles:\"z\n"
        '  OIDCScope "a \\"b\\" \\\\ \\."\n'
        "</Location >\n"
        "<VirtualHost *:443>\n"
        "<location /x>\n"
        "</Location>\n"
        "</VIRTUALHOST>\n"
        "Last \\"
    )
    assert shown(parse(text)) == [
        (2, "servername", "portal.example"),
        (3, "location", "/a b", [
            (4, "require", "claim", "roles:x y", 'roles:"z'),
            (6, "oidcscope", 'a "b" \\ \\.'),
        ]),
        (8, "virtualhost", "*:443", [(9, "location", "/x", [])]),
        (12, "last"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "</Location>",
        "<Location /a>",
        "<Location /a>\n</VirtualHost>",
        "<Location /a",
        "\x00",
        "=x",
        "a$b c",
        "<>",
        "<Location /a>\n" * 33 + "</Location>\n" * 33,
    ],
)
def test_what_is_no_configuration_of_apache_is_refused_without_repeating_it(text):
    with pytest.raises(CannotRead, match=r"^line \d+: ") as refused:
        parse(text)
    assert "/a" not in str(refused.value)


PIECES = ["<Location /", ">", "</Location>", "\n", '"', "'", "\\", "#", "Require all", " "]


@given(st.lists(st.sampled_from(PIECES)))
def test_any_text_is_read_or_refused(pieces):
    with contextlib.suppress(CannotRead):
        parse("".join(pieces))


def inside(kind, *lines):
    return "\n".join([f"<Require{kind}>", *lines, f"</Require{kind}>"])


PUBLIC, DENY, SESSION = {"access": "public"}, {"access": "deny"}, {}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Require valid-user", SESSION),
        ("Require all granted", PUBLIC),
        ("Require all denied", DENY),
        ("Require all", DENY),
        ("Require claim roles:admin", {"roles": ["admin"]}),
        ("Require claim realm_access.roles:Bank-Admin groups:ops", {"roles": ["Bank-Admin", "ops"]}),
        ("Require claim department:finance", {"roles": ["department.finance"]}),
        ("Require claim roles:a\nRequire claim roles:b\nRequire claim roles:a", {"roles": ["a", "b"]}),
        ("Require user ana bor", {"roles": ["user-ana", "user-bor"]}),
        ("Require ip 10.0.0.0/8 ::1", {"access": "public", "networks": ["10.0.0.0/8", "::1"]}),
        ("Require local", {"access": "public", "networks": ["127.0.0.0/8", "::1"]}),
        (
            "Require ip 10.0.0.0/8\nRequire ip 192.0.2.1",
            {"access": "public", "networks": ["10.0.0.0/8", "192.0.2.1"]},
        ),
        ("Require valid-user\nRequire ip 10.0.0.0/8", SESSION),
        ("Require valid-user\nRequire claim roles:a", SESSION),
        ("Require all granted\nRequire claim roles:a", PUBLIC),
        ("Require all denied\nRequire claim roles:a", {"roles": ["a"]}),
        ("Require claim roles:a\nRequire expr true", {"roles": ["a"]}),
        ("Require claim roles:a\nRequire ip 10.0.0.0/8", {"roles": ["a"]}),
        ("Require all denied\nRequire expr true", None),
        ("Require expr true", None),
        ("Require not ip 10.0.0.0/8", None),
        ("Require claim roles~^a", None),
        ("Require claim roles~:a", None),
        ("Require claim roles", None),
        ("Require claim roles:", None),
        ("Require claim", None),
        ("Require user", None),
        ("Require ip 10.1", None),
        ("Require ip", None),
        ("Require", None),
        ("<RequireNone>\nRequire claim roles:a\n</RequireNone>", None),
        (
            "<RequireAll>\nRequire valid-user\nRequire ip 10.0.0.0/8\n</RequireAll>",
            {"networks": ["10.0.0.0/8"]},
        ),
        (
            "<RequireAll>\nRequire claim roles:a\nRequire ip 10.0.0.0/8\n</RequireAll>",
            {"roles": ["a"], "networks": ["10.0.0.0/8"]},
        ),
        ("<RequireAll>\nRequire all granted\nRequire claim roles:a\n</RequireAll>", {"roles": ["a"]}),
        ("<RequireAll>\nRequire claim roles:a\nRequire claim roles:b\n</RequireAll>", None),
        ("<RequireAll>\nRequire valid-user\nRequire all denied\n</RequireAll>", DENY),
        ("<RequireAll>\nRequire valid-user\nRequire not ip 10.0.0.0/8\n</RequireAll>", None),
        ("<RequireAll>\nRequire all granted\n</RequireAll>", PUBLIC),
        (
            inside("All", "Require valid-user", inside("Any", "Require ip 10.0.0.0/8", "Require ip ::1")),
            {"networks": ["10.0.0.0/8", "::1"]},
        ),
        (
            inside(
                "Any",
                inside("All", "Require claim roles:a", "Require ip 10.0.0.0/8"),
                "Require claim roles:b",
            ),
            None,
        ),
    ],
)
def test_requirements_let_in_nobody_whom_apache_keeps_out(text, keys):
    assert keys_of(parse(text)) == keys

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from jinja2 import Environment

import authproxy.web
from authproxy.web.locales.catalogue import InvalidCatalogue, compiled, translations

WEB = Path(authproxy.web.__file__).parent
SLOVENE = (WEB / "locales" / "sl.po").read_text(encoding="utf-8")


def messages_of_the_templates() -> set[str]:
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    environment.policies["ext.i18n.trimmed"] = True
    found = set()
    for template in (file for file in (WEB / "templates").rglob("*") if file.is_file()):
        for _line, _function, message in environment.extract_translations(
            template.read_text(encoding="utf-8")
        ):
            found.add(message if isinstance(message, str) else message[0])
    return found


def messages_of_the_catalogue() -> dict[str, str]:
    return {
        message.id if isinstance(message.id, str) else message.id[0]: message.string
        for message in read_po(io.StringIO(SLOVENE), locale="sl")
        if message.id
    }


def test_every_message_is_translated_and_nothing_else_is():
    assert messages_of_the_catalogue().keys() == messages_of_the_templates()


def test_no_translation_is_empty_or_forgets_a_name():
    for original, translated in messages_of_the_catalogue().items():
        for form in [translated] if isinstance(translated, str) else translated:
            assert form.strip()
            assert set(re.findall(r"%\((\w+)\)", form)) == set(re.findall(r"%\((\w+)\)", original))


def as_tuple(text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def flat(messages) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {as_tuple(message.id): as_tuple(message.string) for message in messages if message.id}


def test_another_implementation_reads_the_same_catalogue():
    assert flat(read_mo(io.BytesIO(compiled(SLOVENE)))) == flat(read_po(io.StringIO(SLOVENE), locale="sl"))


FORMS = {
    "%(count)s second left": ("sekunda", "sekundi", "sekunde", "sekund"),
    "%(count)s minute left": ("minuta", "minuti", "minute", "minut"),
    "%(count)s hour left": ("ura", "uri", "ure", "ur"),
}


@pytest.mark.parametrize("one", FORMS)
@pytest.mark.parametrize(
    ("count", "form"),
    [
        (0, 3),
        (1, 0),
        (2, 1),
        (3, 2),
        (4, 2),
        (5, 3),
        (11, 3),
        (21, 3),
        (100, 3),
        (101, 0),
        (102, 1),
        (103, 2),
        (104, 2),
        (105, 3),
        (201, 0),
    ],
)
def test_slovene_counts_in_four_forms(one, count, form):
    said = translations(SLOVENE).ngettext(one, one.replace(" left", "s left"), count) % {"count": count}
    assert said == f"še {count} {FORMS[one][form]}"


def test_every_count_has_four_forms():
    counted = [message for message in read_po(io.StringIO(SLOVENE), locale="sl") if message.pluralizable]
    assert len(counted) >= 5
    assert all(len(set(message.string)) in {3, 4} for message in counted)


def test_lines_are_joined_and_escapes_read():
    po = (
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n# a word\nmsgid '
        '"a\\"b"\n"c"\nmsgstr "d\\n"\n"š"\n'
    )
    assert translations(po).gettext('a"bc') == "d\nš"


def test_what_is_not_translated_shows_in_the_original():
    assert translations('msgid "a"\nmsgstr ""\n').gettext("a") == "a"


@pytest.mark.parametrize(
    ("po", "complaint"),
    [
        ('msgid "a"\nmsgstr "b"\n\nmsgid "a"\nmsgstr "c"\n', "stands twice"),
        ("msgid a\n", "line 1"),
        ('msgctxt "x"\n', "line 1"),
        ('"lost"\n', "line 1"),
        ('msgstr "b"\n', "translates nothing"),
    ],
)
def test_a_broken_catalogue_is_refused_with_the_place(po, complaint):
    with pytest.raises(InvalidCatalogue, match=complaint):
        compiled(po)

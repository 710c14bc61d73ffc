from __future__ import annotations

import json
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.delivery.template import Template, is_writable

JSON = '{"from": "{sender}", "to": ["{recipient}"], "text": "{text}", "ref": "{reference}", "n": {"x": 1}}'
FORM = "from={sender}&to={recipient}&text={text}&ref={reference}"
XML = '<sms from="{sender}" to="{recipient}" ref=\'{reference}\'>{text}</sms>'
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.fixed_dictionaries(dict.fromkeys(("recipient", "text", "sender", "reference"), TEXTS))


@given(VALUES)
def test_in_json_every_value_comes_back_as_it_was(values):
    found = json.loads(Template(JSON, "application/json").filled(values))
    assert found == {
        "from": values["sender"],
        "to": [values["recipient"]],
        "text": values["text"],
        "ref": values["reference"],
        "n": {"x": 1},
    }


@given(VALUES)
def test_in_a_form_every_value_comes_back_as_it_was(values):
    found = parse_qs(
        Template(FORM, "application/x-www-form-urlencoded").filled(values).decode(),
        keep_blank_values=True,
        strict_parsing=True,
    )
    assert found == {
        "from": [values["sender"]],
        "to": [values["recipient"]],
        "text": [values["text"]],
        "ref": [values["reference"]],
    }


@given(VALUES)
def test_no_value_changes_the_structure_of_xml(values):
    found = ET.fromstring(Template(XML, "application/xml; charset=utf-8").filled(values))
    assert (found.tag, sorted(found.attrib), list(found)) == ("sms", ["from", "ref", "to"], [])


def test_invalid_xml_characters_are_replaced_visibly():
    found = ET.fromstring(
        Template(XML, "text/xml").filled(
            {"recipient": "r", "text": "a<b>&c\x00\ud800š\n", "sender": "\"'", "reference": "\"'"}
        )
    )
    assert (found.text, found.attrib["from"], found.attrib["ref"]) == ("a<b>&c\ufffd\ufffdš\n", "\"'", "\"'")


def test_values_are_not_searched_for_fields():
    made = Template("{text} {recipient}", "text/plain").filled(
        {"recipient": "+386", "text": "{recipient}", "sender": "", "reference": ""}
    )
    assert made == b"{recipient} +386"


def test_lone_surrogates_become_question_marks():
    values = {"recipient": "+386", "text": "a\ud800", "sender": "", "reference": ""}
    assert Template("{text} {recipient}", "text/plain").filled(values) == b"a? +386"
    assert (
        Template("{text} {recipient}", "application/x-www-form-urlencoded").filled(values) == b"a%3F %2B386"
    )


@pytest.mark.parametrize(
    ("text", "media_type", "problem"),
    [
        ('{"to": "{recipient}"}', "application/json", "has no place for `{text}`"),
        ("text={text}", "application/x-www-form-urlencoded", "has no place for `{recipient}`"),
        ('{"to": "{recipient}", "text": "{txt}"}', "application/json", "names `{txt}`, which nothing fills"),
        ('{"to": "{recipient}", "text": {text}}', "application/json", "is not JSON when it is filled in"),
        (
            '{"to": "{recipient}", "text": "{text}"',
            "application/vnd.sms+json",
            "is not JSON when it is filled in",
        ),
        ("{recipient}{text}", "multipart/form-data", "is of a content type"),
    ],
)
def test_a_template_that_cannot_work_is_refused(text, media_type, problem):
    with pytest.raises(ValueError, match=problem.replace("{", r"\{").replace("`", "`")):
        Template(text, media_type)


@pytest.mark.parametrize(
    ("media_type", "is_known"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/soap+xml", True),
        ("text/plain", True),
        ("text/html", False),
        ("", False),
    ],
)
def test_content_types_are_known_by_how_they_write_values(media_type, is_known):
    assert is_writable(media_type) is is_known

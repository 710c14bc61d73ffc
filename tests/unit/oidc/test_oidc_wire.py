from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.oidc.wire import Ambiguous, Unreadable, base64url, is_visible, json_object, octets_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_every_json_object_is_read_as_it_was_written(value):
    assert json_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize("octets", [b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"x":[{"a":{},"a":{}}]}'])
def test_a_member_twice_is_ambiguous_at_any_depth_and_in_any_spelling(octets):
    with pytest.raises(Ambiguous):
        json_object(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'"x"',
        b"null",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xc3\x28"}',
        b"{'a':1}",
        b'{"a":1}x',
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_one_json_object_in_utf_8_is_refused_without_being_repeated(octets):
    with pytest.raises(Unreadable) as found:
        json_object(octets)

    assert not isinstance(found.value, Ambiguous)
    assert "9999" not in str(found.value)


@given(st.binary(max_size=100))
def test_base64url_comes_back_as_the_same_octets(octets):
    assert octets_of(base64url(octets)) == octets


@given(st.text(alphabet="AQZaz09-_=+/ \n", max_size=8))
def test_octets_have_one_spelling_only(text):
    with suppress(Unreadable):
        assert base64url(octets_of(text)) == text


@pytest.mark.parametrize("text", ["A", "AB==", "AB", "AAAAA", "A+AA", "A/AA", " AAA", "AAA\n", "ÄAAA"])
def test_any_other_spelling_of_base64url_is_refused(text):
    with pytest.raises(Unreadable):
        octets_of(text)


@pytest.mark.parametrize("text", ["Ana Novak", "Žiga Čuk", "王小明", "O’Brien-Šček", ""])
def test_names_of_people_are_visible(text):
    assert is_visible(text)


@pytest.mark.parametrize(
    "text",
    ["a\x00", "a\n", "a\x7f", "a\x85", "a\u200b", "a\u202e", "a\u2028", "a\u2029", "a\ud800", "\ufeffa"],
)
def test_invisible_characters_are_not_visible(text):
    assert not is_visible(text)

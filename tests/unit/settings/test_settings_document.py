from __future__ import annotations

import pytest

from authproxy.settings.document import DocumentUnreadable, parse


def test_every_key_and_item_knows_its_line():
    document = parse("a:\n  b: 1\n\n  c:\n  - x\n  - y: 2\n")
    assert document.value == {"a": {"b": "1", "c": ["x", {"y": "2"}]}}
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 4,
        ("a", "c", 0): 5,
        ("a", "c", 1): 6,
        ("a", "c", 1, "y"): 6,
    }


@pytest.mark.parametrize(
    "written", ["off", "yes", "0660", "1_000", "12:30:45", "1e3", "2026-11-22", ".inf", "0x10", "=", "<<"]
)
def test_a_scalar_is_the_text_that_was_written_not_what_yaml_guesses(written):
    assert parse(f"key: {written}").value == {"key": written}


@pytest.mark.parametrize("written", ["null", "~", "", "Null"])
def test_an_unquoted_null_or_nothing_is_nothing(written):
    assert parse(f"key: {written}").value == {"key": None}


@pytest.mark.parametrize("written", ["'null'", '""', "'~'"])
def test_a_quoted_null_is_text(written):
    assert parse(f"key: {written}").value == {"key": written.strip("'\"")}


def test_an_empty_document_is_nothing():
    assert parse("# only a comment\n").value is None


def test_anchors_spare_repetition():
    assert parse("a: &one [x]\nb: *one\n").value == {"a": ["x"], "b": ["x"]}


def test_a_key_that_stands_twice_names_both_lines_and_the_first_stays():
    document = parse("a: 1\nb: 2\na: 3\n")
    assert [(remark.path, remark.problem) for remark in document.remarks] == [
        (("a",), "stands twice; the first time on line 1")
    ]
    assert document.lines[("a",)] == 3
    assert document.value == {"a": "1", "b": "2"}


def test_a_tag_is_refused_before_anything_is_made_of_it():
    document = parse("a: !!python/object/apply:os.system [true]\nb: !secret xyz\n")
    assert [remark.path for remark in document.remarks] == [("a",), ("b",)]
    assert document.value == {"a": None, "b": None}


def test_a_key_that_is_no_text_is_a_finding():
    [remark] = parse("a:\n  ? [1, 2]\n  : 3\n").remarks
    assert (remark.path, remark.problem) == (("a",), "has a key on line 2 that is no plain text")


def test_aliases_of_aliases_that_would_never_end_are_refused():
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(DocumentUnreadable, match="repeats too much by aliases"):
        parse("\n".join(lines))


def test_a_few_aliases_are_read():
    text = "a: &a [x, y, z]\n" + "".join(f"b{n}: *a\n" for n in range(50))
    assert parse(text).value["b49"] == ["x", "y", "z"]


def test_nesting_that_no_reader_can_follow_is_refused():
    with pytest.raises(DocumentUnreadable, match="is nested too deep"):
        parse("a: " + "{b: " * 3000 + "}" * 3000)


def test_an_alias_inside_its_own_anchor_ends():
    [remark] = parse("a: &a\n  b: *a\n").remarks
    assert remark.problem == "is nested too deep"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 'open\n", 2),
        ("a: b: c\n", 1),
        ("a: 1\n- b\n", 2),
        ("a: 1\nb: \x07\n", 2),
    ],
)
def test_what_is_no_yaml_is_reported_with_its_line(text, line):
    with pytest.raises(DocumentUnreadable, match="is not YAML") as refusal:
        parse(text)
    assert refusal.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "password: *hunter2\n",
        "password: &hunter2&3 x\n",
        "password: @hunter2\n",
        "password: %hunter2\n",
        "password: 'hunter2\n",
        "password: {hunter2\n",
        "a: 1\npassword hunter2\nb: 1",
    ],
)
def test_the_refusal_of_a_text_repeats_no_word_of_it(text):
    with pytest.raises(DocumentUnreadable) as refusal:
        parse(text)
    assert "hunter2" not in str(refusal.value)


def test_two_documents_in_one_file_are_refused():
    with pytest.raises(DocumentUnreadable, match="is not YAML"):
        parse("a: 1\n---\nb: 2\n")

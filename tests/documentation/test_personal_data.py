"""config/personal-data.md knows every kind of key in the store, and says how long each lives in the words of
the store's own table. It also says how long the edge keeps what requests have brought."""

from __future__ import annotations

import re
from pathlib import Path

from authproxy.edge.rules import known_heads
from authproxy.storage.redis import keys as keyspace

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "config/personal-data.md").read_text()
STORE = (ROOT / "authproxy/storage/README.md").read_text()


def kind_in(key):
    return key.partition("}:")[2].partition(":")[0]


def kinds_in_the_code():
    """In the code a key ends in `}}:kind` of an f-string, or in `}:kind` of a plain one."""
    return set(re.findall(r"\}:([a-z-]+)", Path(keyspace.__file__).read_text()))


def kept_according_to_the_store():
    """Kind → for how long, as the table of the store's README says."""
    rows = re.findall(r"^\| `(authproxy:[^`]*)` \| [^|]* \| .* \| ([^|]*) \|$", STORE, re.MULTILINE)
    found = {}
    for key, lives in rows:
        found.setdefault(kind_in(key), lives)
    return found


def rows():
    table = DOCUMENT.partition("## In the store")[2].partition("\n## ")[0]
    return {
        kind: (about, lives, forgotten)
        for kind, about, lives, forgotten in re.findall(
            r"^\| `([a-z-]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", table, re.MULTILINE
        )
    }


def without_people():
    [sentence] = re.findall(r"^These kinds hold nothing about people: (.*)\.$", DOCUMENT, re.MULTILINE)
    return set(re.findall(r"`([a-z-]+)`", sentence))


def test_every_kind_of_key_is_in_the_document():
    assert kinds_in_the_code() == rows().keys() | without_people()
    assert not rows().keys() & without_people()


def test_a_kind_of_key_is_found_in_the_code():
    assert {"session", "enrolments", "register-people", "number", "pulse"} <= kinds_in_the_code()


def test_what_lives_how_long_is_what_the_store_says():
    kept = kept_according_to_the_store()
    assert {kind: lives for kind, (_, lives, _) in rows().items()} == {kind: kept[kind] for kind in rows()}


def test_whatever_lives_for_ever_is_removed_when_its_person_is_forgotten():
    for kind, (_, lives, forgotten) in rows().items():
        if "for ever" in lives or "years" in lives:
            assert forgotten.startswith("removed"), kind


def test_fields_of_requests_are_in_memory_as_long_as_the_document_says():
    [kept, forgotten] = re.findall(
        r"^\| fields of requests [^|]* \| [^|]* \| (\d+) s after [^|]* \| within (\d+) s \|$",
        DOCUMENT,
        re.MULTILINE,
    )[0]
    # Nothing is kept longer than the generation in which it came and the one behind it.
    assert int(kept) == int(forgotten) == 2 * known_heads._GENERATION

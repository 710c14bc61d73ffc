"""What is told of a certificate that the gateway itself shows: its time, its hosts, and what stands behind it
in the file."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authproxy.settings.own_certificates import troubles
from tests.support.host_certificates import host_certificate, new_key
from tests.support.machine import NOW

HOST = "acq.example.si"


def told(*chain, hosts=(HOST,)):
    return list(troubles(chain, hosts, now=NOW))


def test_a_certificate_in_order_is_not_spoken_of():
    assert told(host_certificate(HOST)) == []
    assert told() == []


@pytest.mark.parametrize(
    ("begins", "ends", "said"),
    [
        (-90, -1, "has expired on 2026-11-28 09:00 UTC"),
        (-90, 0, "expires on 2026-11-29 09:00 UTC, in 0 days"),
        (-90, 20, "in 20 days"),
        (-90, 22, None),
        (1, 90, "is not valid before 2026-11-30"),
    ],
)
def test_its_time_is_looked_at(begins, ends, said):
    found = told(host_certificate(HOST, begins=NOW + timedelta(days=begins), ends=NOW + timedelta(days=ends)))
    assert len(found) == (0 if said is None else 1)
    assert said is None or said in found[0]


@pytest.mark.parametrize(
    ("names", "host", "is_covered"),
    [
        ([HOST], HOST, True),
        (["ACQ.example.si"], HOST, True),
        (["*.example.si"], HOST, True),
        (["*.example.si"], "example.si", False),
        (["*.example.si"], "a.b.example.si", False),
        (["b2b.example.si"], HOST, False),
        ([], HOST, False),
        (["127.0.0.1"], "127.0.0.1", True),
        (["*.0.0.1"], "127.0.0.1", False),
    ],
)
def test_its_hosts_are_looked_at_as_browsers_do(names, host, is_covered):
    assert (told(host_certificate(*names), hosts=[host]) == []) is is_covered


def test_every_host_that_it_is_not_for_is_named():
    first, second = told(
        host_certificate(HOST), hosts=["b2b.example.si", HOST, "bips.example.si", "b2b.example.si"]
    )
    assert ("b2b.example.si" in first, "bips.example.si" in second, HOST in first) == (True, True, True)


def test_what_stands_behind_it_is_its_issuer():
    root, sub = new_key(), new_key()
    above = host_certificate(key=sub, name="Sub", issuer=("Root", root))
    own = host_certificate(HOST, issuer=("Sub", sub), says_where_its_issuer_is=True)
    assert told(own, above) == []
    [alone] = told(own)
    assert alone.startswith("stands alone")
    [mixed] = told(own, host_certificate(name="Stranger"))
    assert "has not issued" in mixed
    # An authority within a company issues from its root, and every client of it has that root.
    assert told(host_certificate(HOST, issuer=("Root", root))) == []

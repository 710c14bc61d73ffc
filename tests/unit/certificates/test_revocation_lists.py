"""Keeping revocation lists: one that breaks its reader does not stop the others."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.certificates.addresses import SourceAddress
from authproxy.certificates.fetching import FetchLimits
from authproxy.certificates.lists import RevocationLists
from tests.support.certificate_builder import Authority, at
from tests.support.log_lines import log_lines


class Fetcher:
    """Lists by address; an exception is raised."""

    def __init__(self, **lists: object) -> None:
        self.lists = lists

    async def fetched(self, address, limits, *, question=None):
        assert (limits.octets, question) == (1 << 20, None)
        found = self.lists[address.url]
        if isinstance(found, Exception):
            raise found
        return found


class Nowhere:
    async def get(self, key):
        return None

    async def put(self, key, value, lives_for):
        assert value


def lists_of(fetcher):
    limits = FetchLimits(timeout=timedelta(seconds=1), octets=1 << 20)
    return RevocationLists(
        fetcher,
        Nowhere(),
        limits,
        refresh_every=timedelta(hours=1),
        max_stale=timedelta(0),
        jitter=lambda: 0.5,
        clock=at,
    )


def der_of(made):
    return made.public_bytes(Encoding.DER)


async def test_one_bad_list_does_not_stop_the_others():
    authority = Authority.root()
    fetcher = Fetcher(odd=TypeError("nobody expected this"), fine=der_of(authority.crl()))
    lists = lists_of(fetcher)
    odd, fine = lists.keep(
        [SourceAddress("odd", is_named=True), SourceAddress("fine", is_named=True)],
        (authority.certificate,),
        now=at(),
    )
    with log_lines():
        await lists.refresh(now=at())
    assert (odd.list, odd.failure, odd.due_at > at()) == (None, "TypeError", True)
    assert (fine.list is not None, fine.failure) == (True, None)


async def test_a_delta_list_replaces_no_complete_list():
    authority = Authority.root()
    fetcher = Fetcher(here=der_of(authority.crl()))
    lists = lists_of(fetcher)
    [held] = lists.keep([SourceAddress("here", is_named=True)], (authority.certificate,), now=at())
    await lists.refresh(now=at())
    fetcher.lists["here"] = der_of(authority.crl(others=((x509.DeltaCRLIndicator(1), True),)))
    await lists.refresh(now=held.due_at)
    assert (held.list.partial, held.partial.partial, held.failure) == (None, "a delta list", "a delta list")

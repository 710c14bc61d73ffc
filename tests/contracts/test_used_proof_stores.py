"""What every store of used proofs promises: if many use a proof, one of them may."""

from __future__ import annotations

import asyncio


async def test_of_many_who_use_a_proof_one_may_until_it_is_given_back(used_proofs):
    assert not await used_proofs.is_used("form.1")
    assert sum(await asyncio.gather(*(used_proofs.use("form.1") for _ in range(30)))) == 1
    assert await used_proofs.is_used("form.1")
    assert await used_proofs.use("form.2")
    await used_proofs.give_back("form.1")
    assert not await used_proofs.is_used("form.1")
    assert [await used_proofs.use("form.1") for _ in range(2)] == [True, False]

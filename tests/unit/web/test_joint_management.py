"""Readiness of a gateway with several workers."""

from __future__ import annotations

import json

import pytest
from aiohttp.test_utils import TestClient, TestServer

from authproxy.web.joint_management import joint_checks, joint_management, parsed
from authproxy.web.management import Check


def answer(**checks):
    return {
        "checks": {name: {"status": status, "detail": f"{name} {status}"} for name, status in checks.items()}
    }


def test_the_worst_counts_and_says_whose_it_is():
    joint = joint_checks(
        {"worker 1": answer(store="ok", names="warning"), "worker 2": answer(store="failed", names="warning")}
    )
    assert joint == {
        "store": Check(status="failed", detail="worker 2: store failed"),
        "names": Check(status="warning", detail="names warning"),
    }


def test_a_worker_that_does_not_answer_has_failed():
    joint = joint_checks({"worker 1": answer(store="ok"), "worker 2": None})
    assert joint["workers_answer"] == Check(status="failed", detail="worker 2 does not answer")
    assert joint["store"] == Check(status="ok", detail="store ok")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"checks": 1}', "null", "<html>"])
def test_what_is_no_answer_is_none(text):
    assert parsed(text) is None


def test_an_answer_is_read():
    assert parsed(json.dumps(answer(store="ok"))) == answer(store="ok")


@pytest.mark.parametrize(
    ("own", "status"), [(Check(status="warning"), 200), (Check(status="failed", detail="none serves"), 503)]
)
async def test_what_only_the_parent_knows_counts_too(own, status):
    async def answers():
        return {"worker 1": answer(store="ok")}

    async def exposition(accept):
        return b"metrics " + accept.encode(), "text/plain; version=0.0.4"

    application = joint_management(
        answers=answers, own_checks=lambda: {"workers": own}, exposition=exposition
    )
    async with TestClient(TestServer(application)) as client:
        ready = await client.get("/readyz")
        assert (ready.status, (await ready.json())["status"]) == (status, own.status)
        assert (await client.get("/healthz")).status == 200
        metrics = await client.get("/metrics", headers={"Accept": "text/plain"})
        assert await metrics.text() == "metrics text/plain"

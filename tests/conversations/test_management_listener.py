"""What operators see: health, readiness with its reasons, metrics."""

from __future__ import annotations

import asyncio
import os
import sys

from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import BOR
from tests.support.http_client import Browser
from tests.support.redis_server import RedisServer
from tests.support.waiting import until

PROMISED = {
    "authproxy_requests",
    "authproxy_request_seconds",
    "authproxy_upstream_seconds",
    "authproxy_subrequests",
    "authproxy_sessions_started",
    "authproxy_sign_ins_refused",
    "authproxy_store_errors",
    "authproxy_near_cache_lookups",
    "authproxy_audit_lost",
    "authproxy_fail_open",
    "authproxy_connections",
    "authproxy_tunnels",
    "authproxy_upstream_connections",
    "authproxy_upstream_unasked",
    "authproxy_build_info",
}
FEW = {
    "AUTHPROXY__SERVER__LIMITS__CONNECTIONS": "100",
    "AUTHPROXY__SERVER__LIMITS__UPSTREAM_CONNECTIONS": "50",
}
"""Whatever the limits of the machine on which the test runs: they are enough for this."""


async def readiness(house):
    answer = await Browser().fetch(f"{house.management}/readyz")
    return (
        answer.status,
        answer.json["status"],
        {name: check["status"] for name, check in answer.json["checks"].items()},
    )


async def test_a_gateway_that_is_well_says_so_check_by_check(houses):
    async with houses(environment=FEW) as house:
        await says_so(house)


async def says_so(house):
    assert (await Browser().fetch(f"{house.management}/healthz")).json == {"status": "ok"}
    await until(lambda: is_ready(house))
    assert await readiness(house) == (
        200,
        "ok",
        dict.fromkeys(
            (
                "store",
                "provider",
                "signer",
                "listener",
                "names",
                "descriptors",
                "log",
                "audit",
                "time_limits",
                "provider_refresh",
                "invalidation",
                "store_pulse",
                "operators_acts",
                "ended_sessions",
            ),
            "ok",
        ),
    )


async def is_ready(house):
    return (await readiness(house))[1] == "ok"


async def test_a_provider_that_is_away_is_a_warning_only(houses):
    async with houses(provider_is_up=False) as house:
        status, worst, checks = await readiness(house)
        assert (status, worst, checks["provider"]) == (200, "warning", "warning")


async def test_a_store_that_is_away_makes_the_gateway_unready_but_not_unhealthy(houses):
    with RedisServer() as store:
        async with houses(environment={"AUTHPROXY__STORE__URL": store.url}) as house:
            store.kill()
            status, worst, checks = await readiness(house)
            assert (status, worst, checks["store"], checks["signer"]) == (503, "failed", "failed", "ok")
            assert (await Browser().fetch(f"{house.management}/healthz")).status == 200


async def test_metrics_have_the_promised_names_and_count(house, ana):
    await ana.signs_in(house.acq + "/")
    await ana.opens(house.acq + "/")
    await house.person(BOR).signs_in(house.acq + "/")
    answer = await Browser().fetch(f"{house.management}/metrics", accept="text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert set(families) >= PROMISED
    values = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert values["authproxy_sessions_started_total", (("method", "rekono"), ("portal", "acq"))] == 1
    assert values["authproxy_sign_ins_refused_total", (("reason", "tax_number_missing"),)] == 1
    assert (
        values["authproxy_requests_total", (("decision", "allowed"), ("portal", "acq"), ("reason", ""))] >= 2
    )
    assert {value for (name, _), value in values.items() if name == "authproxy_fail_open_total"} == {0}


async def test_records_that_no_key_opens_are_counted_and_shown(house, ana):
    await ana.signs_in(house.acq + "/")
    spoilt = ana.ticket(house.acq + "/")
    spoilt = f"{spoilt[:-12]}AAAAAAAA{spoilt[-4:]}"
    assert (
        await Browser().request("GET", house.acq + "/", headers={"Cookie": f"__Host-authproxy={spoilt}"})
    ).status == 401
    metrics = (await Browser().fetch(f"{house.management}/metrics", accept="text/plain")).text
    assert 'authproxy_store_unreadable_total{record="session"} 1.0' in metrics
    told = (await Browser().fetch(f"{house.management}/readyz")).json["checks"]["store"]
    assert (told["status"], told["detail"]) == ("ok", "1 records could not be read since the start")


async def test_the_health_check_of_a_container_finds_the_management_listener_on_a_unix_socket(
    houses, tmp_path
):
    where = {"AUTHPROXY__SERVER__MANAGEMENT": f"unix:{tmp_path}/management.sock"}
    async with houses(environment=where) as house:
        asked = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "authproxy",
            "healthcheck",
            env={**os.environ, **where, "AUTHPROXY_CONFIG": str(house.settings_file)},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asked.communicate()
        assert (asked.returncode, said.decode()) == (0, f"unix:{tmp_path}/management.sock: 200\n")


async def test_management_is_no_place_for_portals_and_portals_none_for_management(house):
    assert (await Browser().navigate(f"{house.management}/.authproxy/login")).status == 404
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await Browser().fetch(house.acq + path)).status == 401

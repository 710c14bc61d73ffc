"""The section `machines` of the settings, and `machines` of routes → what decides about programs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from authproxy.bootstrap.stores import Stores
from authproxy.dns.resolver import Resolver
from authproxy.flows.machines import MachineIdentity, MachineReports, Machines
from authproxy.oidc.access_token import TokenAgreement
from authproxy.oidc.exchange import client_session
from authproxy.oidc.token_issuer import TokenIssuer
from authproxy.settings.schema import MachineSettings, Settings
from authproxy.web.management import Check
from authproxy.web.rates import Rates


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineComponents:
    """`issuer` is None if no program comes in by access token."""

    machines: Machines
    issuer: TokenIssuer | None

    async def check(self) -> Check:
        """For readiness. It only warns: people are served without this issuer."""
        if self.issuer is None:
            return Check(status="ok", detail="API keys only")
        keys = self.issuer.keys
        usable = 0 if keys.value is None else len(keys.value.keys)
        if keys.failure is None and usable:
            return Check(status="ok", detail=f"{usable} usable keys of the issuer")
        detail = keys.failure or ("not asked yet" if keys.value is None else "the issuer has no usable key")
        return Check(status="warning", detail=f"{detail}; {usable} usable keys are known")


def agreement(settings: MachineSettings) -> TokenAgreement:
    return TokenAgreement(
        issuer=settings.issuer,
        audience=settings.audience,
        jwks_url=settings.jwks_url,
        algorithm=settings.algorithm,
        subject_claim=settings.subject_claim,
    )


async def machine_components(
    settings: Settings,
    stores: Stores,
    *,
    identity: MachineIdentity,
    reports: MachineReports,
    limit: Rates,
    clock: Callable[[], datetime],
    names: Resolver,
    resources: AsyncExitStack,
) -> MachineComponents | None:
    """None if no route lets programs in. Raises OSError for a file that cannot be read."""
    demands = [
        route.machines
        for portal in settings.portals.values()
        for route in portal.routes
        if route.machines is not None
    ]
    if not demands:
        return None
    issuer = None
    if settings.machines is not None and any(demand.tokens for demand in demands):
        session = await resources.enter_async_context(client_session(settings.machines.ca_file, names))
        issuer = TokenIssuer(agreement(settings.machines), session, clock=clock)
    machines = Machines(
        keys=stores.machine_keys,
        people=stores.people,
        key_changes=stores.near_cache,
        keys_remembered_for=settings.store.near_cache_for,
        issuer=issuer,
        limit=limit,
        identity=identity,
        reports=reports,
    )
    return MachineComponents(machines=machines, issuer=issuer)

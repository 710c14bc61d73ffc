"""The parts of a gateway that several others need, each made once. `assemble` makes them in the order in
which they need each other."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

from authproxy import __version__
from authproxy.access.consent import Consents
from authproxy.access.routes import Portals
from authproxy.assertions.signer import AssertionSigner
from authproxy.bootstrap.accounts import AccountChecks, account_checks
from authproxy.bootstrap.background import Background
from authproxy.bootstrap.delivery import Delivery, delivery
from authproxy.bootstrap.descriptors import Descriptors, descriptors
from authproxy.bootstrap.keys import assertion_signer, consent_keys
from authproxy.bootstrap.log_outputs import LogOutputs, open_log_outputs
from authproxy.bootstrap.machines import MachineComponents, machine_components
from authproxy.bootstrap.notices import notices
from authproxy.bootstrap.portals import all_portals, header_names, sign_in_demand
from authproxy.bootstrap.presentations import no_portal, presentations
from authproxy.bootstrap.provider import relying_party
from authproxy.bootstrap.resolver import open_resolver
from authproxy.bootstrap.server import all_addresses, rates
from authproxy.bootstrap.stores import Stores, open_stores
from authproxy.challenges.notices import Notices
from authproxy.challenges.recovery import Cost
from authproxy.dns.resolver import Resolver
from authproxy.edge.client.sockets import BoundAddress, ListenAddress, bind
from authproxy.flows.access import Access
from authproxy.flows.machines import MachineIdentity, MachineReports
from authproxy.flows.register.membership import Membership
from authproxy.flows.register.phone_numbers import NumberWatch
from authproxy.flows.sign_in.attempts import SignInDemand, SignIns
from authproxy.flows.sign_in.browser_names import described
from authproxy.flows.step_up.elevation import Elevations
from authproxy.oidc.exchange import client_session
from authproxy.oidc.provider import OpenIdProvider
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Audit
from authproxy.telemetry.metrics import Metrics
from authproxy.web.messages import TextMessages
from authproxy.web.rates import Rates
from authproxy.web.request_context import PortalPresentation
from authproxy.web.templating import templates

if TYPE_CHECKING:  # imported where the settings need it
    from authproxy.bootstrap.certificates import CertificateComponents

Clock = Callable[[], datetime]
ZONE: Final = ZoneInfo("Europe/Ljubljana")
"""The zone of the times that people read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    settings: Settings
    sheet_cost: Cost
    """How slowly recovery codes are hashed."""
    portals: Portals
    presentations: Mapping[str, PortalPresentation]
    no_portal: PortalPresentation
    stores: Stores
    provider: OpenIdProvider
    signer: AssertionSigner
    access: Access
    audit: Audit
    metrics: Metrics
    clock: Clock
    background: Background
    bound: Mapping[ListenAddress, BoundAddress]
    """Every address of the settings; nothing listens yet."""
    descriptors: Descriptors
    resources: AsyncExitStack
    demands: Mapping[str, SignInDemand]
    sign_ins: SignIns
    elevations: Elevations
    delivery: Delivery
    notices: Notices
    texts: TextMessages
    names: Resolver
    certificates: CertificateComponents | None
    accounts: AccountChecks | None
    machines: MachineComponents | None
    rates: Rates
    outputs: LogOutputs
    consents: Consents


async def assemble(
    settings: Settings,
    clock: Clock,
    background: Background,
    resources: AsyncExitStack,
    sheet_cost: Cost,
    lent: Iterable[BoundAddress] | None = None,
) -> Components:
    """Everything that it opens is closed by `resources`. `lent` are the addresses, if another process has
    bound them. Raises OSError or ValueError."""
    outputs = open_log_outputs(settings, clock, resources)
    # Before anything else is opened: a second gateway that was started by mistake fails here, and has not
    # touched anything.
    bound = _bound(settings, resources, lent)
    counterparts = await _counterparts(settings, clock, background, resources, outputs.audit)
    decisions = await _decisions(settings, clock, background, resources, outputs.audit, counterparts)
    portals = all_portals(settings)
    shown = presentations(settings, portals)
    texts = TextMessages(templates(ZONE), shown)
    demands = {portal.portal_id: sign_in_demand(settings, portal) for portal in portals.by_host.values()}
    proofs = await _proofs(settings, clock, resources, outputs, counterparts, texts, demands)
    return Components(
        settings=settings,
        sheet_cost=sheet_cost,
        portals=portals,
        presentations=shown,
        no_portal=no_portal(settings.pages),
        stores=counterparts.stores,
        provider=counterparts.provider,
        signer=decisions.signer,
        access=decisions.access,
        audit=outputs.audit,
        metrics=decisions.metrics,
        clock=clock,
        background=background,
        bound=bound,
        descriptors=descriptors(settings),
        resources=resources,
        demands=demands,
        sign_ins=proofs.sign_ins,
        elevations=proofs.elevations,
        delivery=counterparts.delivery,
        notices=proofs.notices,
        texts=texts,
        names=counterparts.names,
        certificates=proofs.certificates,
        accounts=decisions.accounts,
        machines=decisions.machines,
        rates=decisions.rates,
        outputs=outputs,
        consents=Consents(consent_keys(settings.sessions), portals.by_host),
    )


class _Counterparts(NamedTuple):
    """Who is asked: name servers, the store, the provider, and what carries messages."""

    names: Resolver
    stores: Stores
    provider: OpenIdProvider
    delivery: Delivery


async def _counterparts(
    settings: Settings, clock: Clock, background: Background, resources: AsyncExitStack, audit: Audit
) -> _Counterparts:
    names = await resources.enter_async_context(open_resolver(settings))
    stores = await resources.enter_async_context(open_stores(settings, names=names, clock=clock, audit=audit))
    session = await resources.enter_async_context(client_session(settings.rekono.ca_file, names))
    provider = OpenIdProvider(
        relying_party(settings.rekono), session, clock=clock, random_text=secrets.token_urlsafe
    )
    carriers = await delivery(
        settings.step_up, clock=clock, background=background, resources=resources, names=names
    )
    return _Counterparts(names, stores, provider, carriers)


class _Decisions(NamedTuple):
    """What decides about each request, and what it writes down."""

    signer: AssertionSigner
    access: Access
    metrics: Metrics
    accounts: AccountChecks | None
    machines: MachineComponents | None
    rates: Rates


async def _decisions(
    settings: Settings,
    clock: Clock,
    background: Background,
    resources: AsyncExitStack,
    audit: Audit,
    counterparts: _Counterparts,
) -> _Decisions:
    stores = counterparts.stores
    signer = assertion_signer(settings.assertions, audit)
    accounts = account_checks(settings.rekono, stores, counterparts.provider, audit)
    metrics, limits_per_address = Metrics(version=__version__), rates(settings.server)
    names_for_portals = {portal_id: header_names(portal) for portal_id, portal in settings.portals.items()}
    machines = await machine_components(
        settings,
        stores,
        identity=MachineIdentity(
            signer=signer, assertion_lifetime=settings.assertions.lifetime, header_names=names_for_portals
        ),
        reports=MachineReports(audit=audit, metrics=metrics),
        limit=limits_per_address,
        clock=clock,
        names=counterparts.names,
        resources=resources,
    )
    access = Access(
        sessions=stores.sessions,
        near_cache=stores.near_cache,
        signer=signer,
        assertion_lifetime=settings.assertions.lifetime,
        header_names=names_for_portals,
        spawn=background.spawn,
        look_at_account=None if accounts is None else accounts.look,
        used_proofs=stores.used_proofs,
        machines=None if machines is None else machines.machines,
    )
    return _Decisions(signer, access, metrics, accounts, machines, limits_per_address)


class _Proofs(NamedTuple):
    """How people sign in and prove themselves."""

    sign_ins: SignIns
    elevations: Elevations
    notices: Notices
    certificates: CertificateComponents | None


async def _proofs(
    settings: Settings,
    clock: Clock,
    resources: AsyncExitStack,
    outputs: LogOutputs,
    counterparts: _Counterparts,
    texts: TextMessages,
    demands: Mapping[str, SignInDemand],
) -> _Proofs:
    stores = counterparts.stores
    change_notices, number_watch = notices(stores, counterparts.delivery, texts, clock=clock)
    sign_ins = _sign_ins(settings, stores, number_watch)
    elevations = Elevations(
        sessions=stores.sessions,
        random_bytes=secrets.token_bytes,
        membership=Membership(store=stores.people),
        record=outputs.record_proof,
    )
    certificates = None
    if settings.acnlb is not None:
        from authproxy.bootstrap.certificates import certificate_components  # noqa: PLC0415

        certificates = await certificate_components(
            settings,
            settings.acnlb,
            stores,
            demands,
            sign_ins,
            elevations,
            audit=outputs.audit,
            clock=clock,
            resources=resources,
            names=counterparts.names,
        )
    return _Proofs(sign_ins, elevations, change_notices, certificates)


def _bound(
    settings: Settings, resources: AsyncExitStack, lent: Iterable[BoundAddress] | None
) -> dict[ListenAddress, BoundAddress]:
    bound = {
        listener.address: listener for listener in (bind(all_addresses(settings)) if lent is None else lent)
    }
    for listener in bound.values():
        resources.callback(listener.close)
    return bound


def _sign_ins(settings: Settings, stores: Stores, number_watch: NumberWatch | None) -> SignIns:
    return SignIns(
        attempts=stores.attempts,
        sessions=stores.sessions,
        attempt_for=settings.sessions.attempt,
        random_bytes=secrets.token_bytes,
        random_text=secrets.token_urlsafe,
        describe_browser=described,
        **({} if number_watch is None else {"greet": number_watch.signed_in}),
    )

"""What most of the building needs, put together once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from authproxy.access.routes import Portals
from authproxy.assertions.signer import AssertionSigner
from authproxy.bootstrap.accounts import AccountChecks
from authproxy.bootstrap.auditing import Writing
from authproxy.bootstrap.background import Background
from authproxy.bootstrap.certificates import CertificateParts
from authproxy.bootstrap.delivery import Delivery
from authproxy.bootstrap.descriptors import Descriptors
from authproxy.bootstrap.stores import Stores
from authproxy.challenges.notices import Notices
from authproxy.challenges.recovery import Cost
from authproxy.dns.resolver import Resolver
from authproxy.edge.client.sockets import Address, Bound
from authproxy.flows.access import Access
from authproxy.flows.sign_in.attempts import SignInDemand, SignIns
from authproxy.flows.step_up.elevation import Elevations
from authproxy.oidc.provider import OpenIdProvider
from authproxy.settings.schema import Settings
from authproxy.telemetry.audit import Audit
from authproxy.telemetry.metrics import Metrics
from authproxy.web.messages import TextMessages
from authproxy.web.rates import Rates

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    settings: Settings
    sheet_cost: Cost
    """How slowly recovery codes are hashed."""
    portals: Portals
    stores: Stores
    provider: OpenIdProvider
    signer: AssertionSigner
    access: Access
    audit: Audit
    metrics: Metrics
    clock: Clock
    background: Background
    bound: Mapping[Address, Bound]
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
    certificates: CertificateParts | None
    accounts: AccountChecks | None
    rates: Rates
    writing: Writing

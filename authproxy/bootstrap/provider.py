"""The section `rekono` of the settings → the relying party and what it makes of the provider's claims.

Reads the client's private key.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from authproxy.access.routes import Portals
from authproxy.flows.sign_in.provider_demands import ProviderDemands
from authproxy.flows.sign_in.round_trip import ClaimRules, StepUpBy
from authproxy.oidc.claims import ClaimNames, VerifiedWhenAbsent
from authproxy.oidc.relying_party import RelyingParty
from authproxy.settings.schema import ProviderSettings
from authproxy.settings.values import is_rekonos_own
from authproxy.web.pages import Links


def relying_party(settings: ProviderSettings) -> RelyingParty:
    """Raises OSError where the key cannot be read."""
    return RelyingParty(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value()
        if settings.client_secret is not None
        else None,
        client_key=Path(settings.client_key_file).read_bytes()
        if settings.client_key_file is not None
        else None,
        client_key_id=settings.client_key_id,
        client_authentication=settings.client_authentication,
        algorithm=settings.algorithm,
        scopes=settings.scopes,
        max_age=settings.max_age,
        prompt=settings.prompt,
        leeway=settings.leeway,
        timeout=settings.timeout,
        logout_tokens=settings.logout_tokens,
        audiences=frozenset(settings.audiences),
        userinfo=settings.userinfo,
        pushed_authorization_requests=settings.pushed_authorization_requests,
        logout_method=settings.logout_method,
        logout_hint=settings.logout_hint,
    )


def claim_rules(settings: ProviderSettings, portals: Portals) -> ClaimRules:
    absent = settings.verified_when_absent
    return ClaimRules(
        names=ClaimNames(**dataclasses.asdict(settings.claims)),
        levels=settings.levels,
        leeway=settings.leeway,
        verified_when_absent=VerifiedWhenAbsent(
            email=is_rekonos_own(settings.issuer) if absent.email is None else absent.email,
            phone_number=absent.phone_number,
        ),
        step_up_by=step_up_by(settings),
        provider_demand=ProviderDemands(portals.by_host.values()),
    )


def step_up_by(settings: ProviderSettings) -> StepUpBy:
    """Which sign-ins at the provider are a fresh proof."""
    words = settings.step_up_by
    if isinstance(words, dict):
        return StepUpBy(amr=frozenset(words.get("amr", ())), acr=frozenset(words.get("acr", ())))
    return StepUpBy(every=is_rekonos_own(settings.issuer) if words is None else words == "always")


def links(settings: ProviderSettings) -> Links:
    """The provider's pages that ours link to."""
    return Links(
        dashboard_url=settings.dashboard_url,
        register_url=settings.register_url,
        help_url=settings.help_url,
    )

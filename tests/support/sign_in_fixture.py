"""A sign-in at a provider that believes every code, on stores in memory: what tests of the flow itself
ask."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from authproxy.access.provider_demand import NOTHING
from authproxy.flows.register.membership import Membership
from authproxy.flows.sign_in.attempts import SignInDemand, SignIns
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.flows.sign_in.round_trip import ALWAYS, ClaimRules
from authproxy.flows.step_up.elevation import Elevations
from authproxy.identity.assurance import Level
from authproxy.identity.grant import Grant
from authproxy.identity.person import Issuer, Subject
from authproxy.oidc.claims import ClaimNames
from authproxy.oidc.id_token import VerifiedClaims
from authproxy.storage.memory import MemoryAttempts, MemoryPeople, MemorySessions
from authproxy.storage.near_cache import NearCache
from authproxy.storage.records.sealed_texts import Seals
from authproxy.storage.records.sealing import KeyRing
from tests.support.session_builders import ISSUER, NOW, visit_of
from tests.support.unsteady import Unsteady

BROWSER = "the-browser"
USERINFO = {
    "name": "Ana Novak",
    "taxnumber": "99990008",
    "loa": 20,
    "birthdate": "1990-01-01",
    "address": {"formatted": "Pot 1"},
}


@dataclass
class Proof:
    claims: VerifiedClaims
    userinfo: dict
    id_token: str
    grant: Grant | None


@dataclass
class Provider:
    """Believes every code, and says what it was told to say."""

    userinfo: dict = field(default_factory=lambda: dict(USERINFO))
    auth_time: object = NOW
    subject: str = "ana"
    acr: str = "20"
    provider_session: str | None = None
    id_token: str = "the.id.token"
    failure: Exception | None = None
    grant: Grant | None = None
    asked: list = field(default_factory=list)

    async def authorization_request(self, **asked):
        if self.failure:
            raise self.failure
        self.asked.append(asked)
        return f"https://provider.example/authorize?state={asked['state']}"

    async def authenticate(self, parameters, **with_what):
        self.asked.append(with_what)
        if self.failure:
            raise self.failure
        every = {"sub": self.subject, "acr": self.acr, "amr": ["pwd", "sms"]} | (
            {"sid": self.provider_session} if self.provider_session else {}
        )
        claims = VerifiedClaims(
            issuer=Issuer(ISSUER), subject=Subject(self.subject), auth_time=self.auth_time, every=every
        )
        return Proof(claims, self.userinfo, self.id_token, self.grant)


class SignInFixture:
    def __init__(self, *, step_up_by=ALWAYS):
        self.step_up_by = step_up_by
        self.provider = Provider()
        self.attempts = Unsteady(MemoryAttempts())
        self.seals = Seals(KeyRing((bytes(32),), random_bytes=secrets.token_bytes))
        self.sessions = Unsteady(MemorySessions(NearCache(near_cache_for=timedelta(), silence=None)))
        self.elevations = Elevations(sessions=self.sessions, random_bytes=secrets.token_bytes)
        self.people = MemoryPeople()
        self.time = NOW
        self.level = Level.LOW
        self.asking = NOTHING
        self.members = "anyone"
        self.accounts = None
        self.greet = None
        self.login = self._login()

    def _login(self):
        def demand(portal_id):
            return SignInDemand(
                portal_id=portal_id,
                origin=f"https://{portal_id}.example",
                required_claims=("tax_number", "name"),
                level=self.level,
                idle_for=timedelta(minutes=5),
                absolute_lifetime=timedelta(hours=8),
                members=self.members,
                route_levels={"acq/orders POST": Level.MEDIUM},
            )

        sign_ins = SignIns(
            attempts=self.attempts,
            sessions=self.sessions,
            attempt_for=timedelta(minutes=30),
            random_bytes=secrets.token_bytes,
            random_text=secrets.token_urlsafe,
            describe_browser=str.upper,
            **({} if self.greet is None else {"greet": self.greet}),
        )
        return OpenIdSignIn(
            provider=self.provider,
            attempts=self.attempts,
            seals=self.seals,
            sign_ins=sign_ins,
            elevations=self.elevations,
            membership=Membership(store=self.people),
            demands={name: demand(name) for name in ("acq", "b2b")},
            rules=ClaimRules(
                names=ClaimNames(tax_number=("taxnumber",), level=("loa",)),
                levels={"20": Level.MEDIUM},
                provider_demand=lambda _attempt: self.asking,
                step_up_by=self.step_up_by,
            ),
            clock=lambda: self.time,
            accounts=self.accounts,
        )

    def demand(self, level):
        self.level = level
        self.login = self._login()

    async def begin(self):
        url = await self.login.begin(visit_of(BROWSER, return_to="/izpis?a=1", now=self.time))
        return url.partition("state=")[2]

    async def begin_step_up(self, session, *, route="acq", held=None, binding=None):
        visit = visit_of(BROWSER, return_to="/orders?a=1", held=held, now=self.time, binding=binding)
        url = await self.login.begin_step_up(visit, session, route)
        return url.partition("state=")[2]

    async def complete(self, state, *, browser=BROWSER, ticket=None, portal_id="acq"):
        visit = visit_of(browser, portal_id=portal_id, ticket_text=ticket, now=self.time)
        return await self.login.complete(visit, (("state", state), ("code", "c")))

"""Step-ups put together: which methods there are, who sends messages, what is enrolled, which forms wait."""

from __future__ import annotations

import secrets

from authproxy.bootstrap import meanings
from authproxy.bootstrap.parts import Parts
from authproxy.challenges.method import Method
from authproxy.challenges.one_time_code import CodeHashes
from authproxy.challenges.push import PushEnrolling, PushMethod, PushRules
from authproxy.challenges.recovery import RecoveryMethod
from authproxy.challenges.sms import CodeRules, SmsMethod
from authproxy.challenges.totp import TotpMethod
from authproxy.flows.held.requests import HeldRequests
from authproxy.flows.register.phone_numbers import PhoneNumbers
from authproxy.flows.sign_in.browser_names import described
from authproxy.flows.sign_in.openid import OpenIdSignIn
from authproxy.flows.step_up.bound_requests import BoundRequests
from authproxy.flows.step_up.challenges import Elsewhere, StepUpRules, StepUps
from authproxy.flows.step_up.elsewhere import AtProvider, ByCertificate
from authproxy.flows.step_up.enrolling import Enrolling
from authproxy.flows.step_up.method_changes import MethodChanges
from authproxy.identity.assurance import StepUpMethod
from authproxy.web.application import StepUpServices
from authproxy.web.messages import TextMessages

_ISSUER_NAME = "Bankart Varni Spletni Prehod"
"""What authenticator applications call the gateway."""


def held_requests(parts: Parts) -> HeldRequests:
    """Forms that wait for a proof: the edge keeps and sends them, the pages show them."""
    settings = parts.settings
    return HeldRequests(
        kept=parts.stores.shared_octets,
        limits=parts.stores.limits,
        fresh=secrets.token_urlsafe,
        lives_for=settings.sessions.attempt,
        largest=settings.step_up.held.size,
        types=settings.step_up.held.types,
    )


def step_up_services(
    parts: Parts, login: OpenIdSignIn, texts: TextMessages, held: HeldRequests
) -> StepUpServices:
    numbers = PhoneNumbers(parts.stores.people)
    hashes = CodeHashes(meanings.record_keys(parts.settings))
    methods, elsewhere = _methods(parts, texts, numbers, hashes), _elsewhere(parts, login)
    changes = MethodChanges(
        enrolments=parts.stores.enrolments,
        people=parts.stores.people,
        set_up=frozenset({method.method for method in methods} | set(elsewhere)),
        proof_for=parts.settings.step_up.enrolment_proof_for,
    )
    return StepUpServices(
        step_ups=_step_ups(parts, texts, methods, elsewhere, changes, held),
        held=held,
        enrolling=_enrolling(parts, numbers, hashes, changes),
    )


def _step_ups(
    parts: Parts,
    texts: TextMessages,
    methods: list[Method],
    elsewhere: dict[StepUpMethod, Elsewhere],
    changes: MethodChanges,
    held: HeldRequests,
) -> StepUps:
    settings, stores = parts.settings, parts.stores
    return StepUps(
        sessions=stores.sessions,
        challenges=stores.challenges,
        limits=stores.limits,
        elevations=parts.elevations,
        methods=methods,
        elsewhere=elsewhere,
        changes=changes,
        portals={portal.portal_id: portal for portal in parts.portals.by_host.values()},
        portal_names=texts.portal_name,
        rules=StepUpRules(
            levels={int(level): frozenset(allowed) for level, allowed in settings.step_up.levels.items()},
            tries=settings.step_up.codes.tries,
            source=settings.assertions.issuer,
        ),
        describe_browser=described,
        fresh=secrets.token_urlsafe,
        notices=parts.notices,
        bound=BoundRequests(held=held, used=stores.used_proofs),
    )


def _enrolling(parts: Parts, numbers: PhoneNumbers, hashes: CodeHashes, changes: MethodChanges) -> Enrolling:
    onepass = parts.delivery.onepass
    named = parts.settings.step_up.onepass
    push = None
    if onepass is not None and named is not None:
        push = PushEnrolling(
            service=onepass, hashes=hashes, relying_party=named.name, fresh=secrets.token_urlsafe
        )
    return Enrolling(
        sessions=parts.stores.sessions,
        store=parts.stores.enrolments,
        begun=parts.stores.shared_octets,
        limits=parts.stores.limits,
        push=push,
        numbers=numbers,
        notices=parts.notices,
        changes=changes,
        issuer_name=_ISSUER_NAME,
        fresh=secrets.token_urlsafe,
        random_bytes=secrets.token_bytes,
        below=secrets.randbelow,
        sheet_cost=parts.sheet_cost,
    )


def _methods(parts: Parts, texts: TextMessages, numbers: PhoneNumbers, hashes: CodeHashes) -> list[Method]:
    """Those that can work with these settings: without a gateway nobody is offered a text message."""
    codes, pushes, stores = parts.settings.step_up.codes, parts.settings.step_up.pushes, parts.stores
    methods: list[Method] = [
        TotpMethod(enrolments=stores.enrolments, lives_for=codes.lives_for),
        RecoveryMethod(codes=stores.enrolments, lives_for=codes.lives_for, cost=parts.sheet_cost),
    ]
    if parts.delivery.sms is not None:
        rules = CodeRules(
            digits=codes.digits,
            lives_for=codes.lives_for,
            again_after=codes.again_after,
            per_hour=codes.per_hour,
        )
        methods.append(
            SmsMethod(
                sender=parts.delivery.sms,
                numbers=numbers,
                messages=stores.limits,
                text=texts.code,
                hashes=hashes,
                rules=rules,
                below=secrets.randbelow,
            )
        )
    if parts.delivery.onepass is not None:
        methods.append(
            PushMethod(
                service=parts.delivery.onepass,
                enrolments=stores.enrolments,
                pending=stores.challenges,
                messages=stores.limits,
                rules=PushRules(lives_for=pushes.lives_for, per_ten_minutes=pushes.per_ten_minutes),
                below=secrets.randbelow,
            )
        )
    return methods


def _elsewhere(parts: Parts, login: OpenIdSignIn) -> dict[StepUpMethod, Elsewhere]:
    people = parts.stores.people
    ways: dict[StepUpMethod, Elsewhere] = {}
    if meanings.step_up_by(parts.settings.rekono).is_possible:
        ways["rekono"] = AtProvider(login, people, issuer=parts.settings.rekono.issuer)
    acnlb = parts.settings.acnlb
    if parts.certificates is not None and acnlb is not None:
        knows = parts.certificates.profile.believes_tax_numbers
        ways["certificate"] = ByCertificate(
            parts.certificates.login, people, knows_tax_numbers=knows, level=acnlb.level
        )
    return ways

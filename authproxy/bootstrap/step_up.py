"""The section `step_up` → the methods, the flows of challenges and enrolments, and the forms that wait."""

from __future__ import annotations

import secrets

from authproxy.bootstrap.components import Components
from authproxy.bootstrap.keys import record_keys
from authproxy.bootstrap.provider import step_up_by
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
from authproxy.flows.step_up.challenges import StepUpChallenges, StepUpRules
from authproxy.flows.step_up.elsewhere import AtProvider, ByCertificate, MethodElsewhere
from authproxy.flows.step_up.enrolling import Enrolling
from authproxy.flows.step_up.method_changes import MethodChanges
from authproxy.flows.step_up.repeated_answers import RepeatedAnswers
from authproxy.identity.assurance import StepUpMethod
from authproxy.web.application import StepUpServices

_ISSUER_NAME = "Bankart Varni Spletni Prehod"
"""The gateway's name in authenticator applications."""


def make_held_requests(components: Components) -> HeldRequests:
    """Forms that wait for a fresh proof or a sign-in. The edge stores and sends them; the pages show them."""
    settings = components.settings
    return HeldRequests(
        store=components.stores.shared_octets,
        sessions=components.stores.sessions,
        limits=components.stores.limits,
        random_text=secrets.token_urlsafe,
        lives_for=settings.sessions.attempt,
        size=settings.step_up.held.size,
        types=settings.step_up.held.types,
    )


def step_up_services(
    components: Components, login: OpenIdSignIn, held_requests: HeldRequests
) -> StepUpServices:
    numbers = PhoneNumbers(components.stores.people)
    hashes = CodeHashes(record_keys(components.settings.sessions))
    methods, elsewhere = _methods(components, numbers, hashes), _elsewhere(components, login)
    changes = MethodChanges(
        enrolments=components.stores.enrolments,
        people=components.stores.people,
        available=frozenset({method.name for method in methods} | set(elsewhere)),
        enrolment_proof_for=components.settings.step_up.enrolment_proof_for,
    )
    return StepUpServices(
        step_ups=_step_ups(components, methods, elsewhere, changes, held_requests),
        held_requests=held_requests,
        enrolling=_enrolling(components, numbers, hashes, changes),
    )


def _step_ups(
    components: Components,
    methods: list[Method],
    elsewhere: dict[StepUpMethod, MethodElsewhere],
    changes: MethodChanges,
    held_requests: HeldRequests,
) -> StepUpChallenges:
    settings, stores = components.settings, components.stores
    return StepUpChallenges(
        sessions=stores.sessions,
        challenges=stores.challenges,
        limits=stores.limits,
        repeated_answers=RepeatedAnswers(store=stores.shared_octets, sessions=stores.sessions),
        elevations=components.elevations,
        methods=methods,
        elsewhere=elsewhere,
        method_changes=changes,
        portals={portal.portal_id: portal for portal in components.portals.by_host.values()},
        portal_name=components.texts.portal_name,
        rules=StepUpRules(
            levels={int(level): frozenset(allowed) for level, allowed in settings.step_up.levels.items()},
            tries=settings.step_up.codes.tries,
            source=settings.assertions.issuer,
        ),
        describe_browser=described,
        random_text=secrets.token_urlsafe,
        notices=components.notices,
        bound_requests=BoundRequests(held_requests=held_requests, used_proofs=stores.used_proofs),
    )


def _enrolling(
    components: Components, numbers: PhoneNumbers, hashes: CodeHashes, changes: MethodChanges
) -> Enrolling:
    onepass = components.delivery.onepass
    settings = components.settings.step_up.onepass
    push = None
    if onepass is not None and settings is not None:
        push = PushEnrolling(
            service=onepass, hashes=hashes, relying_party=settings.name, random_text=secrets.token_urlsafe
        )
    return Enrolling(
        sessions=components.stores.sessions,
        enrolments=components.stores.enrolments,
        unfinished=components.stores.shared_octets,
        limits=components.stores.limits,
        push=push,
        numbers=numbers,
        notices=components.notices,
        method_changes=changes,
        issuer_name=_ISSUER_NAME,
        random_text=secrets.token_urlsafe,
        random_bytes=secrets.token_bytes,
        random_below=secrets.randbelow,
        sheet_cost=components.sheet_cost,
    )


def _methods(components: Components, numbers: PhoneNumbers, hashes: CodeHashes) -> list[Method]:
    """The methods that work with these settings: without a gateway there are no codes by text message."""
    codes, pushes, stores = (
        components.settings.step_up.codes,
        components.settings.step_up.pushes,
        components.stores,
    )
    methods: list[Method] = [
        TotpMethod(enrolments=stores.enrolments, lives_for=codes.lives_for),
        RecoveryMethod(enrolments=stores.enrolments, lives_for=codes.lives_for, cost=components.sheet_cost),
    ]
    if components.delivery.sms is not None:
        rules = CodeRules(
            digits=codes.digits,
            lives_for=codes.lives_for,
            again_after=codes.again_after,
            per_hour=codes.per_hour,
        )
        methods.append(
            SmsMethod(
                sender=components.delivery.sms,
                numbers=numbers,
                limits=stores.limits,
                text=components.texts.code,
                hashes=hashes,
                rules=rules,
                random_below=secrets.randbelow,
            )
        )
    if components.delivery.onepass is not None:
        methods.append(
            PushMethod(
                service=components.delivery.onepass,
                enrolments=stores.enrolments,
                pending=stores.challenges,
                limits=stores.limits,
                rules=PushRules(lives_for=pushes.lives_for, per_ten_minutes=pushes.per_ten_minutes),
                random_below=secrets.randbelow,
            )
        )
    return methods


def _elsewhere(components: Components, login: OpenIdSignIn) -> dict[StepUpMethod, MethodElsewhere]:
    people = components.stores.people
    elsewhere: dict[StepUpMethod, MethodElsewhere] = {}
    if step_up_by(components.settings.rekono).is_possible:
        elsewhere["rekono"] = AtProvider(login, people, issuer=components.settings.rekono.issuer)
    acnlb = components.settings.acnlb
    if components.certificates is not None and acnlb is not None:
        elsewhere["certificate"] = ByCertificate(
            components.certificates.login,
            people,
            knows_tax_numbers=acnlb.believes_tax_numbers,
            level=acnlb.level,
        )
    return elsewhere

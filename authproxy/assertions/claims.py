"""PURE: what an identity assertion says about a session (RFC 7519 §4.1, OpenID Connect Core §2, RFC 8176)."""

from __future__ import annotations

from datetime import datetime, timedelta

from authproxy.identity.session import Session


def claims(
    session: Session,
    *,
    issuer: str,
    portal_id: str,
    now: datetime,
    lifetime: timedelta,
    token_id: str,
    bound_to: tuple[str, str] | None = None,
) -> dict[str, object]:
    """The claims for one portal. Times are whole seconds since 1970 (RFC 7519 §2, NumericDate). Unknown
    claims are left out; none is null or empty.

    `bound_to` is the method and URL, without query, of the only request that the assertion is for (`htm` and
    `htu` as in RFC 9449 §4.2)."""
    issued_at = _seconds(now)
    person = session.person
    method, url = bound_to or (None, None)
    authenticated_at = session.authenticated_at
    stated = {
        "iss": issuer,
        "aud": portal_id,
        "sub": person.subject_for_portals,
        "sid": session.session_id,
        "jti": token_id,
        "iat": issued_at,
        "exp": issued_at + int(lifetime.total_seconds()),
        "auth_time": None if authenticated_at is None else _seconds(authenticated_at),
        "acr": _acr(session),
        # RFC 8176 treats it as a set. A stable order keeps assertions of one session alike.
        "amr": list(dict.fromkeys(word for event in session.events for word in event.amr)),
        "level": int(session.level),
        "method": session.method,
        "roles": list(session.roles),
        "step_up": [
            {"method": event.method, "at": _seconds(event.at)} for event in session.events if event.is_step_up
        ],
        "name": person.name,
        "email": person.email,
        "tax_number": person.tax_number,
        "htm": method,
        "htu": url,
    }
    return {name: value for name, value in stated.items() if value not in (None, "", [])}


def machine_claims(
    client_id: str,
    *,
    issuer: str,
    portal_id: str,
    now: datetime,
    lifetime: timedelta,
    token_id: str,
    bound_to: tuple[str, str] | None = None,
) -> dict[str, object]:
    """The claims about a program. They have `client_id` (RFC 8693 §4.3), which those about a person never
    have, and nothing that only a person can have."""
    issued_at = _seconds(now)
    stated: dict[str, object] = {
        "iss": issuer,
        "aud": portal_id,
        "sub": client_id,
        "client_id": client_id,
        "jti": token_id,
        "iat": issued_at,
        "exp": issued_at + int(lifetime.total_seconds()),
        "level": 0,
        "method": "machine",
    }
    return stated if bound_to is None else stated | {"htm": bound_to[0], "htu": bound_to[1]}


def _acr(session: Session) -> str | None:
    """The `acr` of the latest event that has one."""
    return next(
        (
            event.acr
            for event in sorted(session.events, key=lambda event: event.at, reverse=True)
            if event.acr
        ),
        None,
    )


def _seconds(at: datetime) -> int:
    return int(at.timestamp())

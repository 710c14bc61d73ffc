"""PURE: what the settings of every imported gateway have in common."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit
from zlib import crc32

from authproxy.cli.imports.draft import Draft, Fate
from authproxy.cli.imports.rules import Rules
from authproxy.identity.member import ROLE

PORTAL: Final = "portal"
"""The short name of the imported portal, until the operator gives it another one."""
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  (what other gateways mean by an address without a host)
ROLES_ARE_IN_THE_REGISTER: Final = (
    "roles are those of the register of people, not of the provider: `authproxy people import`"
)
_SHORTEST: Final = 300
_LONGEST: Final = 24 * 3600
_HOW_TO_GIVE_IT: Final = "write the client secret into it, and nothing else; mode 0600"


def begin(product: str) -> Draft:
    """A draft with the sections in their usual order."""
    draft = Draft(product)
    for section in ("server", "store", "sessions", "assertions", "rekono"):
        draft.tree[section] = {}
    draft.tree["portals"] = {PORTAL: {}}
    return draft


def client_secret(draft: Draft, comment: str, file: str | None = None) -> None:
    """`file` is where the other gateway has it; without it the secret stood in its configuration."""
    draft.say(
        ("rekono", "client_secret_file"), file or draft.needs_file("client-secret", _HOW_TO_GIVE_IT), comment
    )


def finish(draft: Draft, rules: Rules, preset: str) -> None:
    """Adds the routes, and what every gateway needs and the other configuration cannot say."""
    portal, rekono = draft.tree["portals"][PORTAL], draft.tree["rekono"]
    portal.setdefault("name", PORTAL)
    if "listen" not in draft.tree["server"]:
        address = f"{EVERYWHERE}:443" if "tls" in draft.tree["server"] else "127.0.0.1:4180"
        draft.say(("server", "listen"), [address])
        draft.gaps.append("server.listen: where browsers, or the proxy in front, connect")
    if "url" not in portal:
        portal["url"] = "https://portal.example"
        draft.gaps.append(f"portals.{PORTAL}.url: the portal's address for browsers")
    if "upstream" not in portal and rules.servers:
        # The other gateway knows no server for the rest, so nobody gets there.
        portal["upstream"] = rules.servers[0].upstream
        rules.is_served_elsewhere = False
    if "upstream" in portal:
        draft.say(("server", "subrequests"), [], "requests are passed on here, and no proxy asks about them")
    else:
        portal["upstream"] = "http://127.0.0.1:9001"
        draft.gaps.append(f"portals.{PORTAL}.upstream: the portal's server")
        draft.gaps.append("server.subrequests: the proxy in front, if it asks about requests: [nginx]")
    if "issuer" not in rekono:
        rekono["issuer"] = "https://provider.example"
        draft.gaps.append("rekono.issuer: the OpenID provider, exactly as its discovery names it")
    if "client_id" not in rekono:
        rekono["client_id"] = "fill-in"
        draft.gaps.append("rekono.client_id")
    if "client_secret_file" not in rekono:
        client_secret(draft, "")
    draft.say(("rekono", "step_up_by"), "never", "whether a sign-in there is also a fresh proof")
    draft.say(
        ("sessions", "keys_file"), draft.needs_file("session-keys", "openssl rand -base64 32, mode 0600")
    )
    key = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, mode 0600"
    draft.say(("assertions", "issuer"), portal["url"])
    draft.say(("assertions", "current_key_file"), draft.needs_file("assertion-current.pem", key))
    draft.say(
        ("telemetry", "audit_key_file"), draft.needs_file("audit-key", "openssl rand -base64 32, mode 0600")
    )
    at = ("portals", PORTAL)
    draft.say((*at, "required_claims"), [], f"{draft.product} demands no data of people")
    draft.say((*at, "step_up"), {"required": False}, f"{draft.product} demands no fresh proof")
    if "headers" not in portal:
        draft.say((*at, "headers"), {"preset": preset}, "the header names that the portal knows")
    for number, (route, comment) in enumerate(rules.routes()):
        portal.setdefault("routes", []).append(route)
        draft.comment((*at, "routes", number), comment)
    if not draft.tree["store"]:
        del draft.tree["store"]
    draft.gaps.append(
        "rekono.max_age: a sign-in at the provider that is older than five minutes is asked for again"
    )
    draft.gaps.append(
        f"register {portal['url']}/.authproxy/callback/rekono as redirect URI at the provider, then "
        "remove the earlier one"
    )


def span_of(text: str) -> int | None:
    """Seconds of a number of them, or of a time such as `168h0m0s`; None for anything else, and for none at
    all."""
    match = re.fullmatch(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s?)?", text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    return hours * 3600 + minutes * 60 + seconds or None


def session_time(draft: Draft, key: str, text: str, comment: str) -> tuple[Fate, str]:
    """Sets a time of `sessions`, within the bounds that there are."""
    seconds = span_of(text)
    if seconds is None:
        return "lost", f"set `sessions.{key}`"
    within = min(max(seconds, _SHORTEST), _LONGEST)
    draft.say(("sessions", key), f"{within}s", comment)
    bound = "" if within == seconds else f"; at least five minutes and at most a day, so {within}s"
    return "carried", f"sessions.{key}{bound}"


def origin_of(url: str) -> str | None:
    """Scheme and authority of a URL, if it has both and nothing that a portal's address may not have."""
    parts = _parted(url)
    if parts is None or parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{parts.netloc}" if re.fullmatch(r"[A-Za-z0-9.\-\[\]:]+", parts.netloc) else None


def path_of(url: str) -> str:
    parts = _parted(url)
    return "" if parts is None else parts.path


def _parted(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises ValueError for an impossible port)
    except ValueError:
        return None
    return parts


def role_of(text: str) -> str:
    """A name of a role for a name of the other gateway: the same, if it can be one. Otherwise different names
    stay different, because they end with a part of a checksum."""
    if ROLE.fullmatch(text):
        return text
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', text).strip('._-')[:48] or 'role'}-{crc32(text.encode()):08x}"

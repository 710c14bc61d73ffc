"""PURE: names of the keys in Redis. The part in braces is the hash tag: it decides in which slot of a cluster
a key is, and every script needs its keys in one slot.

Names of attempts and browsers are hashes, so that somebody who reads the keys of the store cannot use an
attempt or a flow cookie.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from authproxy.identity.session import SessionId

PREFIX: Final = "authproxy:{"
EVERY_SESSION: Final = "authproxy:{*}:session"
"""Pattern for SCAN."""
EVERY_ENROLMENTS: Final = "authproxy:{*}:enrolments"
EVERY_RECOVERY: Final = "authproxy:{*}:recovery"
EVERY_MACHINE_KEY: Final = "authproxy:{*}:machine-key"
_SESSION_SUFFIX: Final = "}:session"
_MACHINE_KEY_SUFFIX: Final = "}:machine-key"
# The whole register is in one slot, so that an import takes effect in one step or not at all.
REGISTER: Final = f"{PREFIX}register}}:register"
REGISTER_NAMES: Final = f"{PREFIX}register}}:register-names"
REGISTER_PEOPLE: Final = f"{PREFIX}register}}:register-people"
REGISTER_ACCOUNTS: Final = f"{PREFIX}register}}:register-accounts"
"""Blocked accounts of people who are not in the register."""
REGISTER_DEPARTURES: Final = f"{PREFIX}register}}:register-departures"
OPEN_SESSIONS: Final = f"{PREFIX}open}}:open-sessions"
OPEN_DETAILS: Final = f"{PREFIX}open}}:open-details"
OPEN_TAKER: Final = f"{PREFIX}open}}:taker"
AUDIT_ENTRIES: Final = f"{PREFIX}acts}}:acts"
AUDIT_TAKER: Final = f"{PREFIX}acts}}:taker"

NOTICES_DUE: Final = f"{PREFIX}notices}}:due"

# What the instances tell each other is in one slot too.
HEARTBEAT: Final = f"{PREFIX}store}}:pulse"
OUTAGES: Final = f"{PREFIX}store}}:outages"
ENDINGS: Final = f"{PREFIX}store}}:endings"
FORMATS: Final = f"{PREFIX}store}}:formats"
REGISTER_SEEN: Final = f"{PREFIX}store}}:register-seen"
"""The newest revision of the register that an instance has seen. It is in another slot than the register, so
that it remains if the register's slot is lost."""


def session(session_id: SessionId) -> str:
    return f"{PREFIX}{session_id}{_SESSION_SUFFIX}"


def session_id_in(key: bytes) -> SessionId | None:
    """The session whose key this is; None for a key of another kind."""
    text = key.decode("ascii", "replace")
    if text.startswith(PREFIX) and text.endswith(_SESSION_SUFFIX):
        return SessionId(text[len(PREFIX) : -len(_SESSION_SUFFIX)])
    return None


def machine_key(key_id: str) -> str:
    """`key_id` is the public name of an API key, which is a hash of it."""
    return f"{PREFIX}{key_id}{_MACHINE_KEY_SUFFIX}"


def machine_key_id_in(key: bytes) -> str:
    """The API key whose key in the store this is; empty for a key of another kind."""
    text = key.decode("ascii", "replace")
    if text.startswith(PREFIX) and text.endswith(_MACHINE_KEY_SUFFIX):
        return text[len(PREFIX) : -len(_MACHINE_KEY_SUFFIX)]
    return ""


def successor(session_id: SessionId) -> str:
    """The session that has replaced this one, in the slot of this one."""
    return f"{PREFIX}{session_id}}}:successor"


def ended_session(session_id: SessionId) -> str:
    """Whose the session was, in its slot."""
    return f"{PREFIX}{session_id}}}:ended"


def challenges_of(session_id: SessionId) -> str:
    return f"{PREFIX}{session_id}}}:challenges"


def challenge(name: str) -> str:
    return f"{PREFIX}{name}}}:challenge"


def issuing(name: str) -> str:
    return f"{PREFIX}{_hashed('issuing', name)}}}:issuing"


def pending_push(name: str) -> str:
    """`name` is one of `KeyRing.owner_names`, also in the next two functions."""
    return f"{PREFIX}{name}}}:push"


def enrolments(name: str) -> str:
    return f"{PREFIX}{name}}}:enrolments"


def recovery(name: str) -> str:
    return f"{PREFIX}{name}}}:recovery"


def owner_name_in(key: bytes) -> str:
    """The name in a key of `enrolments` or `recovery`."""
    return key.decode("ascii", "replace").removeprefix(PREFIX).partition("}")[0]


def recovery_codes(name: str) -> str:
    return f"{PREFIX}{name}}}:recovery-codes"


def notes(name: str) -> str:
    """`name` is one of `KeyRing.owner_names`, also in the next two functions. The slot is that of
    `NOTICES_DUE`, because a script takes both together."""
    return f"{PREFIX}notices}}:notes:{name}"


def noticed(name: str) -> str:
    return f"{PREFIX}notices}}:noticed:{name}"


def last_number(name: str) -> str:
    return f"{PREFIX}{name}}}:number"


def accepted_step(name: str) -> str:
    return f"{PREFIX}{name}}}:step"


def answer_count(name: str) -> str:
    """`name` is one of `KeyRing.limit_names`, also in the next function."""
    return f"{PREFIX}{name}}}:answers"


def message_times(name: str) -> str:
    return f"{PREFIX}{name}}}:messages"


def subject(name: str) -> str:
    """`name` is one of `KeyRing.subject_names`."""
    return f"{PREFIX}{name}}}:subject"


def provider_session(name: str) -> str:
    """`name` is one of `KeyRing.provider_session_names`."""
    return f"{PREFIX}{name}}}:provider-session"


def person(name: str) -> str:
    """`name` is one of `KeyRing.person_names`."""
    return f"{PREFIX}{name}}}:person"


def staged(live: str, import_id: str) -> str:
    """Where a part of the register is prepared before it replaces the live one."""
    return f"{live}:{import_id}"


def logout_token(issuer: str, token_id: str) -> str:
    name = _hashed("logout token", f"{issuer}\0{token_id}")
    return f"{PREFIX}{name}}}:logout-token"


def used_proof(name: str) -> str:
    return f"{PREFIX}{name}}}:used-proof"


def proof_name(proof: str) -> str:
    return _hashed("proof", proof)


def used_attempt(name: str) -> str:
    return f"{PREFIX}{name}}}:used-attempt"


def sign_ins_of(browser_name: str) -> str:
    return f"{PREFIX}{browser_name}}}:sign-ins"


def shared_octets(name: str) -> str:
    return f"{PREFIX}{name}}}:kept"


def shared_octets_name(key: str) -> str:
    return _hashed("kept", key)


def grant(name: str) -> str:
    return f"{PREFIX}{name}}}:grant"


def grant_name(secret: str) -> str:
    return _hashed("grant", secret)


def attempt_name(secret: str) -> str:
    return _hashed("attempt", secret)


def browser_name(browser: str) -> str:
    return _hashed("browser", browser)


def challenge_name(challenge_id: str) -> str:
    return _hashed("challenge", challenge_id)


def enrolment_name(enrolment_id: str) -> str:
    return _hashed("enrolment", enrolment_id)


def recovery_code_name(set_id: str, code_hash: str) -> str:
    """Somebody who reads the store does not know the id of the set, and a name in one set means nothing in
    another."""
    return _hashed("recovery code", f"{set_id}\0{code_hash}")


def recovery_set_name(set_id: str) -> str:
    return _hashed("recovery set", set_id)


def confirmation(key: bytes) -> bytes:
    """What is written in the slot of this key so that a replica has something to confirm."""
    return key[: key.index(b"}")] + b"}:confirmed"


def _hashed(kind: str, value: str) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(f"authproxy {kind}\0{value}".encode()).digest())
        .decode()
        .rstrip("=")
    )

"""Why a question to the store failed, in a sentence for operators. It repeats nothing of the question,
because arguments may be secret."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_BY_CODE: Final = {
    "OOM": "the store refuses writes: out of memory",
    "READONLY": "the store refuses writes: it is a replica",
    "NOREPLICAS": "the store refuses writes: too few replicas are connected",
    "MISCONF": "the store refuses writes: it cannot save its data to disk",
    "LOADING": "the store is still loading its data",
    "BUSY": "the store is busy with a script",
    "MASTERDOWN": "the store is a replica that has lost its primary",
    "CLUSTERDOWN": "a part of the store's cluster is not served",
    "MOVED": "the store is a cluster, and the key is on another node",
    "ASK": "the store is a cluster, and the key is moving to another node",
    "TRYAGAIN": "the store is a cluster, and the keys are moving to another node",
    "CROSSSLOT": "the store is a cluster, and the keys are on several nodes",
    "WRONGPASS": "the store does not accept the user name or the password",
    "NOAUTH": "the store wants a password",
    "NOPERM": "the store's user lacks a right",
    "WRONGTYPE": "a key in the store has another type than it should have",
}
_ADVICE: Final = {
    "OOM": "raise `maxmemory`",
    "READONLY": "name the primary in `store.url`, or its Sentinels",
    "NOREPLICAS": "look at its replicas",
    "MISCONF": "look at its disk and its log",
    "MOVED": "`store.url` must begin with `redis+cluster://`",
    "WRONGPASS": "look at `store.username` and `store.password_file`",
    "NOAUTH": "set `store.password_file`",
    "NOPERM": "`authproxy store acl` prints what it needs",
}
# If an error ends a script, Redis 6 and Redis 7 put its code in different places.
_CODE: Final = re.compile(rf"(?:^|[\s-])({'|'.join(_BY_CODE)})\b")
_COMMAND: Final = re.compile(r"run the '([a-z|]+)' command")
_MOST_CLIENTS: Final = "max number of clients reached"


class Unreached(RedisConnectionError):  # noqa: N818
    """It is not known which server to ask. The text is a sentence for operators, without a full stop."""


class Unconfirmed(ResponseError):  # noqa: N818
    """The primary has written it, but no replica has confirmed that. The text is as in `Unreached`."""


def code_of(error: BaseException) -> str | None:
    """The server's code for its refusal, if `_BY_CODE` has a sentence for it."""
    known = getattr(error, "status_code", None)
    if known in _BY_CODE:
        return str(known)
    # redis-py drops the code of what is refused while it connects, and wraps the error in another one.
    if any(isinstance(cause, AuthenticationError) for cause in _causes(error)):
        return "WRONGPASS"
    found = _CODE.search(str(error)) if isinstance(error, ResponseError) else None
    return found[1] if found else None


def description(error: BaseException, *, deadline: float) -> str:
    """A sentence without a full stop."""
    if isinstance(error, Unreached | Unconfirmed):
        return str(error)
    code = code_of(error)
    if code is not None:
        missing = _COMMAND.search(str(error)) if code == "NOPERM" else None
        advice = f": {_ADVICE[code]}" if code in _ADVICE else ""
        return f"{_BY_CODE[code]} ({f'`{missing[1]}`' if missing else code}){advice}"
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return f"the store does not answer within {deadline:g} s"
    if _MOST_CLIENTS in str(error):
        return "the store takes no more connections"
    if isinstance(error, ResponseError):
        return "the store refuses the command"
    if isinstance(error, OSError | RedisConnectionError):
        return f"the store cannot be reached: {_reason(error)}"
    return "the store's answer cannot be understood" + (
        f" ({type(error).__name__})" if not isinstance(error, RedisError) else ""
    )


def _reason(error: BaseException) -> str:
    # redis-py wraps the error of the system. The innermost error says most.
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS fails ({getattr(cause, 'reason', None) or type(cause).__name__})"
        if isinstance(cause, socket.gaierror):
            return "the name of its host is not known"
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno).lower()
    return str(error).rstrip(".").lower() or "the connection was cut"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    chain: list[BaseException] = []
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        chain.append(error)
        error = error.__cause__ or error.__context__
    yield from reversed(chain)

"""The gateway's public keys, from `jwks.json`. They are asked for again after five minutes, and at once for a
key that is not known, but at most once a minute. If the gateway cannot be asked, the last ones serve for an
hour."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

Jwk = dict[str, str]
_FAILURES = (OSError, HTTPException, ValueError, AttributeError, KeyError, TypeError, RecursionError)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Keys come from the address that is configured, and from nowhere else."""


class GatewayKeys:
    def __init__(self, address: str, clock: Callable[[], float] = time.time) -> None:
        if not address.startswith(("https://", "http://127.0.0.1:")):
            raise ValueError("the keys must come over TLS, or from this machine")
        self._address = address
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, Jwk] = {}
        self._fetched = self._asked = float("-inf")
        self._opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))

    def key(self, kid: str) -> Jwk | None:
        with self._lock:
            now = self._clock()
            fresh = kid in self._keys and 0 <= now - self._fetched <= 300
            if not fresh and not 0 <= now - self._asked < 60:
                self._asked = now
                with contextlib.suppress(*_FAILURES):  # the last ones serve for a while; log this
                    self._keys, self._fetched = self._fetch(), now
            return self._keys.get(kid) if now - self._fetched <= 3600 else None

    def _fetch(self) -> dict[str, Jwk]:
        """Only keys for ES256 count; a set without one is refused."""
        with self._opener.open(self._address, timeout=5) as answer:
            published = json.loads(answer.read(65536))["keys"]
        wanted = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}
        keys = {key["kid"]: key for key in published if wanted.items() <= key.items() and key.get("kid")}
        if not keys:
            raise ValueError("no key for ES256")
        return keys

"""PURE: which scopes of an account a relying party may have, until the person withdraws the consent."""

from __future__ import annotations

from typing import Any


class Consents:
    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str], frozenset[str]] = {}

    def cover(self, email: str, client_id: str, scopes: tuple[str, ...]) -> bool:
        """Whether the person has allowed all of these scopes."""
        return frozenset(scopes) <= self._scopes.get((email, client_id), frozenset())

    def give(self, email: str, client_id: str, scopes: tuple[str, ...]) -> None:
        """Adds a consent. Earlier consents stay."""
        self._scopes[email, client_id] = self._scopes.get((email, client_id), frozenset()) | frozenset(scopes)

    def withdraw(self, email: str, client_id: str) -> None:
        self._scopes.pop((email, client_id), None)

    def of(self, email: str) -> dict[str, frozenset[str]]:
        """Scopes by client, in the order in which they were first allowed."""
        return {client_id: scopes for (whose, client_id), scopes in self._scopes.items() if whose == email}

    def snapshot(self) -> list[dict[str, Any]]:
        return [
            {"email": email, "client_id": client_id, "scopes": sorted(scopes)}
            for (email, client_id), scopes in self._scopes.items()
        ]

    def restore(self, saved: Any) -> None:
        """Raises TypeError or LookupError for data that `snapshot` did not write."""
        self._scopes = {
            (consent["email"], consent["client_id"]): frozenset(consent["scopes"]) for consent in saved
        }

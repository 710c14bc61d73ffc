"""A client of HTTP/2: Node's own, which sends header fields and trailers as it is told."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_PATIENCE = 15.0
_LONGEST_LINE = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2Answer:
    status: int
    headers: Mapping[str, Any]
    body: bytes


class Http2Failed(ConnectionError):  # noqa: N818
    """The front proxy has ended the stream or the connection without an answer."""


class Http2Client:
    """One process for all questions; each of them goes over a connection of its own."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._count = 0
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, authority: str) -> AsyncIterator[Self]:
        """Trusts the authority, in PEM. The process is started with the first question."""
        client = cls(authority)
        try:
            yield client
        finally:
            if client._process is not None:
                assert client._process.stdin is not None
                client._process.stdin.close()
                await client._process.wait()

    async def ask(
        self,
        method: str,
        url_host: str,
        target: str,
        headers: Mapping[str, str | Sequence[str]] | None = None,
        *,
        port: int,
        server: str,
        body: bytes = b"",
        trailers: Mapping[str, str] | None = None,
    ) -> Http2Answer:
        """`url_host` is what `:authority` says, `server` the name of the TLS handshake."""
        pseudo = {":method": method, ":scheme": "https", ":authority": url_host, ":path": target}
        question = {
            "port": port,
            "server": server,
            "authority": self._authority,
            "headers": pseudo | dict(headers or {}),
            "body": base64.b64encode(body).decode(),
            "trailers": dict(trailers) if trailers else None,
        }
        async with self._turn, asyncio.timeout(_PATIENCE):
            said = await self._said(question)
        if "error" in said:
            raise Http2Failed(said["error"])
        assert said["alpn"] == "h2"
        return Http2Answer(
            status=said["headers"][":status"], headers=said["headers"], body=base64.b64decode(said["body"])
        )

    async def _said(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                "node",
                str(Path(__file__).with_suffix(".js")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LONGEST_LINE,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._count += 1
        self._process.stdin.write(json.dumps({"id": self._count, **question}).encode() + b"\n")
        answer = json.loads(await self._process.stdout.readline())
        assert answer["id"] == self._count
        return dict(answer)

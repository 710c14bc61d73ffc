"""One connection to a message centre (SMPP 3.4 §2.2): our requests and their answers, and the centre's own
requests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from authproxy.delivery import smpp_pdus
from authproxy.delivery.smpp_pdus import Command, Pdu
from authproxy.dns.resolver import Resolver

_LAST_SEQUENCE: Final = 0x7FFFFFFF
_CLOSED: Final = "closed the connection"


class ConnectionLost(Exception):  # noqa: N818
    """The connection was lost. It is unknown whether the last request took effect. The text is for
    operators."""


class SmppSession:
    """When the connection ends, everything that waits for an answer raises ConnectionLost."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        delivered: Callable[[bytes], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._delivered = delivered
        self._waiting: dict[int, asyncio.Future[Pdu | None]] = {}
        self._sequence = 0
        self._problem = ""
        self.over = asyncio.Event()

    async def ask(self, command: Command, body: bytes = b"") -> Pdu:
        """Sends a request and returns the answer. The caller limits the time. Raises ConnectionLost."""
        if self.over.is_set():
            raise ConnectionLost(self._problem or _CLOSED)
        sequence = self._next()
        waiting: asyncio.Future[Pdu | None] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = waiting
        try:
            self._writer.write(smpp_pdus.written(command, sequence, body))
            await self._writer.drain()
            answer = await waiting
        except OSError:
            answer = None
        finally:
            self._waiting.pop(sequence, None)
        if answer is not None and not answer.answers(command):
            self.end("answered another question")
            answer = None
        if answer is None:
            raise ConnectionLost(self._problem or _CLOSED)
        return answer

    async def serve(self) -> None:
        """Reads until the connection is over."""
        problem = _CLOSED
        try:
            while not self.over.is_set():
                header = await self._reader.readexactly(smpp_pdus.HEADER_SIZE)
                pdu = smpp_pdus.read(header, await self._reader.readexactly(smpp_pdus.body_size(header)))
                self._handle(pdu)
                await self._writer.drain()
        except asyncio.CancelledError:
            # The gateway ends. Nobody waits for the answer to this unbind.
            self._writer.write(smpp_pdus.written(Command.UNBIND, self._next()))
            raise
        except ValueError:
            problem = "sent what is no SMPP"
        except (OSError, EOFError):
            pass
        finally:
            self.end(problem)

    def leave(self) -> None:
        """Says goodbye and ends. Nobody waits for the answer to the unbind."""
        if not self.over.is_set():
            self._writer.write(smpp_pdus.written(Command.UNBIND, self._next()))
            self.over.set()
            # What is written is still sent.
            self._writer.close()

    def end(self, problem: str) -> None:
        self._problem = self._problem or problem
        self.over.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        self._writer.transport.abort()

    def _next(self) -> int:
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        return self._sequence

    def _handle(self, pdu: Pdu) -> None:
        if pdu.is_answer:
            waiting = self._waiting.get(pdu.sequence)
            # An answer that comes too late is dropped.
            if waiting is not None and not waiting.done():
                waiting.set_result(pdu)
            return
        match pdu.command:
            case Command.DELIVER_SM:
                self._delivered(pdu.body)
                self._writer.write(smpp_pdus.answer(pdu, b"\0"))
            case Command.ENQUIRE_LINK:
                self._writer.write(smpp_pdus.answer(pdu))
            case Command.UNBIND:
                self._writer.write(smpp_pdus.answer(pdu))
                self.over.set()
            case _:
                self._writer.write(smpp_pdus.refusal(pdu))


async def connected(
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    *,
    names: Resolver,
    delivered: Callable[[bytes], None],
) -> SmppSession:
    """Opens a connection; the bind is still to be sent. `delivered` gets the body of every incoming message.
    Raises ConnectionLost."""
    try:
        reader, writer = await asyncio.open_connection(
            sock=await names.connect(host, port),
            ssl=context,
            server_hostname=host if context is not None else None,
        )
    except OSError as error:
        # The class name is enough: refused, no such name, an invalid certificate.
        raise ConnectionLost(f"could not be connected to: {type(error).__name__}") from None
    return SmppSession(reader, writer, delivered=delivered)

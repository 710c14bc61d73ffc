"""The ways in which an SMS gateway or a mail server fails, for all recipients or one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from authproxy.sandbox.faults import ActiveFaults, Fault, NotAFault, seconds_in

Service = Literal["sms", "mail"]
How = Literal["error", "busy", "slow", "reject", "lose"]
"""error: the service fails. busy: try again later. slow: the answer is late. reject: the recipient is
refused. lose: accepted and never delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFault(Fault):
    to: str | None
    """The recipient whom it affects; None: all."""

    def as_json(self) -> dict[str, Any]:
        return {"service": self.service, "how": self.how, "to": self.to, "seconds": self.seconds}

    def affects(self, recipient: str) -> bool:
        return self.to is None or self.to.casefold() == recipient.casefold()


class DeliveryFaults(ActiveFaults[DeliveryFault]):
    async def met(self, service: Service, recipient: str) -> str | None:
        """How the service fails for this recipient, if it does; a slow answer has waited when this
        returns."""
        return await self.happening(service, lambda fault: fault.affects(recipient))


def delivery_fault(body: dict[str, Any]) -> DeliveryFault:
    """The fault that a JSON body asks for. Raises NotAFault."""
    service, how, to = body.get("service"), body.get("how"), body.get("to")
    if service not in get_args(Service):
        raise NotAFault("service")
    if how not in get_args(How):
        raise NotAFault("how")
    if to is not None and not isinstance(to, str):
        raise NotAFault("to")
    return DeliveryFault(service=cast("str", service), how=cast("str", how), to=to, seconds=seconds_in(body))

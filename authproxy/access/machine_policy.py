"""PURE: what a program lacks for a route, when its credential is genuine.

Whether anybody may enter there at all is judged before (`policy.barred`). The demands on people do not hold
for programs. A route lets in only programs that it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from authproxy.access.client_networks import is_in
from authproxy.access.decision import Allowed, Reason
from authproxy.access.routes import Portal, Route
from authproxy.access.sender import Sender
from authproxy.identity.machine_client import KEY_PREFIX, MachineClient

_KEY: Final = KEY_PREFIX.encode()


def unmet(client: MachineClient, portal: Portal, route: Route, sender: Sender) -> Reason | None:
    """The first demand that is not met; None if all are. A key that is used from a foreign network may be
    stolen, so the network comes before what the program's operator could mend."""
    key, demand = client.key, route.requirement.machines
    if key is not None and key.networks and not is_in(key.networks, sender.address):
        return Reason.NETWORK_NOT_ALLOWED
    if demand is None or not (demand.tokens if client.credential == "token" else demand.keys):
        return Reason.MACHINE_NOT_ALLOWED_HERE
    if key is not None and portal.portal_id not in key.portals:
        return Reason.MACHINE_NOT_ALLOWED_HERE
    if not client.scopes.issuperset(demand.scopes):
        return Reason.MACHINE_NOT_ALLOWED_HERE
    return None


def is_for_gateway(allowed: Allowed, authorization: Sequence[bytes]) -> bool:
    """Whether the values of `Authorization` do not reach the portal: a program has come in by them, or an API
    key is among them. Many programs send their key with every request, also to public paths, and the key may
    open other portals. Asked only at portals that let programs in."""
    return allowed.machine is not None or any(_KEY in value for value in authorization)

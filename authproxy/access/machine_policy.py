"""PURE: what a program lacks for a route, when its credential is genuine.

Whether anybody may enter there at all is judged before (`policy.barred`). The demands on people do not hold
for programs. A route lets in only programs that it names.
"""

from __future__ import annotations

from authproxy.access.client_networks import is_in
from authproxy.access.decision import Reason
from authproxy.access.routes import Portal, Route
from authproxy.access.sender import Sender
from authproxy.identity.machine_client import MachineClient


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

"""Pages that hold a secret, or change how somebody proves who they are, are for a person who navigates to
them: no script gets them.

Our pages stand at the origins of the portals. A script that has got into a portal's page sends what a form of
ours sends, from the same origin. But it cannot pretend to navigate, because browsers write `Sec-Fetch-Mode`
and `Sec-Fetch-Dest` themselves (W3C Fetch Metadata). And what a page answers that was navigated to it does
not learn: the answer is in no frame (`X-Frame-Options`), and a window that was opened for it is cut off
(`Cross-Origin-Opener-Policy`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from authproxy.access.decision import Reason
from authproxy.telemetry.audit import Audit, Event
from authproxy.web.refusals import Refused

_MODE: Final = "Sec-Fetch-Mode"
_DESTINATION: Final = "Sec-Fetch-Dest"
_WINDOW: Final = ("document",)
_WINDOW_BY_WORKER: Final = ("document", "empty")
"""The second is what browsers say where a service worker of the portal fetches the page in their place."""


class Navigations:
    """Browsers that send neither header (before 2020, before 2023 in Safari, and those that reach a portal
    over plain HTTP) are judged by `Origin` and cookie alone (`forms.py`)."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def without_worker(self, handler: Handler) -> Handler:
        """The handler, for whoever navigates in a window, and whose answer no service worker of the portal
        gets to see."""

        async def navigated(request: web.Request) -> web.StreamResponse:
            self._demand(request, _WINDOW)
            return await handler(request)

        return navigated

    def only(self, handler: Handler) -> Handler:
        """The handler, for whoever navigates in a window. A portal may have a worker that passes navigations
        on."""

        async def navigated(request: web.Request) -> web.StreamResponse:
            self._demand(request, _WINDOW_BY_WORKER)
            return await handler(request)

        return navigated

    def or_scripts(self, handler: Handler) -> Handler:
        """The same for a handler that tells scripts no more than they may know: frames alone are refused."""

        async def asked(request: web.Request) -> web.StreamResponse:
            if request.headers.get(_MODE) == "navigate":
                self._demand(request, _WINDOW_BY_WORKER)
            return await handler(request)

        return asked

    def _demand(self, request: web.Request, destinations: Collection[str]) -> None:
        """Raises Refused if the browser says that this is no navigation, or one to something else."""
        modes, said = (request.headers.getall(name, ()) for name in (_MODE, _DESTINATION))
        if all(mode == "navigate" for mode in modes) and all(one in destinations for one in said):
            return
        self._audit.record(
            Event.REQUEST_REFUSED,
            reason=Reason.FOREIGN_ORIGIN,
            detail="asked by a script or for a frame, by no navigation",
        )
        raise Refused(Reason.FOREIGN_ORIGIN)

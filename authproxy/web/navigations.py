"""Refuses scripts on pages that hold a secret or change how somebody proves who they are: only a person who
navigates gets them.

Our pages share the origins of the portals. A script that was injected into a portal's page can send whatever
a form of ours sends, from the same origin. It cannot pretend to navigate: browsers write `Sec-Fetch-Mode` and
`Sec-Fetch-Dest` themselves (W3C Fetch Metadata). If it does navigate, it cannot read the answer: our pages
load in no frame (`X-Frame-Options`), and lose the connection to a window that has opened them
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
"""Browsers send `empty` if a service worker of the portal fetches the page for them."""


class Navigations:
    """Browsers that send neither header are judged by `Origin` and cookie alone (`forms.py`): those from
    before 2020 (Safari: 2023), and all at portals on plain HTTP."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def without_worker(self, handler: Handler) -> Handler:
        """The handler, for navigations of a window without a service worker, which could read the answer."""

        async def demand_navigation(request: web.Request) -> web.StreamResponse:
            self._demand(request, _WINDOW)
            return await handler(request)

        return demand_navigation

    def only(self, handler: Handler) -> Handler:
        """The handler, for navigations of a window, also through a service worker of the portal."""

        async def demand_navigation(request: web.Request) -> web.StreamResponse:
            self._demand(request, _WINDOW_BY_WORKER)
            return await handler(request)

        return demand_navigation

    def or_scripts(self, handler: Handler) -> Handler:
        """The handler, for scripts too: it tells them only what they may know. Frames are refused."""

        async def refuse_frames(request: web.Request) -> web.StreamResponse:
            if request.headers.get(_MODE) == "navigate":
                self._demand(request, _WINDOW_BY_WORKER)
            return await handler(request)

        return refuse_frames

    def _demand(self, request: web.Request, destinations: Collection[str]) -> None:
        """Raises Refused if the browser says that this is no navigation, or a navigation of something else
        than a window."""
        modes, stated = (request.headers.getall(name, ()) for name in (_MODE, _DESTINATION))
        if all(mode == "navigate" for mode in modes) and all(each in destinations for each in stated):
            return
        self._audit.record(
            Event.REQUEST_REFUSED,
            reason=Reason.FOREIGN_ORIGIN,
            detail="asked by a script or for a frame, by no navigation",
        )
        raise Refused(Reason.FOREIGN_ORIGIN)

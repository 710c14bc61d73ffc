"""Where the middlewares put what they know of a request, for the handlers."""

from __future__ import annotations

from aiohttp import web

from authproxy.web.request_context import RequestContext

CONTEXT = web.RequestKey("context", RequestContext)

"""Forms of the phone: it reads only forms of its own pages, and answers each change with a redirect."""

from __future__ import annotations

import hmac

from aiohttp import web


async def read(request: web.Request, csrf: str) -> dict[str, str]:
    """The form's fields. A form that the phone has not shown since its start leads to the first page, which
    says so."""
    form = {name: str(value) for name, value in (await request.post()).items()}
    if not hmac.compare_digest(form.get("_csrf", "").encode("utf-8", "surrogatepass"), csrf.encode()):
        raise web.HTTPSeeOther("/?said=form_old")
    return form


def to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})

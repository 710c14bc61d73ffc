"""A lost password: with e-mail address and PUK code a person sets a new password and gets a new PUK code.
Every mistake gets the same answer.

Wrong attempts count for the address, whether it has an account or not: after five it must wait for 15
minutes.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any

from aiohttp import web

from authproxy.sandbox.accounts import ProviderAccount
from authproxy.sandbox.identity_provider.front_end import entered, puk
from authproxy.sandbox.identity_provider.front_end.mail import mailed
from authproxy.sandbox.identity_provider.front_end.records import FormMessage, Reset, message_for
from authproxy.sandbox.identity_provider.provider import (
    COOKIE,
    FRONT_END,
    OUTGOING,
    PROVIDER,
    RESET_PAGE,
    SIGN_IN_PAGE,
    redirect,
    see_other,
)

_PUK_PAGE = f"{FRONT_END}/reset/puk.htm"


def route(router: web.UrlDispatcher) -> None:
    router.add_get(RESET_PAGE, window)
    router.add_post(RESET_PAGE, answer)
    router.add_get(_PUK_PAGE, new_puk)
    router.add_post(_PUK_PAGE, put_down)


async def window(request: web.Request) -> web.Response:
    """The form. If this browser has not begun a reset, it begins one."""
    provider = request.app[PROVIDER]
    if "reset" in request.query:
        reset = _ours(request, request.query["reset"])
        return _lost(request) if reset is None else _window(request, request.query["reset"], reset)
    browser = request.cookies.get(COOKIE) or provider.new_uuid()
    handle = provider.new_uuid()
    provider.resets.put(
        handle, Reset(browser=browser, csrf=provider.new_uuid(), login=request.query.get("login", ""))
    )
    response = redirect(f"{RESET_PAGE}?reset={handle}")
    if COOKIE not in request.cookies:
        provider.set_cookie(response, browser, path=FRONT_END)
    return response


async def answer(request: web.Request) -> web.Response:
    provider = request.app[PROVIDER]
    form, handle, reset = await _form_of(request)
    if reset is None:
        return _lost(request)
    if reset.puk:  # the form was sent twice
        return see_other(f"{_PUK_PAGE}?reset={handle}")
    reset.email = form.get("email", "")
    reader = entered.Reader(form)
    email, typed_puk = reader.read("email", entered.email), reader.read("puk", entered.line)
    secret = reader.read("password", lambda typed: entered.password(typed, email=email))
    if reader.problems:
        return _with_message(handle, reset, problems=reader.problems)
    key = f"puk {email.casefold()}"
    minutes = provider.wrong_proofs.minutes_to_wait(key)
    if minutes:
        return _with_message(handle, reset, problem="wait", minutes=minutes)
    # Counted before the slow comparison, so that simultaneous guesses count too.
    provider.wrong_proofs.count(key)
    account = provider.accounts.find(email)
    if (
        not await provider.fits(puk.meant(typed_puk), account.puk_hash if account is not None else None)
        or account is None
    ):
        return _with_message(handle, reset, problem="wrong")
    provider.wrong_proofs.forget(key)
    await _reset(request, reset, account, secret)
    return see_other(f"{_PUK_PAGE}?reset={handle}")


async def _reset(request: web.Request, reset: Reset, seen: ProviderAccount, secret: str) -> None:
    """Replaces password and PUK code, and ends everything that was begun with the old ones."""
    provider = request.app[PROVIDER]
    new = puk.new(provider.random_bytes(8))
    password_hash, puk_hash = await provider.hashed(secret), await provider.hashed(new)
    account = provider.accounts.find(seen.email)
    if (
        account is None or account.puk_hash != seen.puk_hash
    ):  # another request has used the PUK code meanwhile
        return
    provider.accounts.put(replace(account, password_hash=password_hash, puk_hash=puk_hash))
    reset.puk = new
    provider.changed()
    provider.end_everything(account.email)
    provider.wrong_passwords.forget(account.email.casefold())
    await mailed(
        request.app[OUTGOING],
        provider.mail_url,
        to=account.email,
        text=provider.pages.text(request, "mail_reset.txt"),
    )


async def new_puk(request: web.Request) -> web.Response:
    """Shows the new PUK code until the person confirms having noted it, so that reloading the page loses
    nothing."""
    handle = request.query.get("reset", "")
    reset = _ours(request, handle)
    if reset is None or not reset.puk:
        return _lost(request)
    message, reset.message = message_for(reset.message, "puk"), None
    return request.app[PROVIDER].pages.render(
        request,
        "puk.html",
        csrf=reset.csrf,
        action=f"{_PUK_PAGE}?reset={handle}",
        puk=puk.grouped(reset.puk),
        is_new_account=False,
        **{"is_unsaved": False, **message},
    )


async def put_down(request: web.Request) -> web.Response:
    form, handle, reset = await _form_of(request)
    if reset is None or not reset.puk:
        return _lost(request)
    if "saved" not in form:
        reset.message = FormMessage("puk", {"is_unsaved": True})
        return see_other(f"{_PUK_PAGE}?reset={handle}")
    request.app[PROVIDER].resets.take(handle)
    return see_other(_sign_in(request, reset))


def _window(request: web.Request, handle: str, reset: Reset) -> web.Response:
    message, reset.message = message_for(reset.message, "form"), None
    return request.app[PROVIDER].pages.render(
        request,
        "reset.html",
        csrf=reset.csrf,
        action=f"{RESET_PAGE}?reset={handle}",
        sign_in=_sign_in(request, reset),
        email=reset.email,
        **{"problem": None, "minutes": 0, "problems": {}, **message},
    )


def _with_message(handle: str, reset: Reset, **about: Any) -> web.Response:
    """Redirects to the form, which shows the message."""
    reset.message = FormMessage("form", about)
    return see_other(f"{RESET_PAGE}?reset={handle}")


def _sign_in(request: web.Request, reset: Reset) -> str:
    return (
        f"{SIGN_IN_PAGE}?login={reset.login}"
        if reset.login in request.app[PROVIDER].pending
        else SIGN_IN_PAGE
    )


async def _form_of(request: web.Request) -> tuple[dict[str, str], str, Reset | None]:
    form = {name: str(value) for name, value in (await request.post()).items()}
    handle = request.query.get("reset", "")
    reset = _ours(request, handle)
    ours = reset is not None and hmac.compare_digest(form.get("_csrf", "").encode(), reset.csrf.encode())
    return form, handle, reset if ours else None


def _ours(request: web.Request, handle: str) -> Reset | None:
    """The reset with this handle, if this browser began it."""
    reset = request.app[PROVIDER].resets.get(handle)
    ours = reset is not None and hmac.compare_digest(
        reset.browser.encode(), request.cookies.get(COOKIE, "").encode()
    )
    return reset if ours else None


def _lost(request: web.Request) -> web.Response:
    return request.app[PROVIDER].pages.render(request, "error.html", status=403, problem="reset_old")

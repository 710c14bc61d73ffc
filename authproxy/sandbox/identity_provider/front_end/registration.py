"""Creates an account: form, code by e-mail, code by SMS, PUK code. Then the waiting sign-in continues.

Nobody learns who has an account: for a known address the pages are the same, and its owner gets a mail that
says so.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from authproxy.sandbox.accounts import EmailTaken, ProviderAccount
from authproxy.sandbox.identity_provider.front_end import codes, entered, puk
from authproxy.sandbox.identity_provider.front_end.codes import Problem, Proof
from authproxy.sandbox.identity_provider.front_end.records import FormMessage, Registration, message_for
from authproxy.sandbox.identity_provider.provider import (
    COOKIE,
    FRONT_END,
    PROVIDER,
    REGISTER_PAGE,
    SIGN_IN_PAGE,
    Provider,
    Voucher,
    redirect,
    see_other,
)

_ROOT = f"{FRONT_END}/register"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class _RegistrationVisit:
    """A request in a registration."""

    request: web.Request
    handle: str
    registration: Registration
    form: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def provider(self) -> Provider:
        return self.request.app[PROVIDER]

    @property
    def address(self) -> str:
        return f"{_ROOT}/{self.registration.step}.htm?registration={self.handle}"


def route(router: web.UrlDispatcher) -> None:
    router.add_get(REGISTER_PAGE, begin)
    router.add_get(f"{_ROOT}/{{step}}.htm", show)
    router.add_post(f"{_ROOT}/{{step}}.htm", answer)


async def begin(request: web.Request) -> web.Response:
    """Begins a registration. `login` names the sign-in that it belongs to; `from=phone` means that it began
    on the phone."""
    provider = request.app[PROVIDER]
    login = request.query.get("login", "")
    pending = provider.pending.get(login)
    if pending is None and request.query.get("from") != "phone":
        return redirect(f"{provider.base}/login?register=true")
    browser = request.cookies.get(COOKIE) or provider.new_uuid()
    registration = Registration(
        browser=browser, csrf=provider.new_uuid(), login=login if pending is not None else None
    )
    if pending is not None and pending.request is not None:
        registration.email = pending.request.login_hint
    handle = provider.new_uuid()
    provider.registrations.put(handle, registration)
    response = redirect(_RegistrationVisit(request, handle, registration).address)
    if COOKIE not in request.cookies:
        provider.set_cookie(response, browser, path=FRONT_END)
    return response


async def show(request: web.Request) -> web.Response:
    """The page of the current step, even if the address names another one."""
    visit = _visit_of(request)
    if visit is None:
        return _lost(request)
    registration = visit.registration
    if request.match_info["step"] != registration.step:
        return redirect(visit.address)
    message, registration.message = message_for(registration.message, registration.step), None
    return _page(visit, **message)


async def answer(request: web.Request) -> web.Response:
    """Handles a form. A form that is sent twice leads where the first has led."""
    visit = _visit_of(request, {name: str(value) for name, value in (await request.post()).items()})
    if visit is None or not hmac.compare_digest(
        visit.form.get("_csrf", "").encode(), visit.registration.csrf.encode()
    ):
        return _lost(request)
    registration = visit.registration
    async with registration.lock:
        visit.provider.registrations.put(visit.handle, registration)
        if request.match_info["step"] != registration.step:
            return see_other(visit.address)
        if visit.form.get("do") == "change" and registration.step in {"email", "sms"}:
            registration.step = "form"
            return see_other(visit.address)
        return await _ANSWERS[registration.step](visit)


async def _form(visit: _RegistrationVisit) -> web.Response:
    registration, form = visit.registration, visit.form
    reader = entered.Reader(form)
    email = reader.read("email", entered.email)
    secret = reader.read("password", lambda typed: entered.password(typed, email=email))
    phone = reader.read("phone", entered.phone)
    registration.typed = {name: form.get(name, "") for name in ("email", "phone")}
    if reader.problems:
        return _with_message(visit, problems=reader.problems)
    # Hash first: the registration must be consistent while this awaits.
    password_hash = await visit.provider.hashed(secret)
    registration.email, registration.phone, registration.password_hash = email, phone, password_hash
    return await _next(visit, "sms" if registration.confirmed_email == email else "email")


async def _email(visit: _RegistrationVisit) -> web.Response:
    if visit.form.get("do") == "again":
        return await _again(visit)
    problem = codes.problem_with(
        visit.provider, _proof(visit), visit.registration.code, visit.form.get("code", "")
    )
    if problem is not None:
        return _with_message(visit, problem=problem)
    visit.registration.confirmed_email = visit.registration.email
    return await _next(visit, "sms")


async def _sms(visit: _RegistrationVisit) -> web.Response:
    if visit.form.get("do") == "again":
        return await _again(visit)
    problem = codes.problem_with(
        visit.provider, _proof(visit), visit.registration.code, visit.form.get("code", "")
    )
    if problem is not None:
        return _with_message(visit, problem=problem)
    visit.registration.step, visit.registration.code = "finish", None
    visit.registration.puk = puk.new(visit.provider.random_bytes(8))
    return see_other(visit.address)


async def _finish(visit: _RegistrationVisit) -> web.Response:
    """Creates the account. Before this step nothing of the person is stored."""
    provider, registration = visit.provider, visit.registration
    if "saved" not in visit.form:
        return _with_message(visit, is_unsaved=True)
    account = ProviderAccount(
        subject=_subject(provider.random_bytes(16)),
        email=registration.email,
        phone=registration.phone,
        password_hash=registration.password_hash,
        puk_hash=await provider.hashed(registration.puk),
    )
    try:
        provider.accounts.add(account)
    except EmailTaken:  # registered in another tab, or by somebody else who reads this mail
        provider.registrations.take(visit.handle)
        return provider.pages.render(visit.request, "error.html", status=409, problem="registered_meanwhile")
    provider.changed()
    registration.step, registration.puk, registration.password_hash = "done", "", ""
    registration.finished_at = provider.clock()
    return await _done(visit)


async def _done(visit: _RegistrationVisit) -> web.Response:
    """Continues the waiting sign-in, because password, address and telephone have just been proven. Without a
    waiting sign-in it shows a page."""
    provider, registration = visit.provider, visit.registration
    if (
        registration.login is None
        or registration.finished_at is None
        or registration.login not in provider.pending
    ):
        return see_other(visit.address)
    token = provider.new_uuid()
    provider.vouchers.put(
        token, Voucher(email=registration.email, at=registration.finished_at, login=registration.login)
    )
    return see_other(f"{provider.base}/callback?token={token}")


_ANSWERS: dict[str, Callable[[_RegistrationVisit], Awaitable[web.Response]]] = {
    "form": _form,
    "email": _email,
    "sms": _sms,
    "finish": _finish,
    "done": _done,
}


async def _next(visit: _RegistrationVisit, step: Literal["email", "sms"]) -> web.Response:
    """Sends a code and shows the page that asks for it. The page says if sending failed."""
    visit.registration.step = step
    visit.registration.code, _ = await codes.sent_again(visit.request, _proof(visit), None)
    return see_other(visit.address)


async def _again(visit: _RegistrationVisit) -> web.Response:
    visit.registration.code, problem = await codes.sent_again(
        visit.request, _proof(visit), visit.registration.code
    )
    return _with_message(visit, problem=problem, is_sent_again=problem is None)


def _with_message(visit: _RegistrationVisit, **about: Any) -> web.Response:
    """Redirects to the page of the step, which shows the message."""
    visit.registration.message = FormMessage(visit.registration.step, about)
    return see_other(visit.address)


def _proof(visit: _RegistrationVisit) -> Proof:
    registration = visit.registration
    if registration.step == "sms":
        return Proof(purpose="register", kind="sms", to=registration.phone, template="sms.txt")
    is_known = visit.provider.accounts.find(registration.email) is not None
    template = "mail_already_registered.txt" if is_known else "mail_register.txt"
    return Proof(
        purpose="register", kind="mail", to=registration.email, template=template, has_code=not is_known
    )


def _page(
    visit: _RegistrationVisit,
    *,
    problem: Problem | None = None,
    problems: dict[str, str] | None = None,
    is_sent_again: bool = False,
    is_unsaved: bool = False,
) -> web.Response:
    registration, provider = visit.registration, visit.provider
    goes_on = registration.login is not None and registration.login in provider.pending
    values: dict[str, Any] = {
        "csrf": registration.csrf,
        "action": visit.address,
        "handle": visit.handle,
        "sign_in": f"{SIGN_IN_PAGE}?login={registration.login}" if goes_on else SIGN_IN_PAGE,
    }
    match registration.step:
        case "form":
            typed = registration.typed or {"email": registration.email, "phone": ""}
            return provider.pages.render(
                visit.request, "register_form.html", problems=problems or {}, typed=typed, **values
            )
        case "email" | "sms":
            values |= codes.page_values(visit.request, _proof(visit), registration.code, problem)
            return provider.pages.render(
                visit.request, "sent_code.html", step=registration.step, is_sent_again=is_sent_again, **values
            )
        case "finish":
            return provider.pages.render(
                visit.request,
                "puk.html",
                puk=puk.grouped(registration.puk),
                is_new_account=True,
                is_unsaved=is_unsaved,
                **values,
            )
        case "done":
            return provider.pages.render(
                visit.request,
                "registered.html",
                goes_on=goes_on,
                is_from_phone=registration.login is None,
                phone_url=provider.phone_url,
                **values,
            )


def _visit_of(request: web.Request, form: dict[str, str] | None = None) -> _RegistrationVisit | None:
    """The registration in the address, if this browser began it."""
    handle = request.query.get("registration", "")
    registration = request.app[PROVIDER].registrations.get(handle)
    if registration is None or not hmac.compare_digest(
        registration.browser.encode(), request.cookies.get(COOKIE, "").encode()
    ):
        return None
    return _RegistrationVisit(request, handle, registration, form or {})


def _lost(request: web.Request) -> web.Response:
    return request.app[PROVIDER].pages.render(request, "error.html", status=403, problem="registration_old")


def _subject(octets: bytes) -> str:
    """A subject like Rekono's: five digits and eight letters, from sixteen random bytes."""
    letters = "".join(_LETTERS[octet % len(_LETTERS)] for octet in octets[8:])
    return f"{10_000 + int.from_bytes(octets[:8]) % 90_000}.{letters}"

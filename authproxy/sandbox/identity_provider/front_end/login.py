"""The login window and the confirmation window: first the password; then a code by SMS or from OnePass, an
answer on the phone or a certificate; then back to the OpenID server."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from authproxy.sandbox.accounts import ProviderAccount
from authproxy.sandbox.identity_provider.front_end import certificate, push
from authproxy.sandbox.identity_provider.front_end.attempts import attempt_of, handed_over, lost
from authproxy.sandbox.identity_provider.front_end.confirmation import (
    Mode,
    SmsCode,
    accepted_step,
    modes,
    six_digits,
)
from authproxy.sandbox.identity_provider.front_end.text_message import sent
from authproxy.sandbox.identity_provider.provider import (
    COOKIE,
    FRONT_END,
    OUTGOING,
    PROVIDER,
    REGISTER_PAGE,
    RESET_PAGE,
    SIGN_IN_PAGE,
    LoginAttempt,
    Provider,
    redirect,
)


async def window(request: web.Request) -> web.Response:
    """The login window. Without a waiting sign-in it first lets the OpenID server begin one."""
    provider = request.app[PROVIDER]
    login = request.query.get("login", "")
    pending = provider.pending.get(login)
    if pending is None:
        return redirect(f"{provider.base}/login")
    browser = request.cookies.get(COOKIE) or provider.new_uuid()
    csrf = provider.new_uuid()
    provider.attempts.put(csrf, LoginAttempt(browser=browser, login=login))
    email = pending.request.login_hint if pending.request is not None else ""
    response = _login_window(request, csrf, login, email=email)
    if COOKIE not in request.cookies:
        provider.set_cookie(response, browser, path=FRONT_END)
    return response


async def password(request: web.Request) -> web.Response:
    """Answers 200 with the confirmation window, or with the login window and the same message for every
    mistake."""
    provider = request.app[PROVIDER]
    csrf, attempt, form = await attempt_of(request)
    if attempt is None:
        return lost(request)
    email = form.get("username", "").strip()
    minutes = provider.wrong_passwords.minutes_to_wait(email.casefold())
    if minutes:
        return _login_window(request, csrf, attempt.login, email=email, problem="wait", minutes=minutes)
    # Counted before the slow comparison, so that simultaneous guesses count too.
    provider.wrong_passwords.count(email.casefold())
    account = provider.accounts.find(email)
    is_right = await provider.fits(
        form.get("password", ""), account.password_hash if account is not None else None
    )
    if account is None or not is_right or not account.is_enabled:
        return _login_window(request, csrf, attempt.login, email=email, problem="credentials")
    provider.wrong_passwords.forget(email.casefold())
    if attempt.email != account.email:
        # A code or notification for one account must not confirm another.
        attempt.sms = attempt.push_id = None
    attempt.email, attempt.mode, attempt.refusal = account.email, None, None
    return _confirmation_window(request, csrf, attempt, account)


async def options(request: web.Request) -> web.Response:
    """Every form of the confirmation window: `mode` chooses a factor (or `resend`, `options`), `code` is an
    answer."""
    provider = request.app[PROVIDER]
    csrf, attempt, form = await attempt_of(request)
    account = (
        provider.accounts.find(attempt.email) if attempt is not None and attempt.email is not None else None
    )
    if attempt is None or account is None:
        return lost(request)
    minutes = provider.wrong_codes.minutes_to_wait(account.email)
    if minutes:
        provider.attempts.take(csrf)
        return provider.pages.render(
            request, "ended.html", status=403, login=attempt.login, minutes=minutes, action=SIGN_IN_PAGE
        )
    if form.get("code") and attempt.mode in ("smslogin", "otplogin"):
        return _answered(request, csrf, attempt, account, form["code"])
    pressed = form.get("mode", "")
    if pressed:
        attempt.refusal = None
    if pressed == "certlogin" and provider.certificates is not None and pressed in _modes(provider, account):
        return certificate.asked_for(provider, provider.certificates, csrf)
    attempt.mode = (
        None
        if pressed == "options"
        else next((mode for mode in _modes(provider, account) if mode == pressed), attempt.mode)
    )
    if attempt.mode == "pushlogin":
        return push.window(request, csrf, attempt, account, pressed=pressed)
    problem = await _send_if_due(request, attempt, account, again=pressed == "resend")
    return _confirmation_window(request, csrf, attempt, account, problem=problem)


async def certificate_shown(request: web.Request) -> web.Response:
    """The way back of a browser that was asked for a certificate: the sign-in is confirmed, or the window
    says why not."""
    came = certificate.shown(request)
    account = request.app[PROVIDER].accounts.find(came[0].email) if came is not None else None
    if came is None or account is None:
        return lost(request)
    answer, attempt = came
    if answer.refusal is None:
        return handed_over(request, answer.csrf, attempt, account)
    attempt.mode, attempt.refusal = None, answer.refusal
    return _confirmation_window(request, answer.csrf, attempt, account)


def _answered(
    request: web.Request, csrf: str, attempt: LoginAttempt, account: ProviderAccount, typed: str
) -> web.Response:
    provider = request.app[PROVIDER]
    if attempt.mode == "smslogin" and (attempt.sms is None or attempt.sms.has_expired(provider.clock())):
        return _confirmation_window(request, csrf, attempt, account, problem="expired")
    if not _is_right(provider, attempt, account, typed):
        attempt.tries_left -= 1
        provider.wrong_codes.count(account.email)
        minutes = provider.wrong_codes.minutes_to_wait(account.email)
        if attempt.tries_left == 0 or minutes:
            provider.attempts.take(csrf)
            return provider.pages.render(
                request, "ended.html", status=403, login=attempt.login, minutes=minutes, action=SIGN_IN_PAGE
            )
        return _confirmation_window(request, csrf, attempt, account, problem="code")
    return handed_over(request, csrf, attempt, account)


def _is_right(provider: Provider, attempt: LoginAttempt, account: ProviderAccount, typed: str) -> bool:
    now = provider.clock()
    if attempt.mode == "smslogin":
        return attempt.sms is not None and attempt.sms.is_answered_by(typed, now)
    last_step = provider.used_steps.get(account.email, -1)
    step = accepted_step(account.totp_secret or "", typed, last_step=last_step, now=now)
    if step is not None:
        provider.used_steps[account.email] = step
    return step is not None


async def _send_if_due(
    request: web.Request, attempt: LoginAttempt, account: ProviderAccount, *, again: bool
) -> str | None:
    """Sends a message if SMS was chosen and no code is valid, or if another one is wanted and a minute is
    over. Returns the problem, if any."""
    provider, now = request.app[PROVIDER], request.app[PROVIDER].clock()
    if attempt.mode != "smslogin":
        return None
    if (
        attempt.sms is not None
        and not (again and attempt.sms.seconds_until_again(now) == 0)
        and not attempt.sms.has_expired(now)
    ):
        return None
    if provider.messages.seconds_to_wait(account.email):
        return "too_many"
    code = SmsCode(digits=six_digits(provider.random_bytes(8)), sent_at=now)
    text = provider.pages.text(request, "sms.txt", code=code.digits)
    if not await sent(request.app[OUTGOING], provider.sms_url, to=account.phone, text=text):
        return "not_sent"
    provider.messages.count(account.email)
    attempt.sms = code
    return None


def _modes(provider: Provider, account: ProviderAccount) -> tuple[Mode, ...]:
    has_certificate = provider.certificates is not None and provider.certificates.has(account.email)
    return modes(
        account, has_phone=provider.devices.of(account.email) is not None, has_certificate=has_certificate
    )


def _login_window(
    request: web.Request,
    csrf: str,
    login: str,
    *,
    email: str,
    problem: str | None = None,
    minutes: int = 0,
) -> web.Response:
    values: dict[str, Any] = {
        "csrf": csrf,
        "login": login,
        "email": email,
        "problem": problem,
        "minutes": minutes,
    }
    return request.app[PROVIDER].pages.render(
        request,
        "login.html",
        action=SIGN_IN_PAGE,
        register=REGISTER_PAGE,
        reset=RESET_PAGE,
        **values,
    )


def _confirmation_window(
    request: web.Request,
    csrf: str,
    attempt: LoginAttempt,
    account: ProviderAccount,
    *,
    problem: str | None = None,
) -> web.Response:
    provider = request.app[PROVIDER]
    return provider.pages.render(
        request,
        "options.html" if attempt.mode is None else "code.html",
        csrf=csrf,
        attempt=attempt,
        modes=_modes(provider, account),
        phone_end=account.phone[-3:],
        problem=problem,
        action=f"{FRONT_END}/chooselogin/options.htm",
        minutes=-(-provider.messages.seconds_to_wait(account.email) // 60),
        wait=attempt.sms.seconds_until_again(provider.clock()) if attempt.sms is not None else 0,
    )

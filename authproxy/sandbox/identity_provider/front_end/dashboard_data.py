"""The dashboard's steps to enter personal data and the tax number: PIN by e-mail, form, confirmation.

The level of trust does not change, because nobody has seen the person. A tax number belongs to one account.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aiohttp import web

from authproxy.sandbox.accounts import Address, ProviderAccount, TaxNumberTaken
from authproxy.sandbox.identity_provider.front_end import codes, dashboard, entered
from authproxy.sandbox.identity_provider.front_end.codes import Problem, Proof
from authproxy.sandbox.identity_provider.front_end.records import (
    DataEntry,
    FormMessage,
    PersonalData,
    message_for,
)
from authproxy.sandbox.identity_provider.provider import (
    PROVIDER,
    Provider,
    ProviderSession,
    redirect,
    see_other,
)

_FIELDS = (
    "given_name",
    "family_name",
    "tax_number",
    "birthdate",
    "street_address",
    "postal_code",
    "locality",
    "country",
)


@dataclass(frozen=True, slots=True)
class _DashboardVisit:
    """A request of a signed-in person who may change the account's data."""

    request: web.Request
    session: ProviderSession
    account: ProviderAccount
    entry: DataEntry
    form: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def provider(self) -> Provider:
        return self.request.app[PROVIDER]

    @property
    def dashboard(self) -> str:
        return f"{self.provider.base}/account"

    @property
    def proof(self) -> Proof:
        return Proof(purpose="data", kind="mail", to=self.account.email, template="mail_pin.txt")


def route(router: web.UrlDispatcher, base: str) -> None:
    router.add_post(f"{base}/account/begin", _answering("begin", _begin))
    for step, (shown, answered) in _STEPS.items():
        router.add_get(f"{base}/account/{step}", _showing(step, shown))
        router.add_post(f"{base}/account/{step}", _answering(step, answered))


async def _begin(visit: _DashboardVisit) -> web.Response:
    """`Naprej`: sends the PIN, unless there is a valid one, for example from another tab."""
    entry = visit.entry
    if entry.is_proven:
        return see_other(f"{visit.dashboard}/data")
    if entry.pin is None or entry.pin.has_expired(visit.provider.clock()):
        entry.pin, _ = await codes.sent_again(visit.request, visit.proof, None)
    return see_other(f"{visit.dashboard}/pin")


def _pin_page(
    visit: _DashboardVisit, *, problem: Problem | None = None, is_sent_again: bool = False
) -> web.Response:
    values = codes.page_values(visit.request, visit.proof, visit.entry.pin, problem)
    return visit.provider.pages.render(
        visit.request,
        "sent_code.html",
        csrf=visit.session.csrf,
        action=f"{visit.dashboard}/pin",
        step="pin",
        is_sent_again=is_sent_again,
        **values,
    )


async def _pin(visit: _DashboardVisit) -> web.Response:
    entry = visit.entry
    if entry.is_proven:
        return see_other(f"{visit.dashboard}/data")
    if visit.form.get("do") == "again":
        entry.pin, problem = await codes.sent_again(visit.request, visit.proof, entry.pin)
        return _with_message(visit, "pin", problem=problem, is_sent_again=problem is None)
    problem = codes.problem_with(visit.provider, visit.proof, entry.pin, visit.form.get("code", ""))
    if problem is not None:
        return _with_message(visit, "pin", problem=problem)
    entry.is_proven, entry.pin = True, None
    return see_other(f"{visit.dashboard}/data")


def _data_page(visit: _DashboardVisit, *, problems: dict[str, str] | None = None) -> web.Response:
    typed = visit.entry.typed or _stated(visit.account)
    return visit.provider.pages.render(
        visit.request,
        "data_form.html",
        csrf=visit.session.csrf,
        action=f"{visit.dashboard}/data",
        dashboard=visit.dashboard,
        typed={name: typed.get(name, "") for name in _FIELDS},
        countries=entered.COUNTRIES,
        problems=problems or {},
    )


async def _data(visit: _DashboardVisit) -> web.Response:
    reader = entered.Reader(visit.form)
    given_name, family_name = (
        reader.read("given_name", entered.name),
        reader.read("family_name", entered.name),
    )
    tax_number = reader.read("tax_number", entered.tax_number)
    today = visit.provider.clock().date()
    birthdate = reader.read("birthdate", lambda typed: entered.birthdate(typed, today=today))
    country = reader.read("country", entered.country)
    address = Address(
        street_address=reader.read("street_address", entered.line),
        postal_code=reader.read("postal_code", lambda typed: entered.postal_code(typed, country=country)),
        locality=reader.read("locality", entered.line),
        country=country,
    )
    visit.entry.typed = {name: visit.form.get(name, "") for name in _FIELDS}
    if reader.problems:
        return _with_message(
            visit,
            "data",
            problems={name: reader.problems[name] for name in _FIELDS if name in reader.problems},
        )
    if visit.provider.wrong_proofs.minutes_to_wait(_guesses(visit)):
        return _taken(visit)
    if visit.provider.accounts.tax_number_is_taken(tax_number, by_other_than=visit.account.email):
        visit.provider.wrong_proofs.count(_guesses(visit))
        return _taken(visit)
    visit.entry.entered = PersonalData(
        given_name=given_name,
        family_name=family_name,
        tax_number=tax_number,
        birthdate=birthdate,
        address=address,
    )
    return see_other(f"{visit.dashboard}/confirm")


def _confirm_page(visit: _DashboardVisit) -> web.Response:
    if visit.entry.entered is None:
        return redirect(f"{visit.dashboard}/data")
    return visit.provider.pages.render(
        visit.request,
        "data_confirm.html",
        csrf=visit.session.csrf,
        action=f"{visit.dashboard}/confirm",
        data=visit.entry.entered,
        dashboard=visit.dashboard,
    )


async def _confirm(visit: _DashboardVisit) -> web.Response:
    data = visit.entry.entered
    if data is None:
        return see_other(f"{visit.dashboard}/data")
    changed = replace(
        visit.account,
        given_name=data.given_name,
        family_name=data.family_name,
        tax_number=data.tax_number,
        birthdate=data.birthdate,
        address=data.address,
    )
    try:
        visit.provider.accounts.put(changed)
    except TaxNumberTaken:  # by somebody else, since the form was sent
        visit.entry.entered = None
        return _taken(visit)
    visit.provider.changed()
    visit.session.entry = None
    return see_other(f"{visit.dashboard}?said=saved")


def _taken(visit: _DashboardVisit) -> web.Response:
    """Answers that a tax number is taken. After too many attempts the answer no longer says so, so that
    nobody can search for numbers."""
    minutes = visit.provider.wrong_proofs.minutes_to_wait(_guesses(visit))
    return visit.provider.pages.render(
        visit.request, "data_taken.html", status=409, dashboard=visit.dashboard, minutes=minutes
    )


def _with_message(visit: _DashboardVisit, step: str, **about: Any) -> web.Response:
    """Redirects to the page of the step, which shows the message."""
    visit.entry.message = FormMessage(step, about)
    return see_other(f"{visit.dashboard}/{step}")


def _guesses(visit: _DashboardVisit) -> str:
    return f"tax number {visit.account.subject}"


def _stated(account: ProviderAccount) -> dict[str, str]:
    """The account's data in the shape of the form."""
    address = asdict(account.address) if account.address is not None else {"country": "SI"}
    year, month, day = (account.birthdate or "--").split("-")
    return {
        "given_name": account.given_name or "",
        "family_name": account.family_name or "",
        "tax_number": account.tax_number or "",
        "birthdate": f"{day.lstrip('0')}. {month.lstrip('0')}. {year}" if account.birthdate else "",
        **address,
    }


_Shown = Callable[..., web.Response]
_Answered = Callable[[_DashboardVisit], Awaitable[web.Response]]
_STEPS: dict[str, tuple[_Shown, _Answered]] = {
    "pin": (_pin_page, _pin),
    "data": (_data_page, _data),
    "confirm": (_confirm_page, _confirm),
}


def _showing(step: str, shown: _Shown) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The page of a step. A person who has not reached it is led to the first step; one who has proven the
    address skips the PIN."""

    async def handler(request: web.Request) -> web.Response:
        session, account = dashboard.signed_in(request)
        if session is None or account is None:
            return dashboard.to_sign_in(request)
        visit = _DashboardVisit(request, session, account, session.entry or DataEntry())
        has_begun = session.entry is not None and account.level <= dashboard.MAY_CHANGE_UP_TO
        if not has_begun or (step != "pin" and not visit.entry.is_proven):
            return redirect(visit.dashboard)
        if step == "pin" and visit.entry.is_proven:
            return redirect(f"{visit.dashboard}/data")
        message, visit.entry.message = message_for(visit.entry.message, step), None
        return shown(visit, **message)

    return handler


def _answering(step: str, answered: _Answered) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Handles the form of a signed-in person who has reached the step. A form that is sent twice finds the
    result of the first."""

    async def handler(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        session, account = dashboard.signed_in(request)
        if session is None or account is None:
            return dashboard.to_sign_in(request)
        if not dashboard.is_ours(session, form):
            return dashboard.lost(request)
        dashboard_url = f"{request.app[PROVIDER].base}/account"
        if account.level > dashboard.MAY_CHANGE_UP_TO or (session.entry is None and step != "begin"):
            return see_other(dashboard_url)
        entry = session.entry = session.entry or DataEntry()
        async with entry.lock:
            if step in {"data", "confirm"} and not entry.is_proven:
                return see_other(f"{dashboard_url}/pin")
            return await answered(_DashboardVisit(request, session, account, entry, form))

    return handler

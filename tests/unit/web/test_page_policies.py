"""What each page may load, and where its forms may lead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import authproxy.web
from authproxy.web.pages import FORMS
from tests.support.pages import FORM, PAGE, TICKET

TEMPLATES = Path(authproxy.web.__file__).parent / "templates"
FRAGMENTS = {
    "layout.html",
    "macros.html",
    "refusal.html",
    "refusal_actions.html",
    "session_methods.html",
    "step_up_ways.html",
}
COOKIE = f"__Host-authproxy={TICKET}"


def policy(answer):
    return dict(
        part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";")
    )


def test_every_page_with_a_form_says_whether_it_leads_out():
    pages = {str(path.relative_to(TEMPLATES)): path.read_text() for path in TEMPLATES.rglob("*.html")}
    with_forms = {
        name
        for name, text in pages.items()
        if re.search(r"<form|sign_in_anew\(|ways_left\(|session_methods", text)
    } - FRAGMENTS
    assert with_forms == set(FORMS)


@pytest.mark.parametrize("path", ["login", "session", "logout", "step-up?rt=/a", "nothing"])
async def test_a_page_loads_from_the_folder_of_our_files_and_from_nowhere_else_at_the_portals_origin(
    house, path
):
    async with house.asked(
        "GET", f"/.authproxy/{path}", cookies=None if path == "login" else COOKIE
    ) as answer:
        said = policy(answer)
        assert {said[name] for name in ("style-src", "script-src", "img-src")} == {
            "acq.example.si/.authproxy/static/"
        }
        assert said["connect-src"] == "acq.example.si/.authproxy/"
        linked = re.findall(r'(?:href|src)="(/[^"]*\.(?:css|js|svg)[^"]*)"', await answer.text())
        assert all(one.startswith("/.authproxy/static/") for one in linked)


async def test_where_there_is_no_portal_the_origin_is_the_gateways_own(house):
    async with house.asked(
        "GET", "/.authproxy/login", headers={**PAGE, "X-Authproxy-Portal": "nobody"}
    ) as answer:
        assert policy(answer)["style-src"] == "'self'"


async def test_forms_of_pages_that_lead_nowhere_else_may_not(house):
    async with house.asked(
        "POST", "/.authproxy/session/methods", headers=FORM, cookies=COOKIE, body="method=totp"
    ) as answer:
        assert policy(answer)["form-action"] == "'self'"
    async with house.asked("GET", "/.authproxy/jwks.json") as answer:
        assert policy(answer) == {
            "default-src": "'none'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
            "object-src": "'none'",
            "require-trusted-types-for": "'script'",
            "form-action": "'self'",
        }


# Scripts at the portal's own origin. Browsers write these headers, and no script can.

SCRIPTS = [
    {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Mode": "same-origin"},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "object"},
]
GUARDED = [
    ("POST", "session/methods", "method=recovery"),
    ("POST", "session/methods", "method=totp"),
    ("POST", "session/methods/finish", "name=begun&code=123456"),
    ("GET", "session/methods/remove?id=e1", None),
    ("POST", "session/methods/remove", "id=e1"),
    ("POST", "session/end", "which=others"),
    ("GET", "step-up?rt=/a", None),
    ("GET", "step-up?c=challenge-0", None),
    ("GET", f"step-up/send?held={'h' * 43}", None),
    ("POST", "step-up/discard", f"held={'h' * 43}"),
]


@pytest.mark.parametrize(("method", "path", "body"), GUARDED)
async def test_no_script_of_the_portal_gets_a_secret_or_changes_how_somebody_proves_who_they_are(
    house, method, path, body
):
    before = [*house.enrolling.enrolments]
    for script in SCRIPTS:
        async with house.asked(
            method, f"/.authproxy/{path}", headers={**FORM, **script}, cookies=COOKIE, body=body
        ) as answer:
            text = await answer.text()
            assert (answer.status, "foreign_origin" in text, answer.headers.get("Set-Cookie")) == (
                403,
                True,
                None,
            ), script
    assert (house.enrolling.enrolments, house.step_ups.messages, len(house.flows.elsewhere)) == (before, 0, 1)
    assert house.flows.open_sessions
    assert len(
        [line for line in house.audit_lines if '"request.refused"' in line and "by no navigation" in line]
    ) == len(SCRIPTS)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"},
    ],
)
async def test_whoever_navigates_gets_it_also_with_a_browser_that_says_nothing(house, sent):
    headers = {"Accept": "text/html", "Origin": "https://acq.example.si", **sent}
    async with house.asked(
        "POST", "/.authproxy/session/methods", headers=headers, cookies=COOKIE, body="method=recovery"
    ) as answer:
        assert answer.status == 200
        assert "x9fhk" in await answer.text()


@pytest.mark.parametrize(
    ("path", "status"), [("session", 200), ("step-up?rt=/a", 200), ("session/methods/remove?id=e1", 403)]
)
async def test_a_service_worker_that_passes_navigations_on_gets_pages_without_secrets_and_changes(
    house, path, status
):
    by_worker = {**PAGE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"}
    async with house.asked("GET", f"/.authproxy/{path}", headers=by_worker, cookies=COOKIE) as answer:
        assert answer.status == status


async def test_what_scripts_may_ask_they_still_get(house):
    script = {
        "Accept": "application/json",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Dest": "empty",
        "Sec-Fetch-Site": "same-origin",
    }
    async with house.asked("GET", "/.authproxy/session", headers=script, cookies=COOKIE) as answer:
        assert (await answer.json())["session_id"]
    async with house.asked(
        "POST", "/.authproxy/session/extend", headers=script, cookies=COOKIE, body=""
    ) as answer:
        assert answer.status == 200
    async with house.asked(
        "GET", "/.authproxy/session", headers={**PAGE, "Sec-Fetch-Dest": "iframe"}, cookies=COOKIE
    ) as answer:
        assert answer.status == 403

"""What a person sees of a request that they confirm by itself: no value that some portal would find is missing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.flows.bound_requests import BoundRequests
from authproxy.flows.step_up import Visit
from tests.support.session_builders import NOW, new_ticket, session_for

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----Boundary1"
ROUTE = Route(name="pay", path="/pay", requirement=Requirement(step_up=StepUp(max_age=timedelta(0), shows=("amount",))))
PORTAL = Portal(portal_id="acq", origin="https://acq.example", host="acq.example", routes=(ROUTE,))
FIELD = b'Content-Disposition: form-data; name="amount"\r\n\r\n1'


class Kept:
    """The one form that waits."""

    def __init__(self, form):
        self.form = form

    async def found(self, _name, _session):
        return self.form


async def seen(target="/pay", content_type=URLENCODED, body=b"", *, is_form=True):
    """What stands beside `amount`; None where nobody may confirm."""
    form = HeldRequest(target=target, content_type=content_type, fields=(), body=body)
    visit = Visit(
        portal_id="acq", ticket_text=None, browser=None, user_agent="", address="", locale="en", now=NOW, return_to=target,
        held="h" * 43 if is_form else None,
    )  # fmt: skip
    request = await BoundRequests(held=Kept(form), used=None).of(visit, session_for(new_ticket()), PORTAL, ROUTE)
    return None if request.shown is None else dict(request.shown)["amount"]


def multipart(*parts, end=b"--\r\n"):
    return b"".join(b"------Boundary1\r\n" + part + b"\r\n" for part in parts) + b"------Boundary1" + end


@pytest.mark.parametrize(
    ("target", "body", "shown"),
    [
        ("/pay", b"amount=1", "1"),
        ("/pay", b"amount=1&amounts=9&note=amount", "1"),
        # Servlets, PHP's $_REQUEST and others look into the query of a form, too.
        ("/pay?amount=9000", b"amount=1", "9000 | 1"),
        ("/pay?x=1", b"amount=1", "1"),
        # ASP folds case, PHP drops blanks and what follows NUL, several make lists of names with brackets.
        ("/pay", b"amount=1&Amount=9000", "1 | 9000"),
        ("/pay", b"amount=1&+amount=9000", "1 | 9000"),
        ("/pay", b"amount=1&amount%00x=9000", "1 | 9000"),
        ("/pay", b"amount=1&amount%5B%5D=9000", "1 | 9000"),
        ("/pay", b"amount=1&%EF%BD%81mount=9000", "1 | 9000"),
        ("/pay", b"amount=1&amount=2&amount=3&amount=4", None),
        # Older programs part fields at semicolons.
        ("/pay", b"amount=1&x=1;amount=9000", None),
        ("/pay?x=1;amount=9000", b"amount=1", None),
        ("/pay", b"amount=1&_charset_=utf-16", None),
    ],
)
async def test_every_value_that_a_portal_could_take_for_the_field_is_shown(target, body, shown):
    assert await seen(target, body=body) == shown


@pytest.mark.parametrize(
    ("target", "shown"), [("/pay?amount=7,00", "7,00"), ("/pay?AMOUNT=9&amount=7", "9 | 7"), ("/pay?a=1;amount=9&amount=7", None)]
)
async def test_of_a_get_every_value_in_its_query_is_shown(target, shown):
    assert await seen(target, is_form=False) == shown


@pytest.mark.parametrize("charset", ["ibm037", "utf-7", "utf-16", "utf-8; charset=ibm037"])
async def test_a_form_in_letters_that_only_some_programs_read_is_confirmed_by_nobody(charset):
    ebcdic = b"amount=1&" + "amount".encode("cp037") + b"=9000"
    assert await seen(content_type=f"{URLENCODED}; charset={charset}", body=ebcdic) is None
    assert await seen(content_type=f"{URLENCODED}; charset=UTF-8", body=b"amount=1") == "1"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, multipart(FIELD, b"Content-Disposition: form-data; name=amount\r\n\r\n9000")),
        (MULTIPART, multipart(FIELD, b"Content-Disposition: form-data; name*=utf-8''amount\r\n\r\n9000")),
        (MULTIPART, multipart(FIELD, b'Content-Disposition: form-data; name="x"; name="amount"\r\n\r\n9000')),
        (MULTIPART, multipart(FIELD, b'Content-Disposition: form-data; name="amoun\\t"\r\n\r\n9000')),
        (MULTIPART, multipart(FIELD, b'Content-Disposition: form-data; name="amount"; filename=""\r\n\r\n9000')),
        (MULTIPART, multipart(FIELD, b'X-Other: 1\r\nContent-Disposition: form-data; name="x"\r\n\r\n9000')),
        (MULTIPART, multipart(FIELD, b'Content-Disposition: form-data; name="_charset_"\r\n\r\nutf-16')),
        # For some programs the body ends at the first of these lines, for others at the second.
        (MULTIPART, multipart(FIELD, end=b"--x\r\n" + multipart(FIELD))),
        (MULTIPART, multipart(FIELD, end=b"--\r\n" + multipart(FIELD))),
        (MULTIPART, b"x\r\n" + multipart(FIELD)),
        (MULTIPART, multipart(FIELD).replace(b"\r\n", b"\n")),
        (MULTIPART, b""),
        (MULTIPART + "; boundary=other", multipart(FIELD)),
        ("multipart/form-data; x=y; boundary=----Boundary1", multipart(FIELD)),
        ("text/plain", b"amount=1"),
    ],
)
async def test_a_form_that_no_browser_has_written_is_confirmed_by_nobody(content_type, body):
    assert await seen(content_type=content_type, body=body) is None


async def test_forms_with_files_are_confirmed_as_browsers_write_them():
    file = b'Content-Disposition: form-data; name="list"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n1;2\r\n\r\n3'
    assert await seen(content_type=MULTIPART, body=multipart(FIELD, file)) == "1"
    assert await seen(content_type=MULTIPART, body=multipart(FIELD, end=b"--")) == "1"
    assert await seen("/pay?amount=2", MULTIPART, multipart(file)) == "2"

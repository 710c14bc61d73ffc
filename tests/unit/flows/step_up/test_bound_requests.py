"""What a person sees of a request that needs a proof of its own: every value that some portal would find in
it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authproxy.access.held_request import HeldRequest
from authproxy.access.routes import Portal, Requirement, Route, StepUp
from authproxy.flows.step_up.bound_requests import BoundRequests, HeldRequestGone
from authproxy.flows.visit import Visit
from tests.support.session_builders import NOW, new_ticket, session_for

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----Boundary1"
ROUTE = Route(
    name="pay", path="/pay", requirement=Requirement(step_up=StepUp(max_age=timedelta(0), shows=("amount",)))
)
PLAIN = Route(name="delete", path="/delete", requirement=Requirement(step_up=StepUp(max_age=timedelta(0))))
REST = Route(name="rest", path="/", requirement=Requirement(step_up=StepUp()))
FREE = Route(name="free", path="/free", requirement=Requirement())
PORTAL = Portal(
    portal_id="acq", origin="https://acq.example", host="acq.example", routes=(ROUTE, PLAIN, FREE, REST)
)
FIELD = b'Content-Disposition: form-data; name="amount"\r\n\r\n1'


class OneHeldRequest:
    """The flow of held requests, with one form."""

    def __init__(self, form):
        self.form = form

    async def find(self, _name, _session):
        return self.form


async def bound(
    target="/pay",
    content_type=URLENCODED,
    body=b"",
    *,
    is_form=True,
    named=ROUTE,
    is_held=True,
    portal=PORTAL,
):
    form = HeldRequest(target=target, content_type=content_type, fields=(), body=body)
    visit = Visit(
        portal_id="acq",
        ticket_text=None,
        browser=None,
        user_agent="",
        address="",
        locale="en",
        now=NOW,
        return_to=target,
        held="h" * 43 if is_form else None,
    )
    return await BoundRequests(held_requests=OneHeldRequest(form if is_held else None), used_proofs=None).of(
        visit, session_for(new_ticket()), portal, named
    )


async def seen(*place, **more):
    """The value shown for `amount`. None if the request cannot be confirmed."""
    request = await bound(*place, **more)
    return None if request.shown is None else dict(request.shown)["amount"]


def multipart(*parts, end=b"--\r\n"):
    return b"".join(b"------Boundary1\r\n" + part + b"\r\n" for part in parts) + b"------Boundary1" + end


@pytest.mark.parametrize(
    ("target", "body", "shown"),
    [
        ("/pay", b"amount=1", "1"),
        ("/pay", b"amount=1&amounts=9&note=amount", "1"),
        # Servlets, PHP's $_REQUEST and others read the query of a form too.
        ("/pay?amount=9000", b"amount=1", "9000 | 1"),
        ("/pay?x=1", b"amount=1", "1"),
        # ASP ignores case, PHP drops blanks and everything after NUL, and several programs read brackets as
        # lists.
        ("/pay", b"amount=1&Amount=9000", "1 | 9000"),
        ("/pay", b"amount=1&+amount=9000", "1 | 9000"),
        ("/pay", b"amount=1&amount%00x=9000", "1 | 9000"),
        ("/pay", b"amount=1&amount%5B%5D=9000", "1 | 9000"),
        ("/pay", b"amount=1&amount%5Bx%5D=9000", "1 | 9000"),
        ("/pay", b"amount=1&%EF%BD%81mount=9000", "1 | 9000"),
        ("/pay", b"amount=1&amount=2&amount=3", "1 | 2 | 3"),
        ("/pay", b"amount=1&amount=2&amount=3&amount=4", None),
        # Invisible characters are not shown; they separate words.
        ("/pay", "amount=1\u200b2\u00ad3\x07\n4\u20285".encode(), None),
        ("/pay", b"amount=1%E2%80%8B2%C2%AD3%0A4%E2%80%A85", "1 2 3 4 5"),
        # Older programs split fields at semicolons.
        ("/pay", b"amount=1&x=1;amount=9000", None),
        ("/pay?x=1;amount=9000", b"amount=1", None),
        ("/pay", b"amount=1&_charset_=utf-16", None),
    ],
)
async def test_every_value_that_a_portal_could_take_for_the_field_is_shown(target, body, shown):
    assert await seen(target, body=body) == shown


@pytest.mark.parametrize(
    ("target", "shown"),
    [("/pay?amount=7,00", "7,00"), ("/pay?AMOUNT=9&amount=7", "9 | 7"), ("/pay?a=1;amount=9&amount=7", None)],
)
async def test_every_value_in_the_query_of_a_get_is_shown(target, shown):
    assert await seen(target, is_form=False) == shown


@pytest.mark.parametrize("charset", ["ibm037", "utf-7", "utf-16", "utf-8; charset=ibm037"])
async def test_a_form_in_a_charset_that_only_some_programs_read_cannot_be_confirmed(charset):
    ebcdic = b"amount=1&" + "amount".encode("cp037") + b"=9000"
    assert await seen(content_type=f"{URLENCODED}; charset={charset}", body=ebcdic) is None
    assert (
        await seen(content_type=f"{URLENCODED}; charset={charset}", body=b"amount=1&+AGE-mount=9000") is None
    )
    assert await seen(content_type=f"{URLENCODED}; charset=UTF-8", body=b"amount=1") == "1"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, multipart(FIELD, b"Content-Disposition: form-data; name=amount\r\n\r\n9000")),
        (MULTIPART, multipart(FIELD, b"Content-Disposition: form-data; name*=utf-8''amount\r\n\r\n9000")),
        (MULTIPART, multipart(FIELD, b'Content-Disposition: form-data; name="x"; name="amount"\r\n\r\n9000')),
        (MULTIPART, multipart(FIELD, b'Content-Disposition: form-data; name="amoun\\t"\r\n\r\n9000')),
        (
            MULTIPART,
            multipart(FIELD, b'Content-Disposition: form-data; name="amount"; filename=""\r\n\r\n9000'),
        ),
        (MULTIPART, multipart(FIELD, b'X-Other: 1\r\nContent-Disposition: form-data; name="x"\r\n\r\n9000')),
        (MULTIPART, multipart(FIELD, b'Content-Disposition: form-data; name="_charset_"\r\n\r\nutf-16')),
        # For some programs the body ends at the first of these lines, for others at the second.
        (MULTIPART, multipart(FIELD, end=b"--x\r\n" + multipart(FIELD))),
        (MULTIPART, multipart(FIELD, end=b"--\r\n" + multipart(FIELD))),
        (MULTIPART, multipart(FIELD, end=b"\r\n" + FIELD.replace(b"1", b"9000"))),
        (MULTIPART, multipart(FIELD, end=b"--\r\nepilogue")),
        (MULTIPART, b"------Boundary1\r\n" + FIELD + b"------Boundary1--\r\n"),
        (MULTIPART, b"------Boundary1\r\n" + FIELD + multipart(FIELD.replace(b"amount", b"other"))),
        (MULTIPART, b"x\r\n" + multipart(FIELD)),
        (MULTIPART, multipart(FIELD).replace(b"\r\n", b"\n")),
        (MULTIPART, b""),
        (MULTIPART + "; boundary=other", multipart(FIELD)),
        ("multipart/form-data; x=y; boundary=----Boundary1", multipart(FIELD)),
        ("text/plain", b"amount=1"),
    ],
)
async def test_a_form_that_no_browser_writes_cannot_be_confirmed(content_type, body):
    assert await seen(content_type=content_type, body=body) is None


async def test_a_form_with_files_can_be_confirmed_if_a_browser_writes_it_so():
    file = (
        b'Content-Disposition: form-data; name="list"; filename="a.csv"\r\nContent-Type: '
        b"text/csv\r\n\r\n1;2\r\n\r\n3"
    )
    assert await seen(content_type=MULTIPART, body=multipart(FIELD, file)) == "1"
    assert await seen(content_type=MULTIPART, body=multipart(FIELD, end=b"--")) == "1"
    assert await seen("/pay?amount=2", MULTIPART, multipart(file)) == "2"


async def test_a_field_that_is_not_there_is_shown_as_missing_and_a_long_value_as_cut():
    assert await seen(body=b"note=x") == "–"
    assert await seen(body=b"amount=") == "–"
    assert await seen(body=b"amount=" + b"1" * 100) == "1" * 100
    assert await seen(body=b"amount=" + b"1" * 101) == "1" * 99 + "…"


async def test_a_form_that_cannot_be_read_as_a_whole_cannot_be_confirmed():
    fields = [b"amount=1", *(b"f%d=x" % number for number in range(199))]
    assert await seen(body=b"&".join(fields)) == "1"
    assert await seen(body=b"&".join([*fields, b"last=x"])) is None


async def test_any_form_can_be_confirmed_if_nothing_has_to_be_shown():
    request = await bound("/delete", MULTIPART, b"not as a browser writes it", named=PLAIN)
    assert (request.route, request.shown) == (PLAIN, ())


@pytest.mark.parametrize("is_form", [True, False])
@pytest.mark.parametrize("target", ["/rest", "/free"])
async def test_a_request_of_a_route_without_such_a_demand_is_not_bound_whatever_its_address_names(
    target, is_form
):
    assert await bound(target, is_form=is_form, named=ROUTE) is None


async def test_the_route_of_a_form_is_its_own_and_a_get_is_bound_only_where_its_address_says_so():
    assert (await bound("/pay", body=b"amount=1", named=REST)).route is ROUTE
    assert await bound("/pay", is_form=False, named=REST) is None
    assert (await bound("/pay", is_form=False, named=PLAIN)).route is ROUTE


async def test_the_route_of_a_form_is_that_of_a_post_and_of_a_path_that_of_a_get():
    posted = Route(name="posted", path="/pay", methods=("POST",), requirement=ROUTE.requirement)
    portal = replace(PORTAL, routes=(posted, PLAIN, REST))
    assert (await bound("/pay", body=b"amount=1", portal=portal)).route is posted
    assert await bound("/pay", is_form=False, portal=portal) is None


async def test_no_field_may_have_more_values_than_can_be_shown():
    both = Route(
        name="both",
        path="/pay",
        requirement=Requirement(step_up=StepUp(max_age=timedelta(0), shows=("amount", "payee"))),
    )
    portal = replace(PORTAL, routes=(both,))
    request = await bound("/pay", body=b"payee=Ana&amount=1", portal=portal, named=both)
    assert request.shown == (("amount", "1"), ("payee", "Ana"))
    assert (
        await bound("/pay", body=b"payee=a&payee=b&payee=c&payee=d&amount=1", portal=portal, named=both)
    ).shown is None


async def test_a_held_request_that_is_gone_matters_only_if_it_needed_a_proof_of_its_own():
    assert isinstance(await bound(is_held=False), HeldRequestGone)
    assert await bound(is_held=False, named=REST) is None


async def test_a_path_that_no_route_covers_is_not_bound():
    nothing = replace(PORTAL, routes=(ROUTE,))
    visit = Visit(
        portal_id="acq",
        ticket_text=None,
        browser=None,
        user_agent="",
        address="",
        locale="en",
        now=NOW,
        return_to="/elsewhere",
    )
    form = HeldRequest(target="/elsewhere", content_type=URLENCODED, fields=(), body=b"")
    requests = BoundRequests(held_requests=OneHeldRequest(form), used_proofs=None)
    for held in (None, "h" * 43):
        assert await requests.of(replace(visit, held=held), session_for(new_ticket()), nothing, ROUTE) is None

from __future__ import annotations

import pytest

from authproxy.web.cookies import FLOW, LEFT, TICKET, flow_in, left_in, removing, setting, ticket_in
from authproxy.web.signed_out import SignedOut
from tests.support.pages import FLOW as FLOW_VALUE
from tests.support.pages import OTHER_TICKET
from tests.support.pages import TICKET as TICKET_VALUE

OURS = f"{TICKET}={TICKET_VALUE}"


@pytest.mark.parametrize(
    "field",
    [
        OURS,
        f"a=1; {OURS}",
        f"{OURS};b=2",
        f"a=1;\t {OURS} ; c",
        f" {TICKET}= {TICKET_VALUE} ",
        f"=x; ; {OURS}",
    ],
)
def test_the_ticket_is_found_among_other_cookies(field):
    reading = ticket_in([field])

    assert (reading.found, reading.value) == ("one", TICKET_VALUE)


def test_the_ticket_is_found_in_a_second_cookie_field():
    assert ticket_in(["a=1", OURS]).value == TICKET_VALUE


@pytest.mark.parametrize(
    "fields", [[f"{OURS}; {OURS}"], [OURS, f"{TICKET}={OTHER_TICKET}"], [f"{TICKET}=; {OURS}"]]
)
def test_a_second_cookie_of_our_name_leaves_none(fields):
    reading = ticket_in(fields)

    assert (reading.found, reading.value) == ("several", None)


@pytest.mark.parametrize(
    "field",
    [
        "",
        ";",
        "=",
        f"a=1,{OURS}",
        f"\u00a0{OURS}",
        f"\u2000{OURS}",
        f"\x0b{OURS}",
        OURS.lower().replace("__host", "__HOST"),
        f"{FLOW}={FLOW_VALUE}",
        f"x{OURS}",
        f"{TICKET} ={TICKET_VALUE}",
        TICKET,
    ],
)
def test_what_a_sibling_host_could_plant_is_not_the_ticket(field):
    assert ticket_in([field]).value is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1.a.b",
        TICKET_VALUE + "=",
        f'"{TICKET_VALUE}"',
        TICKET_VALUE + ",x=1",
        TICKET_VALUE + "A",
        "\u00a0" + TICKET_VALUE,
    ],
)
def test_a_value_that_is_no_ticket_is_malformed(value):
    assert ticket_in([f"{TICKET}={value}"]).found == "malformed"


def test_the_flow_cookie_is_read_as_strictly():
    assert flow_in([f"{FLOW}={FLOW_VALUE}"]).value == FLOW_VALUE
    assert flow_in([f"{FLOW}={FLOW_VALUE}x"]).found == "malformed"
    assert flow_in([OURS]).found == "none"


def test_a_reading_shows_no_value():
    assert TICKET_VALUE not in repr(ticket_in([OURS]))


@pytest.mark.parametrize(
    "line", [setting(TICKET, TICKET_VALUE), setting(FLOW, FLOW_VALUE), removing(TICKET), removing(FLOW)]
)
def test_every_cookie_is_bound_to_the_host_and_hidden_from_scripts(line):
    attributes = {
        part.strip().partition("=")[0]: part.strip().partition("=")[2] for part in line.split(";")[1:]
    }

    assert attributes["Path"] == "/"
    assert attributes["SameSite"] == "Lax"
    assert {"Secure", "HttpOnly"} <= attributes.keys()
    assert not {"Domain", "Expires"} & attributes.keys()
    assert len(line.partition(";")[0]) < 150


def test_removing_a_cookie_empties_it_at_once():
    assert removing(TICKET).startswith(f"{TICKET}=; Max-Age=0;")


def test_what_a_sign_out_has_left_is_read_if_it_is_that():
    left = SignedOut(everywhere=True, at_provider="asked", shown_certificate=False)
    assert left_in([f"a=1; {LEFT}={left.text}"]) == left
    assert left_in([f"{LEFT}=else"]) is None
    assert left_in([OURS]) is None

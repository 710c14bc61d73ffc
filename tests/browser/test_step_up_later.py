"""Proofs that grow old, in Chromium before a sandbox whose clock the test moves: a file that waits while its
sender signs in again at Rekono, and a code that comes too late. In a browser as it is delivered, at a window
of the size of a phone and in dark."""

from __future__ import annotations

import re
import shutil

import pytest
import pytest_asyncio
from playwright.async_api import expect

from authproxy.sandbox import stack
from authproxy.sandbox.addresses import AUTHORITY_FOLDER
from tests.support.browser import Visitor
from tests.support.clock import Clock
from tests.support.languages import walked_in
from tests.support.newcomers import settled
from tests.support.sandbox import RunningSandbox, free_offset
from tests.support.steps import answers_by_sms, gives_the_password, signs_in_with_the_mouse, tolerates

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def clock():
    return Clock()


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(tmp_path, clock, authority_state):
    """In this process, unlike the one that the other walks share."""
    offset = free_offset()
    shutil.copytree(authority_state, tmp_path / AUTHORITY_FOLDER)
    async with stack.running(port_offset=offset, folder=tmp_path, clock=clock, is_verbose=False):
        yield RunningSandbox(offset)


@walked_in("en-GB")
async def test_a_file_waits_until_its_sender_has_signed_in_again_and_a_late_code_does_not_do(
    chromium, sandbox, clock, tmp_path, looked_at, locale
):
    context = await chromium.new_context(
        locale=locale, viewport={"width": 360, "height": 740}, color_scheme="dark"
    )
    someone, file = await settled(sandbox), tmp_path / "pain001_čšž.xml"
    file.write_bytes(b"<Document/>" * 1000)
    person = Visitor(
        await context.new_page(), sandbox, someone.email, language=locale[:2], looked_at=looked_at
    )
    page, place = person.page, f"{sandbox.portal('b2b')}/oddaja"
    await signs_in_with_the_mouse(person, someone, place)
    await as_time_goes_by(page, place, clock)

    await page.set_input_files("input[type=file]", file)
    await person.does("Send the file")
    await person.stands_at("Confirm your identity")
    await person.does("SMS")
    await person.stands_at("Enter the code from the text message")
    await as_time_goes_by(await context.new_page(), f"{sandbox.portal('b2b')}/podjetja", clock)
    await person.sends(("Code", await person.newest_code(someone.sent_to)))
    await person.stands_at("This confirmation is over")
    await person.does("Begin again")

    await person.stands_at("Confirm your identity")
    await person.does("Sign in again with your Rekono account")
    await gives_the_password(person, someone)
    await answers_by_sms(person, someone)
    await person.stands_at("Check the data before you send them")
    await expect(page.locator("main")).to_contain_text(file.name)
    await person.does("Send")
    await expect(page.get_by_role("status")).to_contain_text(person.say("The file has been sent."))
    await expect(page.get_by_role("status").locator("code")).to_have_text(re.compile(r"^ODD-\d+"))
    tolerates(person, 403)
    assert (person.complaints, person.strangers) == ([], [])
    await context.close()


async def as_time_goes_by(page, place, clock):
    """Six minutes in two steps: nobody is away for so long that the session ends."""
    for _ in range(2):
        clock.advance(minutes=3)
        await page.goto(place)

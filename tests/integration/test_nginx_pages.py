"""The pages that nginx shows by itself look like the gateway's own: in Chromium, while there is no gateway."""

from __future__ import annotations

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from tests.support.nginx import SHIPPED, Nginx
from tests.support.page_checks import faults_of

PAGES = SHIPPED / "authproxy" / "pages.conf"
SHOWN = [("sl", "light", "x", "Trenutno ni na voljo"), ("en", "dark", "x", "Temporarily unavailable"), ("sl", "dark", "forbidden", "Dostop ni dovoljen"),
         ("en", "light", "forbidden", "Access is not allowed")]  # fmt: skip


@pytest.mark.needs("nginx", "chromium-headless-shell")
@pytest.mark.asyncio(loop_scope="session")
async def test_they_have_the_colours_and_the_width_of_our_pages_and_no_barrier(free_port, tmp_path: Path, chromium) -> None:
    port = free_port()
    servers = f"""
    include authproxy/http.conf; include authproxy/pages.conf;
    server {{ listen 127.0.0.1:{port}; server_name acq.localhost; include authproxy/server.conf;
              location = /forbidden {{ auth_request off; error_page 418 = @authproxy_forbidden; return 418; }} }}
    """
    with Nginx(servers, port=port, gateway=tmp_path / "nobody.sock", folder=tmp_path):
        for language, scheme, path, heading in SHOWN:
            context = await chromium.new_context(locale=language, color_scheme=scheme, viewport={"width": 320, "height": 640})
            page = await context.new_page()
            blocked: list[str] = []
            page.on("console", lambda message, into=blocked: into.append(message.text) if "Content Security Policy" in message.text else None)
            await page.goto(f"http://acq.localhost:{port}/{path}")

            assert await page.locator("h1").inner_text() == heading
            assert await page.locator("main").evaluate("node => getComputedStyle(node).borderTopWidth") == "1px"
            assert (await faults_of(page), blocked) == ([], [])
            await context.close()


def test_their_colours_are_those_of_our_style_sheet() -> None:
    ours, theirs = files("authproxy.web").joinpath("static", "pages.css").read_text(), PAGES.read_text()
    for own, nginxs in zip(ours.split("@media (prefers-color-scheme: dark)")[:2], theirs.split("@media (prefers-color-scheme: dark)")[:2], strict=True):
        known, named = (dict(re.findall(r"--([a-z]+): (#[0-9a-f]+);", text)) for text in (own, nginxs))
        assert {"ground", "sheet", "text", "muted", "line", "accent"} == named.keys()
        assert named == {name: known[name] for name in named}


def test_the_command_in_the_file_prints_the_digest_that_stands_there() -> None:
    text = PAGES.read_text()
    command = re.search(r"^#   (sed .*)$", text, re.MULTILINE)[1]
    printed = subprocess.run(["sh", "-c", command], cwd=PAGES.parent, capture_output=True, text=True, check=True).stdout.strip()
    assert f"'sha256-{printed}'" in text

"""The pages that nginx and other front proxies show by themselves look like the gateway's own: in Chromium,
while there is no gateway."""

from __future__ import annotations

import os
import re
import subprocess
from base64 import b64encode
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from authproxy.cli import main
from authproxy.settings.colours import shades
from authproxy.web.nginx_pages import configuration
from tests.support.fronts.caddy import PROGRAM as CADDY
from tests.support.nginx import SHIPPED, Nginx
from tests.support.page_checks import faults_of
from tests.support.ports import free_port

PAGES = SHIPPED / "authproxy" / "pages.conf"
SHOWN = [
    ("sl", "light", "x", "Trenutno ni na voljo"),
    ("en", "dark", "x", "Temporarily unavailable"),
    ("sl", "dark", "forbidden", "Dostop ni dovoljen"),
    ("en", "light", "forbidden", "Access is not allowed"),
    ("sl", "light", "barred", "Te strani tukaj ni mogoče odpreti"),
    ("en", "dark", "barred", "This page cannot be opened here"),
    ("sl", "light", "unreadable", "Zahteve ni mogoče obdelati"),
    ("en", "dark", "unreadable", "This request cannot be processed"),
    ("sl", "light", "framed", "Prosimo, prijavite se"),
    ("en", "dark", "framed", "Please sign in"),
]


@pytest.mark.needs("nginx", "chromium-headless-shell")
@pytest.mark.asyncio(loop_scope="session")
async def test_they_have_the_colours_and_the_width_of_our_pages_and_no_barrier(
    tmp_path: Path, chromium
) -> None:
    port = free_port()
    servers = f"""
    include authproxy/http.conf; include authproxy/pages.conf;
    server {{ listen 127.0.0.1:{port}; server_name acq.localhost; include authproxy/server.conf;
              location = /forbidden {{ auth_request off; error_page 418 = @authproxy_forbidden; return 418; }}
              location = /barred {{ auth_request off; set $authproxy_reason network_not_allowed;
                                   error_page 418 = @authproxy_forbidden; return 418; }}
              location = /framed {{ auth_request off; set $authproxy_location /.authproxy/login?rt=/;
                                   error_page 418 = @authproxy_framed; return 418; }}
              location = /unreadable {{ auth_request off; set $authproxy_reason target_ambiguous;
                                       error_page 418 = @authproxy_forbidden; return 418; }} }}
    """
    with Nginx(servers, port=port, gateway=tmp_path / "nobody.sock", folder=tmp_path):
        for language, scheme, path, heading in SHOWN:
            context = await chromium.new_context(
                locale=language, color_scheme=scheme, viewport={"width": 320, "height": 640}
            )
            page = await context.new_page()
            blocked: list[str] = []
            page.on(
                "console",
                lambda message, into=blocked: (
                    into.append(message.text) if "Content Security Policy" in message.text else None
                ),
            )
            await page.goto(f"http://acq.localhost:{port}/{path}")

            assert await page.locator("h1").inner_text() == heading
            assert (
                await page.locator("main").evaluate("node => getComputedStyle(node).borderTopWidth") == "1px"
            )
            assert (await faults_of(page), blocked) == ([], [])
            await context.close()


def test_their_colours_are_those_of_our_style_sheet() -> None:
    ours, theirs = files("authproxy.web").joinpath("static", "pages.css").read_text(), PAGES.read_text()
    for own, nginxs in zip(
        ours.split("@media (prefers-color-scheme: dark)")[:2],
        theirs.split("@media (prefers-color-scheme: dark)")[:2],
        strict=True,
    ):
        known, named = (dict(re.findall(r"--([a-z]+): (#[0-9a-f]+);", text)) for text in (own, nginxs))
        assert {"ground", "sheet", "text", "muted", "line", "accent"} == named.keys()
        assert named == {name: known[name] for name in named}


def test_the_file_that_is_shipped_is_the_one_without_settings() -> None:
    assert PAGES.read_text(encoding="utf-8") == configuration(), "run `make reference`"


def settings_in(folder: Path) -> Path:
    (folder / "logo.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><path d="M0 '
        f'0h40v20z"/><!--{"x" * 16000}--></svg>'
    )
    subprocess.run(
        [
            "openssl",
            "genpkey",
            "-quiet",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            str(folder / "sign.pem"),
        ],
        check=True,
    )
    for name in ("session-keys", "audit-key"):
        (folder / name).write_text(b64encode(os.urandom(32)).decode())
    (folder / "secret").write_text("s")
    for name in ("sign.pem", "session-keys", "audit-key", "secret"):
        (folder / name).chmod(0o600)
    common = {"upstream": "http://127.0.0.1:9001"}
    (folder / "authproxy.yaml").write_text(
        yaml.safe_dump(
            {
                "sessions": {"keys_file": "session-keys"},
                "telemetry": {"audit_key_file": "audit-key"},
                "assertions": {"issuer": "https://acq.example.si", "current_key_file": "sign.pem"},
                "rekono": {"client_id": "acq", "client_secret_file": "secret"},
                "pages": {"name": "Banka Primer", "colour": "#7a1f1f", "telephone": "+386 1 234 56 78"},
                "portals": {
                    "acq": {
                        "name": {"sl": r"Trgovci d'Or \$1 <\x>{host}", "en": "Merchants"},
                        "url": "https://acq.localhost",
                        "logo_file": "logo.svg",
                        **common,
                    },
                    "b2b": {
                        "name": "B2B",
                        "url": "https://b2b.localhost",
                        "pages": {"colour": "#0b4f6c"},
                        **common,
                    },
                },
            }
        ),
        encoding="utf-8",
    )
    return folder / "authproxy.yaml"


def written_by_the_command(folder: Path) -> Path:
    done = CliRunner().invoke(main, ["nginx-pages", str(folder / "own.conf"), "-c", str(settings_in(folder))])
    assert done.exit_code == 0, done.output
    return folder / "own.conf"


@pytest.mark.needs("nginx", "openssl", "chromium-headless-shell")
@pytest.mark.asyncio(loop_scope="session")
async def test_the_command_gives_nginx_each_portals_name_colour_logo_and_contact(
    tmp_path: Path, chromium
) -> None:
    port, own = free_port(), written_by_the_command(tmp_path)
    servers = f"""
    include authproxy/http.conf; include {own};
    server {{ listen 127.0.0.1:{port} default_server; server_name acq.localhost b2b.localhost; include authproxy/server.conf; }}
    """
    accent = "getComputedStyle(document.documentElement).getPropertyValue('--accent')"
    with Nginx(servers, port=port, gateway=tmp_path / "nobody.sock", folder=tmp_path):
        context = await chromium.new_context(
            locale="sl", color_scheme="dark", viewport={"width": 320, "height": 640}
        )
        page = await context.new_page()
        seen = {}
        for host in ("acq", "b2b", "nikogar"):
            blocked: list[str] = []
            page.on(
                "console",
                lambda message, into=blocked: (
                    into.append(message.text) if "Content Security Policy" in message.text else None
                ),
            )
            await page.goto(f"http://{host}.localhost:{port}/x")
            image = page.locator("header img")
            shape = await image.evaluate(
                "node => node.decode().then(() => node.naturalWidth / node.naturalHeight)"
            )
            seen[host] = (
                await page.locator("header p").inner_text(),
                await page.evaluate(accent),
                shape,
                await page.locator("footer").inner_text(),
            )
            assert blocked == []
            if host == "acq":
                assert await faults_of(page) == []
        called = "Potrebujete pomoč? +386 1 234 56 78"
        assert seen == {
            "acq": ("Trgovci d'Or \\$1 <\\x>{host}\nBanka Primer", shades("#7a1f1f")[1]["accent"], 2, called),
            "b2b": ("B2B\nBanka Primer", shades("#0b4f6c")[1]["accent"], 1, called),
            "nikogar": ("Banka Primer", shades("#7a1f1f")[1]["accent"], 1, called),
        }
        await context.close()


@pytest.mark.needs("openssl")
def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        main, ["nginx-pages", str(tmp_path / "nowhere" / "own.conf"), "-c", str(settings_in(tmp_path))]
    )
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("own.conf: cannot be written: No such file or directory")


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("proxy", ["caddy", "traefik"])
def test_other_front_proxies_get_each_portals_look_too(tmp_path: Path, proxy: str) -> None:
    own = tmp_path / "own"
    done = CliRunner().invoke(main, ["proxy-pages", proxy, str(own), "-c", str(settings_in(tmp_path))])
    assert done.exit_code == 0, done.output
    written = own.read_text(encoding="utf-8")
    # What an operator has written begins no placeholder.
    assert "Trgovci d&#39;Or &#92;&#36;1 &lt;&#92;x&gt;&#123;host&#125;" in written
    for expected in ("acq.localhost", "b2b.localhost", "Banka Primer", "+386 1 234 56 78", "Merchants"):
        assert expected in written
    assert shades("#7a1f1f")[0]["accent"] in written
    assert "$" not in written


@pytest.mark.needs("openssl")
def test_caddy_understands_what_is_written_for_it(tmp_path: Path) -> None:
    own = tmp_path / "pages.caddyfile"
    CliRunner().invoke(main, ["proxy-pages", "caddy", str(own), "-c", str(settings_in(tmp_path))])
    (tmp_path / "Caddyfile").write_text("import pages.caddyfile\n:80 {\n\timport authproxy_page\n}\n")
    adapted = subprocess.run(
        [CADDY, "adapt", "--config", "Caddyfile", "--adapter", "caddyfile"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    bodies = re.findall(r'"body":', adapted.stdout)
    assert len(bodies) == 6, "two portals and everybody else, in two languages"


@pytest.mark.needs("openssl")
def test_a_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        main,
        ["proxy-pages", "caddy", str(tmp_path / "nowhere" / "own"), "-c", str(settings_in(tmp_path))],
    )
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith("own: cannot be written: No such file or directory")

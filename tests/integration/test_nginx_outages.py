"""nginx with the shipped snippets when the gateway is away and nginx serves files itself, and the shipped file as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from tests.support.http_client import Browser
from tests.support.nginx import SHIPPED, Nginx
from tests.support.ports import free_port

pytestmark = pytest.mark.needs("nginx")


async def test_without_the_gateway_nobody_gets_in(tmp_path: Path) -> None:
    port = free_port()
    servers = f"""
    include authproxy/http.conf; include authproxy/pages.conf;
    server {{ listen 127.0.0.1:{port}; server_name acq.localhost; include authproxy/server.conf; location / {{ return 200 in; }}
              location /files/ {{ root {tmp_path}; }} }}
    """
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "statement.txt").write_text("confidential")
    with Nginx(servers, port=port, gateway=tmp_path / "nobody.sock", folder=tmp_path):
        for path in ("/files/statement.txt", "/files/", "/.authproxy/auth/nginx"):
            browser = Browser()
            browser.cookies.put(
                f"http://acq.localhost:{port}",
                "__Host-authproxy",
                "1.i7sYvIaTG-ezxywjL37hMQ.fXHjANjXtQK8_-cZyMzm3Dqfar6PrV-NI1xLJtuTGn8",
            )
            answers = [
                await browser.navigate(f"http://acq.localhost:{port}{path}"),
                await browser.fetch(f"http://acq.localhost:{port}{path}"),
            ]
            assert {answer.status for answer in answers} <= {404, 503}, path
            assert not [answer for answer in answers if "confidential" in answer.text]


def test_nginx_accepts_the_example_as_it_is_shipped(tmp_path: Path) -> None:
    authority = trustme.CA().issue_cert("acq.example.si")
    authority.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in authority.cert_chain_pems:
        blob.write_to_path(tmp_path / "chain.pem", append=True)
    shipped = (SHIPPED / "portal.example.conf").read_text()
    # What is the operator's: a port that a test may open, and a certificate that is there.
    changed = (
        shipped.replace("listen 443 ssl", f"listen 127.0.0.1:{free_port()} ssl")
        .replace("/etc/ssl/acq.example.si.pem", str(tmp_path / "chain.pem"))
        .replace("/etc/ssl/private/acq.example.si.key", str(tmp_path / "key.pem"))
    )
    assert changed.count(str(tmp_path)) == 2

    fine, said = Nginx(changed, port=0, gateway=tmp_path / "edge.sock", folder=tmp_path).tested()

    assert fine, said
    assert "[warn]" not in said

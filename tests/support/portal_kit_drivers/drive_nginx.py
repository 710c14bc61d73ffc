"""Asks the nginx kit about each line: python drive_nginx.py KIT ISSUER AUDIENCE ORIGIN JWKS FOLDER. The lines are
described in tests/support/portal_kits.py.

nginx runs the shipped files. Only names and addresses are replaced, and the time and whether assertions must be bound
come with each request. The portal behind it says which plain headers it has received; they follow the name."""

from __future__ import annotations

import base64
import contextlib
import http.client
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"
PLAIN = ("Subject", "Name", "Email", "Tax-Number", "Method", "Level", "Roles", "Step-Up")
RECEIVED = (
    "".join(f"$http_x_auth_{name.lower().replace('-', '_')}\\t" for name in (*PLAIN, "User"))
    + "$http_upgrade"
)
AROUND = """
load_module {module};
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    js_path {folder};
    include {folder}/portal.conf;
    server {{
        listen unix:{folder}/portal.sock;
        location / {{ return 200 "{received}"; }}
    }}
}}
"""
AT_A_TIME = """
import assertion from 'portal/assertion.js';
async function check(r) {
    Date.now = () => Number(r.headersIn['Test-Time']) * 1000;
    await assertion.check(r);
}
export default { check };
"""


def shipped(kit: Path, folder: Path, replaced: dict[str, str]) -> str:
    text = (kit / "portal.example.conf").read_text()
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / "portal").mkdir()
    shutil.copy(kit / "assertion.js", folder / "portal")
    shutil.copy(Path(__file__).parents[3] / "deploy/nginx/authproxy/cleared.conf", folder / "portal")
    return text


def answer(folder: Path, method: str, path: str, headers: list[str]) -> tuple[int, str]:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.connect(f"{folder}/nginx.sock")
        head = [f"{method} {path} HTTP/1.1", "Host: acq.example.si", "Content-Length: 0", *headers]
        with contextlib.suppress(ConnectionError):  # nginx does not read what is too long
            connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1"))
        said = http.client.HTTPResponse(connection, method=method)
        said.begin()
        return said.status, said.read().decode()


def main(kit: str, issuer: str, audience: str, origin: str, jwks: str, own: str) -> None:
    folder = Path(own)
    text = shipped(
        Path(kit),
        folder,
        {
            "portal/assertion.js": "drive.js",
            "include portal/": f"include {folder}/portal/",
            "listen 8080": f"listen unix:{folder}/nginx.sock",
            "http://127.0.0.1:8081": f"http://unix:{folder}/portal.sock",
            "$portal_issuer   https://acq.example.si": f"$portal_issuer {issuer}",
            "$portal_audience acq": f"$portal_audience {audience}",
            "$portal_origin   https://acq.example.si": f"$portal_origin {origin}",
            "https://acq.example.si/.authproxy/jwks.json": jwks,
            "$portal_bound    no": "$portal_bound $http_test_bound",
            "/var/lib/nginx-portal": own,
        },
    )
    (folder / "portal.conf").write_text(text)
    (folder / "drive.js").write_text(AT_A_TIME)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, module=MODULE, received=RECEIVED))
    log = folder / "error.log"
    with subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf", "-p", own]) as nginx:
        try:
            until_it_listens(folder, nginx)
            for line in sys.stdin:
                at, bound, method, path, written = line.rstrip("\n").split("\t")
                fields = [base64.b64decode(one[1:]).decode("latin-1") for one in written.split(",") if one]
                headers = [f"Test-Time: {at}", f"Test-Bound: {'yes' if bound == '1' else 'no'}"]
                headers += [f"X-Auth-Assertion: {field}" for field in fields]
                # Whatever the client says of itself, the assertion says who it is.
                headers += [f"X-Auth-{name}: forged" for name in (*PLAIN, "User")]
                seen = len(log.read_bytes())
                status, body = answer(folder, method, path, headers)
                if status == 200:
                    assert "forged" not in body
                    subject, name = map(unquote, body.split("\t")[:2])
                    print("ok", subject, base64.b64encode(name.encode()).decode(), body, sep="\t", flush=True)
                elif status in {400, 403}:
                    told = log.read_bytes()[seen:].decode("latin-1").replace("\n", " ")
                    print("no", told, sep="\t", flush=True)
                else:
                    raise SystemExit(f"{status}: {log.read_text()}")
        finally:
            nginx.kill()


def until_it_listens(folder: Path, nginx: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert nginx.poll() is None, (folder / "error.log").read_text()
        with contextlib.suppress(OSError), contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.connect(f"{folder}/nginx.sock")
            return
        time.sleep(0.02)
    raise AssertionError("nginx does not listen")


if __name__ == "__main__":
    main(*sys.argv[1:])

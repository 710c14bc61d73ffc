"""nginx, which serves the portal itself and asks the gateway with `auth_request`."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running

_FOLDER = DEPLOY / "nginx"
_PORTAL = "portal.example.conf"
_MAIN = """
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    include {portal};
}}
"""


class Nginx:
    name = dialect = program = "nginx"
    cannot: Mapping[str, str] = {
        "http3": "nginx has HTTP/3 from 1.25 on.",
    }
    differs: Mapping[str, str] = {
        "form_without_session": "A form without a session leads to the sign-in, whose page says that nothing was sent.",
        "upload": "A script that uploads without a session is refused when the upload has ended; a page at once.",
        "refusal": "People get the page that the file contains, without the code; scripts get the code.",
    }

    def version(self) -> str:
        said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True, timeout=10)
        found = re.search(r"nginx/(\S+)", said.stderr)
        assert found, said
        return found[1]

    def files(self) -> dict[str, str]:
        snippets = {
            f"authproxy/{file.name}": file.read_text() for file in (_FOLDER / "authproxy").glob("*.conf")
        }
        return {_PORTAL: (_FOLDER / _PORTAL).read_text()} | snippets

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        changed = {
            **files,
            _PORTAL: filled(
                files[_PORTAL],
                {
                    "listen 443 ssl": f"listen 127.0.0.1:{places.port} ssl http2",
                    "server_name acq.example.si": f"server_name {places.host}",
                    "/etc/ssl/acq.example.si.pem": str(places.chain),
                    "/etc/ssl/private/acq.example.si.key": str(places.key),
                    "server 127.0.0.1:9001": f"server 127.0.0.1:{places.portal}",
                },
            ),
            "authproxy/http.conf": filled(
                files["authproxy/http.conf"], {"unix:/run/authproxy/edge.sock": f"unix:{places.gateway}"}
            ),
        }
        (places.folder / "authproxy").mkdir()
        (places.folder / "temp").mkdir()
        for name, text in changed.items():
            (places.folder / name).write_text(text)
        # As root nginx would give its workers to a user who cannot open a test's socket.
        user = "user root root;" if os.geteuid() == 0 else ""
        (places.folder / "nginx.conf").write_text(_MAIN.format(user=user, portal=_PORTAL))
        command = ["nginx", "-p", str(places.folder), "-c", "nginx.conf", "-e", "stderr"]
        with running(command, places) as log:
            yield log


FRONT = Nginx()

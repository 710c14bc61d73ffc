"""nginx, which serves the portals itself and asks the gateway with `auth_request`: the file for one portal, and
its variants."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.fronts.front import DEPLOY, Log, Places, filled, running

_FOLDER = DEPLOY / "nginx"
_CERTIFICATES = "certificates.example.conf"
PROGRAM = os.environ.get("AUTHPROXY_TEST_NGINX", "nginx")
"""Another nginx than that of the system, for trying out a newer one."""
NJS = "/usr/lib/nginx/modules/ngx_http_js_module.so"
"""The module of Debian."""
_MAIN = """
{modules}
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
{other_temps}
    include {file};
}}
"""
_OTHER_TEMPS = """
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
"""
_EXAMPLES = (
    (r"server 127\.0\.0\.1:900\d;", "server 127.0.0.1:{portal};"),
    (r"/etc/ssl/private/\S+\.key;", "{key};"),
    (r"/etc/ssl/\S+\.pem;", "{chain};"),
    (r"client_max_body_size 100m;", "client_max_body_size 2g;"),
    (r"listen 80\b", "listen unix:{folder}/plain.sock"),
)
_SOCKET, _CACHE = "unix:/run/authproxy/edge.sock", "/run/nginx-authproxy"


class Nginx:
    name = dialect = program = "nginx"

    def __init__(
        self, file: str = "portal.example.conf", *, has_http2: bool = True, has_njs: bool = False
    ) -> None:
        self._file = file
        self._listen = "ssl http2" if has_http2 else "ssl"
        self._has_njs = has_njs

    cannot: Mapping[str, str] = {
        "http3": "nginx has HTTP/3 from 1.25 on.",
        "preflight_over_http2": "nginx does not see a body without a length; the portal gets it, and no identity.",
        "names_alike": "nginx removes headers by their exact names, and by their beginnings with authproxy/families.conf only.",
    }
    differs: Mapping[str, str] = {
        "http2": "nginx speaks HTTP/2 where its `listen` says so: a comment in the file shows how.",
        "form_without_session": "nginx leads a form without a session to the sign-in, whose page says that nothing was sent.",
        "upload": "nginx refuses a form without a session at once, and a script only when its upload has ended.",
        "refusal": "nginx shows people a page of its own files, without the reason; scripts get the reason.",
    }

    def version(self) -> str:
        said = subprocess.run([PROGRAM, "-v"], capture_output=True, text=True, check=True, timeout=10)
        found = re.search(r"nginx/(\S+)", said.stderr)
        assert found, said
        return found[1]

    def files(self) -> dict[str, str]:
        own = sorted((_FOLDER / "authproxy").iterdir())
        snippets = {f"authproxy/{file.name}": file.read_text() for file in own}
        text = (_FOLDER / self._file).read_text()
        if f"include {_CERTIFICATES};" in text:
            snippets[_CERTIFICATES] = (_FOLDER / _CERTIFICATES).read_text()
        return {self._file: text} | snippets

    @contextlib.contextmanager
    def started(self, places: Places, files: Mapping[str, str]) -> Iterator[Log]:
        changed = {
            **files,
            self._file: self._filled(files[self._file], places),
            "authproxy/http.conf": filled(files["authproxy/http.conf"], {_SOCKET: f"unix:{places.gateway}"}),
            "authproxy/cache.conf": filled(files["authproxy/cache.conf"], {_CACHE: f"{places.folder}/cache"}),
        }
        if _CERTIFICATES in files:
            changed[_CERTIFICATES] = self._filled(files[_CERTIFICATES], places).replace(
                "/etc/authproxy/acnlb.pem", str(places.chain)
            )
        (places.folder / "authproxy").mkdir()
        (places.folder / "temp").mkdir()
        for name, text in changed.items():
            (places.folder / name).write_text(text)
        said = subprocess.run([PROGRAM, "-V"], capture_output=True, text=True, check=True, timeout=10).stderr
        # As root nginx would give its workers to a user who cannot open a test's socket.
        user = "user root root;" if os.geteuid() == 0 else ""
        main = _MAIN.format(
            user=user,
            file=self._file,
            # Some builds have the module in the program, and have no FastCGI.
            modules=f"load_module {NJS};" if self._has_njs and "njs" not in said else "",
            other_temps=_OTHER_TEMPS if "fastcgi-temp" in said else "",
        )
        (places.folder / "nginx.conf").write_text(main)
        command = [PROGRAM, "-p", str(places.folder), "-c", "nginx.conf", "-e", "stderr"]
        with running(command, places) as log:
            yield log

    def _filled(self, text: str, places: Places) -> str:
        """A file with the test's names, ports and certificates."""
        text = filled(text, {"listen 443 ssl": f"listen 127.0.0.1:{places.port} {self._listen}"})
        values = {
            "portal": places.portal,
            "key": places.key,
            "chain": places.chain,
            "folder": places.folder,
        }
        for example, real in _EXAMPLES:
            text = re.sub(example, real.format(**values), text)
        for example, host in places.hosts.items():
            text = text.replace(example, host)
        return text


FRONT = Nginx()
CACHED = Nginx("cached.example.conf")
SIX = Nginx("six-portals.example.conf", has_http2=False)
SIGNED = Nginx(has_njs=True)


def signing(gateway: int, key: Path) -> dict[str, str]:
    """The files for a gateway on another machine, which is asked over TCP."""
    files = SIGNED.files()
    over_tcp = f"server 127.0.0.1:{gateway} max_fails=0; # unix:/run/authproxy/edge.sock"
    edits = {
        "authproxy/http.conf": ("server unix:/run/authproxy/edge.sock max_fails=0;", over_tcp),
        "authproxy/question.js": ("/etc/nginx/authproxy-question.key", str(key)),
        "portal.example.conf": (
            "include authproxy/pages.conf;",
            "include authproxy/pages.conf;\ninclude authproxy/signed.conf;",
        ),
    }
    for name, (old, new) in edits.items():
        assert old in files[name]
        files[name] = files[name].replace(old, new)
    return files

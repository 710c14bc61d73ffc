"""Follows deploy/systemd/README.md on a bare machine, and tries what it says: deploy/systemd/rehearsal calls
it. Prints one line for each thing that holds, and ends with the first that does not."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress

import yaml

from tests.support.bare_machine import CHECKOUT, Load, Machine, block, replaced, said, until
from tests.support.gateway import CLIENT_ID, House, open_house

_PORT = 8000
_PORTALS = {"acq": 9001, "b2b": 9002}
_SETTINGS = "/etc/authproxy/authproxy.yaml"
_AUDIT = "/var/log/authproxy/audit.jsonl"
_CREDENTIALS = "/run/credentials/authproxy.service"


class Trial:
    def __init__(self, machine: Machine, house: House) -> None:
        self.machine, self.house = machine, house
        self._loop = asyncio.get_running_loop()
        self.does = machine.does
        self.password = ""

    # Set up, as the READMEs say.

    def prepares_redis(self) -> None:
        shown = self.does(block("deploy/redis/README.md", about="redis-password") + "\ncat redis-password")
        *_, digest, self.password = shown.splitlines()
        self.does(
            "cd /srv/authproxy && cp deploy/redis/authproxy.conf /etc/redis/ "
            f"&& sed 's/<sha256 of the password>/{digest}/' deploy/redis/users.acl > /etc/redis/authproxy-users.acl "
            "&& chown redis:redis /etc/redis/authproxy-users.acl && chmod 0640 /etc/redis/authproxy-users.acl "
            "&& echo 'include /etc/redis/authproxy.conf' >> /etc/redis/redis.conf && systemctl restart redis-server"
        )

    def prepares_nginx(self) -> None:
        """acq asks in subrequests, b2b is passed on."""
        self.does(
            "cp -r /srv/authproxy/deploy/nginx/authproxy /etc/nginx/ && rm -f /etc/nginx/sites-enabled/*"
        )
        without_tls = (
            (r"listen 443 ssl;", f"listen 127.0.0.1:{_PORT};"),
            (r"\n *ssl_certificate\S* .*;", ""),
        )
        for name, hosts in (("portal", "acq.localhost 127.0.0.1"), ("reverse-proxy", "b2b.localhost")):
            example = (CHECKOUT / f"deploy/nginx/{name}.example.conf").read_text(encoding="utf-8")
            self.machine.file(f"/etc/nginx/sites-enabled/{name}.conf").write_text(
                replaced(example, *without_tls, (r"server_name .*;", f"server_name {hosts};"))
            )
        self.does("nginx -t && systemctl restart nginx")

    def installs(self) -> None:
        commands = block("deploy/systemd/README.md", about="systemd-sysusers")
        adapt = "# and adapt it"
        assert adapt in commands
        self.machine.file("/srv/adapted.yaml").write_text(self._settings())
        # What the filter of system calls forbids is an error for the gateway. Here it is its death.
        self.does("mkdir -p /etc/systemd/system/authproxy.service.d")
        self.machine.file("/etc/systemd/system/authproxy.service.d/deadly.conf").write_text(
            "[Service]\nSystemCallErrorNumber=kill\n"
        )
        commands = commands.replace(adapt, f"\ncp /srv/adapted.yaml {_SETTINGS}")
        shown = self.machine.types(commands, self.house.secret, self.password)
        assert '"status"' in shown, shown

    def _settings(self) -> str:
        settings = yaml.safe_load((CHECKOUT / "deploy/systemd/authproxy.yaml").read_text(encoding="utf-8"))
        settings["rekono"] |= {"issuer": self.house.issuer, "client_id": CLIENT_ID}
        settings["assertions"]["issuer"] = self.house.settings.assertions.issuer
        settings["portals"]["b2b"] = dict(settings["portals"]["acq"])
        for name, port in _PORTALS.items():
            settings["portals"][name] |= {
                "url": f"http://{name}.localhost:{_PORT}",
                "upstream": f"http://127.0.0.1:{port}",
            }
        return yaml.safe_dump(settings)

    # What is asked again and again.

    def signs_in(self) -> dict[str, str]:
        """Ana's cookies, by host."""
        return asyncio.run_coroutine_threadsafe(self._signs_in(), self._loop).result()

    async def _signs_in(self) -> dict[str, str]:
        cookies = {}
        for url in (self.house.acq, self.house.b2b):
            ana = self.house.person()
            page = await ana.signs_in(url + "/")
            assert page.status == 200, page.text
            assert "Ana Novak" in page.text, page.text
            cookies[url.removeprefix("http://")] = f"__Host-authproxy={ana.ticket(url)}"
        return cookies

    def events(self) -> int:
        """Lines in the audit file."""
        return len([json.loads(line) for line in self.machine.file(_AUDIT).read_text().splitlines()])

    def shown(self, name: str) -> str:
        return self.does(f"systemctl show --property={name} --value authproxy.service")

    @property
    def process(self) -> str:
        return self.shown("MainPID")

    def is_ready(self) -> bool:
        return "200" in self.does(
            "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8090/readyz || true"
        )

    def is_answered(self) -> bool:
        """Whether nginx asks the gateway that is there: it goes on with its old file for a moment."""
        asked = "curl -s -o /dev/null -w '%{http_code}' -H 'Host: {}.localhost:8000' http://127.0.0.1:8000/ || true"
        return {self.does(asked.replace("{}", name)) for name in _PORTALS} <= {"303", "401"}

    def is_replaced(self, killed: Callable[[], object], *, within: float) -> float:
        """How long it takes until another process is ready."""
        before = self.process
        killed()
        return until(lambda: self.process not in {"0", before} and self.is_ready(), within=within)

    def changes(self, pattern: str, instead: str, file: str = _SETTINGS) -> None:
        path = self.machine.file(file)
        path.write_text(replaced(path.read_text(), (pattern, instead)))

    def load(self, cookies: dict[str, str]) -> Load:
        return Load(_PORT, cookies, page=b"Ana Novak")

    # What must hold.

    def has_no_rights(self) -> None:
        lines = self.does(f"cat /proc/{self.process}/status").splitlines()
        status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[name], 16) == 0, name
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert set(status["Uid"].split()) == {self.does("id -u authproxy")}
        for path in ("/etc/authproxy/secrets/session-keys", f"{_CREDENTIALS}/session-keys"):
            self.does(f"setpriv --reuid=www-data --regid=www-data --clear-groups cat {path}", fails=True)
        # As the gateway's user, among the files and processes that the gateway sees.
        seen = self.does(
            f"nsenter --target={self.process} --mount setpriv --reuid=authproxy --regid=authproxy --clear-groups "
            "bash -c 'for place in / /etc /etc/authproxy /var/lib /var/log /home /run /opt/authproxy /usr; do "
            "if touch $place/x 2>/dev/null; then echo wrote $place; fi; done; "
            "for process in /proc/[0-9]*; do stat -c %U $process; done | sort -u; ls /proc'"
        ).splitlines()
        assert "root" not in seen, seen
        assert not [line for line in seen if line.startswith("wrote")], seen
        assert "net" not in seen
        assert "kallsyms" not in seen

    def reloads(self) -> None:
        cookies, process = self.signs_in(), self.process
        self.changes(r"name: Acquiring portal", "name: Acquirers")
        with self.load(cookies) as load:
            for _ in range(5):
                self.does("systemctl reload authproxy")
        assert not load.failed, load.outcomes
        settings = self.machine.file(_SETTINGS)
        before = settings.read_text()
        settings.write_text(before + "\nno_such_key: 1\n")
        self.does("systemctl reload authproxy", fails=True)
        assert "no_such_key" in self.does("journalctl --no-pager -u authproxy -n 20")
        settings.write_text(before)
        self.does("systemctl reload authproxy")
        assert self.process == process
        assert self.is_ready()
        self.signs_in()

    def rotates(self) -> None:
        process = self.process
        self.does("logrotate --force /etc/logrotate.d/authproxy")
        assert self.does(f"stat -c '%U %a' {_AUDIT}") == "authproxy 600"
        old = self.machine.file(f"{_AUDIT}.1")
        kept = old.read_text()
        assert kept
        before = self.events()
        self.signs_in()
        until(lambda: self.events() > before, within=30)
        assert old.read_text() == kept
        assert self.process == process
        assert "error" not in self.does("logrotate --verbose --force /etc/logrotate.d/authproxy")

    def is_watched(self) -> tuple[float, float]:
        killed = self.is_replaced(lambda: self.does(f"kill -KILL {self.process}"), within=60)
        hung = self.is_replaced(lambda: self.does(f"kill -STOP {self.process}"), within=150)
        self.signs_in()
        return killed, hung

    def restarts_with_the_socket(self) -> str:
        self.changes(r"unix:/run/authproxy/edge\.sock", "unix:/run/authproxy-edge.sock")
        for file in ("/etc/nginx/authproxy/http.conf", "/etc/nginx/sites-enabled/reverse-proxy.conf"):
            self.changes(r"unix:/run/authproxy/edge\.sock", "unix:/run/authproxy-edge.sock", file)
        self.changes("proxy_read_timeout 3s;", "proxy_read_timeout 60s;", "/etc/nginx/authproxy/server.conf")
        self.does(block("deploy/systemd/README.md", about="authproxy.socket"))
        until(self.is_answered, within=30)
        assert self.does("stat -c '%U %G %a' /run/authproxy-edge.sock") == "authproxy www-data 660"
        cookies = self.signs_in()
        with self.load(cookies) as load:
            for _ in range(5):
                self.does("systemctl restart authproxy")
            self.is_replaced(
                lambda: self.does(f"kill -TERM {self.process}; systemctl start authproxy"), within=60
            )
        assert not load.failed, load.outcomes
        return f"{load.outcomes.total():,} requests"

    def works_with_two(self) -> str:
        """Two workers; one of them is replaced, and both end and begin under load."""
        self.changes("unix_socket_group:", "workers: 2\n  unix_socket_group:")
        self.does("systemctl restart authproxy")
        parent = self.process
        workers = self.does(f"pgrep --parent {parent}").split()
        assert len(workers) == 2
        self.does(f"kill -KILL {workers[0]}")
        until(lambda: len(set(self.does(f"pgrep --parent {parent}").split()) - {workers[0]}) == 2)
        assert self.process == parent
        with self.load(self.signs_in()) as load:
            for _ in range(3):
                self.does("systemctl reload authproxy")
            assert self.process == parent
            for _ in range(2):
                self.does("systemctl restart authproxy")
        assert not load.failed, load.outcomes
        self.is_replaced(lambda: self.does(f"kill -KILL {self.process}"), within=60)
        self.signs_in()
        return f"{load.outcomes.total():,} requests"

    def ends(self) -> None:
        self.does("systemctl stop authproxy.socket authproxy.service")
        assert (self.shown("Result"), self.shown("ExecMainStatus")) == ("success", "0")
        assert not self.machine.file("/run/authproxy-edge.sock").exists()
        assert not self.machine.file("/run/authproxy").exists()
        assert not self.machine.file(_CREDENTIALS).exists()


def tried(trial: Trial) -> None:
    for prepared in (trial.prepares_redis, trial.prepares_nginx, trial.installs):
        prepared()
    until(trial.is_ready, within=10)
    said("the commands of the READMEs, typed as they stand there, start a gateway that is ready")
    trial.signs_in()
    said("somebody signs in where nginx asks in subrequests, and where it passes everything on")
    trial.does(f"/opt/authproxy/bin/authproxy store check -c {_SETTINGS}")
    assert "Ana" in trial.does(f"/opt/authproxy/bin/authproxy sessions list -c {_SETTINGS}")
    said("operators' commands work, and the store has nothing to mend")
    trial.has_no_rights()
    said("the process has no capabilities, writes nowhere else, sees no other process; others read no secret")
    trial.reloads()
    said("five reloads under load: 0 requests failed; wrong settings change nothing, and the command says so")
    trial.rotates()
    said("logrotate: the gateway writes into the new file, the old one keeps what it had")
    killed, hung = trial.is_watched()
    said(f"ready again {killed:.1f} s after SIGKILL, and {hung:.1f} s after SIGSTOP")
    said(f"six restarts with the socket unit: 0 of {trial.restarts_with_the_socket()} failed")
    said(
        f"a worker that dies is replaced; three reloads and two restarts with two workers: 0 of {trial.works_with_two()} failed"
    )
    trial.ends()
    said("the end is in order and leaves no socket, folder or secret")


async def in_a_house(machine: Machine) -> None:
    ports = {"gateway": _PORT, **_PORTALS}
    async with open_house("redis://127.0.0.1:6379", has_gateway=False, ports=ports) as house:
        # The counterparties go on in this loop meanwhile.
        await asyncio.to_thread(tried, Trial(machine, house))


def main() -> None:
    machine = Machine(int(sys.argv[1]))
    machine.has_started()
    try:
        asyncio.run(in_a_house(machine))
    except BaseException:
        with suppress(Exception):
            sys.stderr.write(machine.does("journalctl --no-pager -n 60"))
        raise


if __name__ == "__main__":
    main()

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from authproxy import __version__
from authproxy.cli import main
from authproxy.settings.sources import read
from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]


def run(*arguments, env=None):
    result = CliRunner().invoke(main, [str(each) for each in arguments], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def config(workshop):
    return workshop.write("authproxy.yaml", yaml.safe_dump(workshop.good(), sort_keys=False).encode())


def test_good_settings_are_fine(config):
    result = run("check-config", "-c", config)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{config}: fine\n", "")


def test_the_file_may_be_named_by_the_environment(config):
    assert run("check-config", env={"AUTHPROXY_CONFIG": str(config)}).exit_code == 0


def test_findings_go_to_standard_error_with_file_and_line(config):
    config.write_text(config.read_text().replace("upstream:", "upstrem:"))
    result = run("check-config", "-c", config)
    assert result.exit_code == 1
    assert f'{config}:16: portals.acq.upstrem: unknown key; did you mean "upstream"?\n' in result.stderr
    assert result.stdout == ""


def test_a_warning_is_shown_and_is_fine(config):
    result = run("check-config", "-c", config, env={"AUTHPROXY__STORE__URL": "memory://"})
    assert result.exit_code == 0
    assert (
        "environment AUTHPROXY__STORE__URL: warning: store.url: keeps sessions in this process"
        in result.stderr
    )


def test_no_file_is_another_exit_code(tmp_path):
    result = run("check-config", "-c", tmp_path / "missing.yaml")
    assert result.exit_code == 2
    assert "missing.yaml: cannot be read: No such file or directory" in result.stderr


def test_json_holds_every_finding(config):
    config.write_text(config.read_text() + "telemtry: {}\n")
    result = run("check-config", "-c", config, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["valid"]) == (1, False)
    assert told["findings"] == [
        {
            "file": str(config),
            "line": 19,
            "key": "telemtry",
            "problem": 'unknown key; did you mean "telemetry"?',
            "read": None,
            "valid": "",
            "severity": "error",
        }
    ]


def test_json_of_good_settings_is_valid(config):
    assert json.loads(run("check-config", "-c", config, "--json").stdout) == {"valid": True, "findings": []}


@pytest.mark.parametrize(
    "command", [["serve"], ["explain", "GET", "https://x/"], ["sessions", "list"], ["keys", "list"]]
)
def test_no_command_runs_on_settings_with_errors(config, tmp_path, command):
    config.write_text("nonsense: 1\n")
    assert run(*command, "-c", config).exit_code == 1
    assert run(*command, "-c", tmp_path / "missing").exit_code == 2


def test_keys_are_listed_by_role_without_their_secret_half(config):
    rows = json.loads(run("keys", "list", "-c", config, "--json").stdout)
    assert [(row["role"], row["algorithm"], len(row["kid"])) for row in rows] == [("current", "ES256", 43)]
    table = run("keys", "list", "-c", config).stdout.splitlines()
    assert table == ["role     algorithm  kid", f"current  ES256      {rows[0]['kid']}"]


def test_rotation_without_places_for_keys_says_what_is_missing(config):
    result = run("keys", "rotate", "-c", config)
    assert result.exit_code == 1
    assert "next_key_file, retiring_key_file" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["an-id", "--subject", "somebody"]])
def test_revoking_needs_either_a_session_or_a_person(config, arguments):
    result = run("sessions", "revoke", *arguments, "-c", config)
    assert result.exit_code == 2
    assert "name either a session or" in result.stderr


def with_store(url):
    return {"AUTHPROXY__STORE__URL": url}


def test_a_store_without_sessions_lists_none(config):
    result = run("sessions", "list", "-c", config, "--json", env=with_store("memory://"))
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert run("sessions", "list", "-c", config, env=with_store("memory://")).stderr.endswith("0 open\n")


@pytest.mark.parametrize("arguments", [["an-id"], ["--subject", "somebody"]])
def test_nothing_is_revoked_where_nobody_would_hear_of_it(config, arguments):
    result = run("sessions", "revoke", *arguments, "-c", config, env=with_store("memory://"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nothing was changed" in result.stderr


@pytest.mark.parametrize("command", [["list"], ["revoke", "an-id"]])
def test_a_store_that_cannot_be_asked_is_a_sentence_not_a_trace(config, command):
    result = run("sessions", *command, "-c", config, env=with_store(f"redis://127.0.0.1:{free_port()}/0"))
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_settings_explain_a_request(config):
    result = run("explain", "GET", "https://acq.example.si/reports", "-c", config)
    assert result.exit_code == 0
    assert "portal   acq" in result.stdout
    assert run("explain", "GET", "https://b2b.example.si/", "-c", config).exit_code == 1


def test_explain_says_whether_a_route_stops_an_address_or_a_role(config):
    settings = yaml.safe_load(config.read_text())
    desk = {"path": "/desk", "networks": ["10.0.0.0/8"], "roles": ["clerk"]}
    settings["portals"]["acq"]["routes"] = [desk]
    config.write_text(yaml.safe_dump(settings))

    def asked(*options):
        result = run("explain", "GET", "https://acq.example.si/desk", "-c", config, *options)
        return result.exit_code, result.stdout.splitlines()[-1] if result.stdout else result.stderr

    assert asked("--address", "10.1.2.3", "--role", "guest", "--role", "clerk")[0] == 0
    assert asked("--address", "203.0.113.9") == (
        1,
        "refused  network_not_allowed: acq/desk is not open to 203.0.113.9",
    )
    assert asked("--role", "guest") == (
        1,
        "refused  role_missing: acq/desk is not open to somebody with the role guest",
    )
    code, said = asked("--address", "office")
    assert (code, "is no IP address" in said) == (2, True)


@pytest.mark.parametrize("session_id", ["an-id", "-e" + "x" * 22, "--" + "x" * 22])
def test_explain_takes_every_session_id_and_says_when_none_is_open(config, session_id):
    asked = ("explain", "GET", "https://acq.example.si/reports", "-c", config, "--session", session_id)
    result = run(*asked, env=with_store("memory://"))
    assert (result.exit_code, result.stdout.splitlines()[-1].partition(":")[0]) == (
        1,
        "refused  session_ended",
    )
    result = run(*asked, env=with_store(f"redis://127.0.0.1:{free_port()}/0"))
    assert (result.exit_code, result.stdout, len(result.stderr.strip().splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["GET", "https://acq.example.si/", "--role", "clerk"], "give --session or --role"),
        (["level_too_low"], "--address, --role and --session are for METHOD and URL"),
    ],
)
def test_explain_takes_a_session_only_where_it_can_be_judged(config, arguments, said):
    result = run("explain", *arguments, "--session", "an-id", "-c", config)
    assert (result.exit_code, said in result.stderr) == (2, True)


@pytest.fixture
def management():
    """A management listener as small as can be; answers 503 for /readyz."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/healthz" else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_well_gateway_is_healthy(management):
    result = run("healthcheck", "--url", f"{management}/healthz", env={"http_proxy": "http://127.0.0.1:1"})
    assert (result.exit_code, result.stdout) == (0, f"{management}/healthz: 200\n")


def test_a_gateway_that_is_not_ready_is_not(management):
    result = run("healthcheck", "--url", f"{management}/readyz")
    assert result.exit_code == 1
    assert "503" in result.stderr


def test_a_gateway_that_is_not_there_is_not_healthy():
    assert run("healthcheck", "--url", f"http://127.0.0.1:{free_port()}/healthz").exit_code == 1


def test_the_health_check_asks_where_the_settings_say(management, config):
    settings = yaml.safe_load(config.read_text())
    config.write_text(
        yaml.safe_dump(
            {**settings, "server": {**settings["server"], "management": management.removeprefix("http://")}}
        )
    )
    assert run("healthcheck", env={"AUTHPROXY_CONFIG": str(config)}).stdout == f"{management}/healthz: 200\n"


def test_the_health_check_hears_the_environment_and_asks_this_machine_for_a_listener_on_all_addresses(
    management, config
):
    everywhere = management.removeprefix("http://").replace("127.0.0.1", "0.0.0.0")
    result = run(
        "healthcheck", env={"AUTHPROXY_CONFIG": str(config), "AUTHPROXY__SERVER__MANAGEMENT": everywhere}
    )
    assert result.stdout == f"{management}/healthz: 200\n"


def test_the_health_check_asks_a_unix_socket(config, tmp_path):
    path = tmp_path / "management.sock"
    with socketserver.UnixStreamServer(str(path), OneAnswer) as server, ThreadPoolExecutor(1) as pool:
        answered = pool.submit(server.handle_request)
        result = run("healthcheck", "-c", config, env={"AUTHPROXY__SERVER__MANAGEMENT": f"unix:{path}"})
        answered.result()
    assert (result.exit_code, result.stdout) == (0, f"unix:{path}: 200\n")


class OneAnswer(socketserver.StreamRequestHandler):
    def handle(self):
        status = "200 OK" if self.rfile.readline() == b"GET /healthz HTTP/1.1\r\n" else "404 Not Found"
        self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())


def test_an_unfinished_edit_elsewhere_in_the_settings_does_not_make_a_running_gateway_unwell(
    management, config
):
    config.write_text(config.read_text().replace("upstream:", "upstrem:"))
    environment = {
        "AUTHPROXY_CONFIG": str(config),
        "AUTHPROXY__SERVER__MANAGEMENT": management.removeprefix("http://"),
    }
    assert run("healthcheck", env=environment).exit_code == 0


def test_the_health_check_asks_where_a_section_in_the_environment_says(management, config):
    address = management.removeprefix("http://")
    environ = {"AUTHPROXY_CONFIG": str(config), "AUTHPROXY__SERVER": json.dumps({"management": address})}
    assert read(config, environ).settings.server.management == address
    assert run("healthcheck", env=environ).stdout == f"{management}/healthz: 200\n"


def test_a_health_check_without_readable_settings_says_so_in_one_line(tmp_path):
    result = run("healthcheck", "-c", tmp_path / "missing.yaml")
    assert (result.exit_code, result.stderr) == (
        1,
        f"{tmp_path}/missing.yaml: cannot be read: No such file or directory\n",
    )
    (tmp_path / "odd.yaml").write_text("server: {management: everywhere}")
    result = run("healthcheck", "-c", tmp_path / "odd.yaml")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("server.management: ")


def test_a_health_check_reads_no_files():
    assert run("healthcheck", "--url", "file:///etc/passwd").exit_code == 2


@pytest.mark.parametrize(("shell", "mark"), [("bash", "complete"), ("zsh", "#compdef"), ("fish", "complete")])
def test_completion_is_printed_for_each_shell(shell, mark):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert mark in result.stdout
    assert "_AUTHPROXY_COMPLETE" in result.stdout


def test_the_version_is_told():
    assert run("--version").stdout == f"authproxy, version {__version__}\n"


def loaded_by(*arguments):
    """What an interpreter of its own prints for a command, and what it has imported then."""
    code = "import sys; from authproxy.cli import main\ntry: main()\nfinally: print('MODULES', *sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    printed, _, modules = told.stdout.partition("MODULES ")
    return printed + told.stderr, set(modules.split())


def test_help_waits_for_nothing_that_only_commands_need():
    printed, loaded = loaded_by("--help")
    assert "check-config" in printed
    assert {"pydantic", "aiohttp", "redis", "cryptography", "yaml", "jwt"} & loaded == set()


def test_a_health_check_waits_for_nothing_but_the_address(tmp_path):
    """It is started every few seconds."""
    path = tmp_path / "authproxy.yaml"
    path.write_text(f"server: {{management: '127.0.0.1:{free_port()}'}}")
    printed, loaded = loaded_by("healthcheck", "-c", path)
    assert "/healthz: " in printed
    assert "yaml" in loaded
    assert {"pydantic", "asyncio", "cryptography", "csv", "authproxy.settings.schema"} & loaded == set()
    assert {name for name in loaded if name.startswith("authproxy.cli.")} == {
        "authproxy.cli.healthcheck",
        "authproxy.cli.terminal",
    }


def test_a_command_that_does_not_exist_is_told_the_nearest_one():
    result = run("helthcheck")
    assert result.exit_code == 2
    assert "healthcheck" in result.stderr


def test_the_module_runs_as_the_command():
    told = subprocess.run(
        [sys.executable, "-m", "authproxy", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert __version__ in told.stdout

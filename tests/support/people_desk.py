"""An operator at the command line of the register, and what lies in its store."""

from __future__ import annotations

import asyncio
import json

from click.testing import CliRunner

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.stores import open_stores_of_command
from authproxy.challenges.limits import person_name
from authproxy.cli import main
from authproxy.settings.sources import load
from tests.support.session_builders import new_ticket, session_for

HEADER = "id;tax_number;name;email;phone;portals;certificates;blocked\n"
ANA = "ana;99990008;Ana Novak;ana@example.si;+38640123456;acq b2b;;\n"
ANAS = ("member", "ana")
CVETKA = "cvetka;99990016;Cvetka Zupan;;;*;;\n"


class Desk:
    def __init__(self, config):
        self.config, self.folder = config, config.parent

    def run(self, *arguments, code=0, env=None):
        return self.run_plain("people", *arguments, code=code, env=env)

    def run_plain(self, *arguments, code=0, env=None):
        result = CliRunner().invoke(main, [*map(str, arguments), "-c", str(self.config)], env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        return result

    def file(self, text, name="people.csv"):
        (self.folder / name).write_text(text)
        return self.folder / name

    def imported(self, *rows):
        return self.run("import", self.file(HEADER + "".join(rows))).stdout

    def shown(self, person):
        return json.loads(self.run("show", person, "--json").stdout)

    def every_event(self):
        """What waits in the store for a gateway to take it over."""
        return [json.loads(entry) for entry in self.in_store(lambda opened: opened.audit_queue.claim("test"))]

    def events(self):
        return [event for event in self.every_event() if event["event"] != "act.announced"]

    def sign_in(self, ticket=None, **changes):
        """A session as a gateway would have stored it."""
        ticket, now = ticket or new_ticket(), utc_now()
        session = session_for(ticket, started_at=now, **changes)
        self.in_store(lambda opened: opened.sessions.create(ticket, session, browser="", now=now))

    def answer_wrongly(self, owner):
        """As often as the settings let anybody."""
        for _ in range(5):
            self.in_store(lambda opened: opened.limits.try_answer([person_name(owner)], now=utc_now()))

    def is_blocked(self, owner):
        return (
            self.in_store(lambda opened: opened.limits.blocked_until([person_name(owner)], now=utc_now()))
            is not None
        )

    def in_store(self, work):
        async def done():
            settings = load(self.config, {})
            async with open_stores_of_command(settings) as opened:
                return await work(opened)

        return asyncio.run(done())

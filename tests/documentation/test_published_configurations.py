"""The settings in config/examples say what the published configurations say that they were made from: the files
pass the check, and the rules decide as the originals do."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.access import policy
from authproxy.access.decision import Reason
from authproxy.access.sender import Sender
from authproxy.access.target import canonical_host, parse
from authproxy.bootstrap.portals import all_portals
from authproxy.identity.assurance import AuthenticationEvent, Level
from authproxy.identity.person import Issuer, Person, Subject
from authproxy.identity.session import Session, SessionId
from authproxy.settings.sources import read
from tests.support.certificate_builder import Authority, ec_key, pem
from tests.support.machine import MACHINE

EXAMPLES = Path(__file__).parents[2] / "config/examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """Replaces the secrets and files that the examples name on a real machine."""
    folder = tmp_path_factory.mktemp("secrets")
    key = ec.generate_private_key(ec.SECP256R1())
    root = Authority.root(key=ec_key())
    host = root.authority("www.example.com", key=ec_key())
    own_pem = host.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = {
        "SESSIONS__KEYS__FILE": base64.b64encode(os.urandom(32)),
        "TELEMETRY__AUDIT_KEY__FILE": base64.b64encode(os.urandom(32)),
        "REKONO__CLIENT_SECRET__FILE": b"a-secret-of-good-length\n",
        "ASSERTIONS__CURRENT_KEY_FILE": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "SERVER__TLS__CERTIFICATE_FILE": pem(host.certificate).encode(),
        "SERVER__TLS__KEY_FILE": own_pem,
    }
    environ = {}
    for name, content in made.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o400)
        environ[f"AUTHPROXY__{name}"] = str(folder / name)
    return environ


def reading_of(file, environ):
    has_tls = "\n  tls:" in file.read_text()
    given = {name: value for name, value in environ.items() if has_tls or "__TLS__" not in name}
    return read(file, given, machine=MACHINE)


MEANT = (
    "server.tls.certificate_file: ",
    "opens everything to everybody",
    "leaves `/orders` itself to the portal's own demands",
)
"""Warnings about what is meant as it stands there, and about the certificate of the test."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_published_configuration_passes_the_check(file, environ):
    reading = reading_of(file, environ)
    assert [str(each) for each in reading.findings if not any(meant in str(each) for meant in MEANT)] == []


def test_every_example_is_in_the_readme_with_its_origin():
    assert {file.name for file in FILES} == {
        "oauth2-proxy-nginx.yaml",
        "authelia.yaml",
        "mod_auth_openidc.yaml",
    }
    for file in FILES:
        assert f"({file.name})" in (EXAMPLES / "README.md").read_text()
        text = file.read_text()
        assert "https://" in text.partition("sessions:")[0]
        assert text.count("# theirs:") >= 10, file.name


PUBLIC, SESSION, DENIED = "public", "session", "denied"
PROOF = "a proof besides"


def verdict(portals, method, url, *, roles=(), address="203.0.113.9", has_proof=False):
    """What happens to somebody with these roles: nobody needs to sign in, a session is enough, or what it
    lacks."""
    authority, _, path = url.partition("/")
    portal = portals.by_host.get(canonical_host(authority, 443))
    if portal is None:
        return DENIED
    target = parse(method=method, target=f"/{path}", host=portal.host, default_port=443)
    route = policy.route_of(portal, target)
    sender = Sender(address=address)
    if policy.barred(route, sender) is not None:
        return DENIED
    if route.access == "public":
        return PUBLIC
    event = AuthenticationEvent(method="totp", at=NOW, source="https://login.example", is_step_up=True)
    session = Session(
        session_id=SessionId("s"),
        portal=portal.portal_id,
        person=Person(
            issuer=Issuer("https://login.example"),
            subject=Subject("someone"),
            member="someone" if roles else None,
        ),
        method="rekono",
        level=Level.LOW,
        events=(event,) if has_proof else (),
        started_at=NOW,
        expires_at=NOW,
        idle_for=NOW - NOW,
        roles=tuple(roles),
    )
    lacks = policy.unmet(session, portal, route, sender, NOW)
    if lacks is None:
        return SESSION
    return PROOF if lacks is Reason.STEP_UP_REQUIRED else DENIED


OAUTH2_PROXY = "internalapp.yourcompany.com"


@pytest.mark.parametrize(
    ("method", "path", "nobody", "with_role"),
    [
        ("GET", "/", SESSION, SESSION),
        ("GET", "/probe", PUBLIC, PUBLIC),
        ("POST", "/probe", SESSION, SESSION),
        ("POST", "/metrics/x", PUBLIC, PUBLIC),
        ("GET", "/roleAOnly/x", DENIED, SESSION),
        ("POST", "/orders/17/ack", PUBLIC, PUBLIC),
        ("POST", "/orders/17/ack/x", SESSION, SESSION),
        ("GET", "/orders/17/ack", SESSION, SESSION),
        ("POST", "/orders/17", SESSION, SESSION),
        ("GET", "/api/x", SESSION, SESSION),
    ],
)
def test_nginx_with_oauth2_proxy(environ, method, path, nobody, with_role):
    settings = reading_of(EXAMPLES / "oauth2-proxy-nginx.yaml", environ).settings
    portals = all_portals(settings)
    url = OAUTH2_PROXY + path
    assert (verdict(portals, method, url), verdict(portals, method, url, roles=["roleA"])) == (
        nobody,
        with_role,
    )


def test_nginx_with_oauth2_proxy_has_two_servers_and_programs_at_one_part(environ):
    settings = reading_of(EXAMPLES / "oauth2-proxy-nginx.yaml", environ).settings
    portal = all_portals(settings).by_host[OAUTH2_PROXY]
    assert portal.route("/roleAOnly/x", "GET").upstream == "http://127.0.0.1:8082"
    assert portal.route("/x", "GET").upstream == ""
    assert portal.route("/api/x", "GET").requirement.machines.tokens
    assert portal.route("/x", "GET").requirement.machines is None


@pytest.mark.parametrize(
    ("method", "url", "roles", "expected"),
    [
        ("GET", "public.example.com/x", (), PUBLIC),
        ("OPTIONS", "secure.example.com/x", (), PUBLIC),
        ("GET", "secure.example.com/x", (), PROOF),
        ("GET", "private.example.com/x", (), PROOF),
        ("GET", "singlefactor.example.com/x", (), SESSION),
        ("GET", "mx2.mail.example.com/x", ("admins",), DENIED),
        ("GET", "mx2.mail.example.com/x", ("moderators",), PROOF),
        ("GET", "mx2.mail.example.com/x", (), DENIED),
        ("GET", "dev.example.com/x", ("admins",), PROOF),
        ("GET", "dev.example.com/x", ("moderators",), PROOF),
        ("GET", "dev.example.com/x", ("dev",), DENIED),
        ("GET", "dev.example.com/groups/dev/x", ("dev",), PROOF),
        ("GET", "dev.example.com/groups/other/x", ("dev",), DENIED),
        ("GET", "dev.example.com/users/john/x", ("dev",), DENIED),
        ("GET", "dev.example.com/users/john/x", ("dev-john",), PROOF),
        ("GET", "dev.example.com/users/john/x", ("admins",), PROOF),
        ("GET", "other.example.com/x", ("admins",), DENIED),
    ],
)
def test_the_access_control_of_authelia(environ, method, url, roles, expected):
    portals = all_portals(reading_of(EXAMPLES / "authelia.yaml", environ).settings)
    assert verdict(portals, method, url, roles=roles) == expected
    if expected == PROOF:
        assert verdict(portals, method, url, roles=roles, has_proof=True) == SESSION


INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.9"


@pytest.mark.parametrize(
    ("path", "roles", "address", "expected"),
    [
        ("/", (), OUTSIDE, PUBLIC),
        ("/secure/x", (), OUTSIDE, SESSION),
        ("/public/x", (), OUTSIDE, PUBLIC),
        ("/news", (), OUTSIDE, PUBLIC),
        ("/server-status", ("finance",), INSIDE, DENIED),
        ("/api/1", (), OUTSIDE, SESSION),
        ("/finance/x", ("finance",), INSIDE, SESSION),
        ("/finance/x", ("finance",), OUTSIDE, DENIED),
        ("/finance/x", (), INSIDE, DENIED),
        ("/joe", ("sub.joe",), OUTSIDE, SESSION),
        ("/joe", ("finance",), OUTSIDE, DENIED),
        ("/staff", ("hd.example.com",), OUTSIDE, SESSION),
        ("/staff", ("family_name.Jones",), OUTSIDE, SESSION),
        ("/staff", (), OUTSIDE, DENIED),
    ],
)
def test_apache_with_mod_auth_openidc(environ, path, roles, address, expected):
    portals = all_portals(reading_of(EXAMPLES / "mod_auth_openidc.yaml", environ).settings)
    assert verdict(portals, "GET", f"www.example.com:8443{path}", roles=roles, address=address) == expected


def test_apache_with_mod_auth_openidc_has_two_servers_and_asks_for_more_at_one_part(environ):
    portals = all_portals(reading_of(EXAMPLES / "mod_auth_openidc.yaml", environ).settings)
    portal = portals.by_host["www.example.com:8443"]
    assert portal.route("/api/1", "GET").upstream == "http://127.0.0.1:9090"
    assert dict(portal.route("/strong", "GET").provider_demand.parameters) == {"acr_values": "high"}

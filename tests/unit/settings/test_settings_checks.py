from __future__ import annotations

import base64
import os
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from authproxy.edge.rules.subrequest import ALL
from authproxy.settings.schema import FrontProxy
from tests.support.host_certificates import host_certificate


def setting(*path, to):
    def spoil(settings):
        for part in path[:-1]:
            settings = settings.setdefault(part, {}) if isinstance(settings, dict) else settings[part]
        settings[path[-1]] = to

    return spoil


def many(*spoils):
    return lambda settings: [spoil(settings) for spoil in spoils]


def acq(name, to):
    return setting("portals", "acq", name, to=to)


ERRORS = [
    (setting("server", "listen", to=["nowhere"]), "server.listen[0]", "is not `address:port`"),
    (setting("server", "management", to="127.0.0.1:0"), "server.management", "is not `address:port`"),
    (
        setting("server", "listen", to=["127.0.0.1:8090"]),
        "server.management",
        "is the same as another listener",
    ),
    (
        setting("server", "trusted_proxies", to=["proxy.example.si"]),
        "server.trusted_proxies[0]",
        "is no address and no network",
    ),
    (
        setting("server", "trusted_proxies", to=["10.1.2.3/24"]),
        "server.trusted_proxies[0]",
        'did you mean "10.1.2.0/24"?',
    ),
    (
        setting("server", "resolvers", to=["10.1.2.3", "ns.example.si"]),
        "server.resolvers[1]",
        "is no address of a name server",
    ),
    (setting("server", "resolvers", to=["10.1.2.3:0"]), "server.resolvers[0]", "has no port that exists"),
    (
        many(setting("server", "workers", to="auto"), setting("store", "url", to="memory://")),
        "server.workers",
        "needs a store that all workers share",
    ),
    (setting("server", "workers", to=0), "server.workers", "is less than 1"),
    (setting("telemetry", to={"audit_key": "0" * 64}), "telemetry.audit_key", "is not random"),
    (setting("server", "subrequest_key", to=["0" * 64]), "server.subrequest_key[0]", "is not random"),
    (setting("server", "timeouts", "head", to="0"), "server.timeouts.head", "is nothing at all"),
    (setting("server", "subrequests_kept_for", to="31s"), "server.subrequests_kept_for", "is out of bounds"),
    (
        many(setting("server", "subrequests_kept_for", to="6s"), setting("assertions", "lifetime", to="10s")),
        "server.subrequests_kept_for",
        "is longer than half of `assertions.lifetime`",
    ),
    (setting("server", "hsts", to={"max_age": "1000d"}), "server.hsts.max_age", "is out of bounds"),
    (setting("server", "hsts", to="on"), "server.hsts", "is not valid"),
    (
        setting("server", "hsts", to={"subdomains": "true"}),
        "server.hsts.subdomains",
        'did you mean "include_subdomains"?',
    ),
    (setting("store", "url", to="postgres://host"), "store.url", "is no URL of a store"),
    (setting("store", "url", to="redis://host:port"), "store.url", "is no URL of a store"),
    (setting("store", "url", to="rediss+sentinel://host,other"), "store.url", "names no service"),
    (setting("store", "url", to="rediss+sentinel://host,other/bank/x"), "store.url", "names no database"),
    (setting("store", "url", to="rediss+cluster://host,other/1"), "store.url", "has only one"),
    (setting("store", "url", to="rediss+cluster://host:port"), "store.url", "a port that is no port"),
    (setting("store", "url", to="redis:///0"), "store.url", "names no host"),
    (setting("store", "url", to="redis://host/abc"), "store.url", "names no database"),
    (setting("store", "url", to="redis://host/0/1"), "store.url", "names no database"),
    (setting("store", "url", to="unix:///run/redis.sock?db=first"), "store.url", "names no database"),
    (setting("store", "url", to="unix:redis.sock"), "store.url", "names no socket"),
    (setting("store", "url", to="redis://host:0/0"), "store.url", "names port 0"),
    (setting("store", "url", to="redis://host:65536/0"), "store.url", "is no URL of a store"),
    (
        setting("store", "url", to="redis://host/0?decode_responses=true"),
        "store.url",
        "has an option that means nothing here",
    ),
    (
        setting("store", to={"url": "rediss://host/0", "client_cert_file": "/c"}),
        "store.client_key_file",
        "is missing",
    ),
    (
        setting("store", to={"url": "rediss://host/0", "client_key_file": "/k"}),
        "store.client_cert_file",
        "is missing",
    ),
    (setting("store", "deadline", to="9s"), "store.deadline", "is out of bounds"),
    (setting("store", "near_cache_for", to="31s"), "store.near_cache_for", "is out of bounds"),
    (setting("sessions", "idle", to="9h"), "sessions.idle", "is longer than `sessions.absolute`"),
    (setting("sessions", "absolute", to="10d"), "sessions.absolute", "is out of bounds"),
    (setting("assertions", "issuer", to="http://gateway.example.si"), "assertions.issuer", "is not `https`"),
    (setting("assertions", "issuer", to="gateway"), "assertions.issuer", "is no URL of an issuer"),
    (setting("assertions", "lifetime", to="1h"), "assertions.lifetime", "is out of bounds"),
    (
        setting("rekono", "issuer", to="https://idp.example.si/?x=1"),
        "rekono.issuer",
        "is no URL of an issuer",
    ),
    (setting("rekono", "issuer", to="http://idp.example.si/"), "rekono.issuer", "is not `https`"),
    (setting("rekono", "scopes", to=["profile"]), "rekono.scopes", "lack `openid`"),
    (
        setting("rekono", "client_authentication", to="private_key_jwt"),
        "rekono.client_key_file",
        "is missing: `private_key_jwt` needs it",
    ),
    (setting("rekono", "help_url", to="javascript:alert(1)"), "rekono.help_url", "is no link to a page"),
    (setting("rekono", "register_url", to="//host"), "rekono.register_url", "is no link to a page"),
    (setting("server", "default_portal", to="acg"), "server.default_portal", "is no portal"),
    (acq("url", "http://acq.example.si"), "portals.acq.url", "is not `https`"),
    (acq("url", "https://acq..example.si"), "portals.acq.url", "host is malformed"),
    (acq("url", "https://acq.example.si:99999"), "portals.acq.url", "is no URL of a portal"),
    (
        setting(
            "portals", "b2b", to={"name": "B", "url": "https://ACQ.example.si:443/", "upstream": "http://h"}
        ),
        "portals.b2b.url",
        "has the same host as portal acq",
    ),
    (acq("upstream", "http://localhost:8090"), "portals.acq.upstream", "is the gateway itself"),
    (acq("upstream", "unix:/run/authproxy-edge.sock"), "portals.acq.upstream", "is the gateway itself"),
    (acq("upstream", "http://host:port"), "portals.acq.upstream", "is no URL of a server"),
    (acq("upstream_reuse", "always"), "portals.acq.upstream_reuse", "is not valid"),
    (acq("upstream_tls", {"key_file": "/k"}), "portals.acq.upstream_tls", "has only one of"),
    (acq("sign_in", ["rekono", "acnlb"]), "portals.acq.sign_in", "no section `acnlb`"),
    (
        acq("routes", [{"path": "/a"}, {"path": "/b", "sign_in": ["acnlb"]}]),
        "portals.acq.routes[1].sign_in",
        "by which nobody can sign in at this portal",
    ),
    (acq("step_up", {"methods": ["recovery"]}), "portals.acq.step_up.methods", "is recovery codes alone"),
    (
        acq("step_up", {"methods": ["certificate", "sms"]}),
        "portals.acq.step_up.methods",
        "what these methods need is not set up",
    ),
    (acq("step_up", {"methods": ["sms", "voice"]}), "portals.acq.step_up.methods[1]", "is not valid"),
    (acq("step_up", {"methods": []}), "portals.acq.step_up.methods", "is empty"),
    (acq("step_up", {"max_age": 0, "shows": ["a: b"]}), "portals.acq.step_up.shows", "is not valid"),
    (acq("step_up", {"method": ["push"]}), "portals.acq.step_up.method", 'did you mean "methods"?'),
    (
        acq("routes", [{"path": "/a", "step_up": {"methods": ["recovery"]}}]),
        "portals.acq.routes[0].step_up.methods",
        "is recovery codes alone",
    ),
    (
        acq("routes", [{"path": "/a", "required_claims": ["shoe_size"]}]),
        "portals.acq.routes[0].required_claims[0]",
        "is not valid",
    ),
    (
        setting("rekono", "issuer", to="https://login.example.si/realm"),
        "rekono.step_up_by",
        "is missing: the issuer is not Rekono's own",
    ),
    (
        setting("rekono", "issuer", to="http://localhost:8081/op/"),
        "rekono.step_up_by",
        "is missing: the issuer is not Rekono's own",
    ),
    (
        setting("rekono", "step_up_by", to={"amr": [], "acr": []}),
        "rekono.step_up_by",
        "names no word that counts",
    ),
    (setting("rekono", "step_up_by", to="sometimes"), "rekono.step_up_by", "is not valid"),
    (
        setting("rekono", "step_up_by", to={"amr": ["mfa"], "arc": ["x"]}),
        "rekono.step_up_by.arc",
        "is no name that can be used here",
    ),
    (
        many(setting("rekono", "step_up_by", to="never"), acq("step_up", {"methods": ["rekono"]})),
        "portals.acq.step_up.methods",
        "does not count",
    ),
    (acq("idle", "9h"), "portals.acq.idle", "is longer than `sessions.absolute`"),
    (acq("idle", "0"), "portals.acq.idle", "is nothing at all"),
    (
        acq("routes", [{"path": "/a", "methods": ["get"]}]),
        "portals.acq.routes[0].methods[0]",
        'did you mean "GET"?',
    ),
    (
        acq("routes", [{"path": "/a", "methods": ["TRACE"]}]),
        "portals.acq.routes[0].methods[0]",
        "is no method that is passed on",
    ),
    (acq("methods", ["GET", "purge"]), "portals.acq.methods[1]", 'did you mean "PURGE"?'),
    (acq("methods", ["GET", "LINK"]), "portals.acq.methods[1]", "is no method that is passed on"),
    (acq("methods", ["GET", "COPY"]), "portals.acq.methods[1]", "is a method of WebDAV"),
    (acq("methods", []), "portals.acq.methods", "is empty"),
    (acq("preflight", True), "portals.acq.preflight", "is not valid"),
    (
        acq("headers", {"subject": "SM_USER", "name": "sm-user"}),
        "portals.acq.headers.name",
        "is the same header as `subject`",
    ),
    (acq("headers", {"name": "Content_Length"}), "portals.acq.headers.name", "has a meaning of its own"),
    (acq("routes", [{"path": "/.authproxy/login"}]), "portals.acq.routes[0].path", "is the gateway's own"),
    *(
        (acq("routes", [{"path": path}]), "portals.acq.routes[0].path", "covers no request")
        for path in ("/a/../b", "/a%2Fb", "/%61", "/a//b", "/a;b", "/a?b=c", "/č", "/a b", "//a", "a", "^/a")
    ),
    *(
        (acq("routes", [{"path": path}]), "portals.acq.routes[0].path", "is a pattern of another language")
        for path in (
            "/*.do",
            "/(a|b)",
            "/:id/pay",
            "/a$",
            "/a/.*",
            "/a?",
            "/[0-9]+",
            "/a/**/b",
            "/a*",
            "/{id}",
        )
    ),
    (acq("routes", [{"path": "/a/"}]), "portals.acq.routes[0].path", "leaves `/a` itself to other rules"),
    (
        acq("routes", [{"path": "/a%21"}]),
        "portals.acq.routes[0].path",
        "is not written as paths are compared",
    ),
    (
        many(acq("paths", "ignore_case"), acq("routes", [{"path": "/stra%C3%9Fe"}])),
        "portals.acq.routes[0].path",
        "take for different ones",
    ),
    (
        many(acq("paths", "windows"), acq("routes", [{"path": "/a./b"}])),
        "portals.acq.routes[0].path",
        "take for different ones",
    ),
    (acq("paths", "Windows"), "portals.acq.paths", "is not valid"),
    *(
        (acq("headers", {"name": name}), "portals.acq.headers.name", "is no header name")
        for name in ("_X_Auth", "X Auth", "X-Auth:", "1X", "X-Imé")
    ),
    *(
        (acq("headers", {"name": name}), "portals.acq.headers.name", "has a meaning of its own")
        for name in ("Host", "cookie", "X-Forwarded-User", "Connection")
    ),
    (acq("headers", {"name": "x-auth-EMAIL"}), "portals.acq.headers.email", "is the same header as `name`"),
    *(
        (acq("websocket_origins", [origin]), "portals.acq.websocket_origins[0]", "is no origin")
        for origin in (
            "*",
            "https://*.example.si",
            "acq.example.si",
            "https://acq.example.si/",
            "https://u@acq.example.si",
            "null",
        )
    ),
]


@pytest.mark.parametrize(("spoil", "key", "problem"), ERRORS)
def test_what_contradicts_or_cannot_work_is_an_error(workshop, spoil, key, problem):
    reading = workshop.read(spoil)
    assert [(each.key, each.severity) for each in reading.findings if problem in each.problem] == [
        (key, "error")
    ], reading.findings
    assert reading.settings is None


EVERYTHING_EMPTY = dict.fromkeys(
    ["subject", "name", "email", "tax_number", "method", "level", "step_up", "assertion"], ""
)
WARNINGS = [
    (
        many(
            setting("server", "subrequests", to=["nginx", "caddy", "traefik"]),
            acq("cookies", {"end_with_session": ["JSESSIONID"]}),
        ),
        "portals.acq.cookies.end_with_session",
        "never reach a portal behind caddy or traefik, where nothing marks them",
    ),
    (setting("server", "trusted_proxies", to=["::/0"]), "server.trusted_proxies[0]", "trusts everybody"),
    (
        setting("server", "trusted_proxies", to=["10.1.2.3", "10.1.2.0/23"]),
        "server.trusted_proxies[1]",
        "holds more than front proxies",
    ),
    (
        setting("server", "trusted_proxies", to=["fd00::/63"]),
        "server.trusted_proxies[0]",
        "holds more than front proxies",
    ),
    (
        many(
            setting("server", "trusted_proxies", to=["10.1.2.0/24", "10.1.3.0/24"]),
            acq("upstream", "https://10.1.3.9:8443"),
        ),
        "server.trusted_proxies[1]",
        "also holds 10.1.3.9, the server of portal acq",
    ),
    (
        setting("server", "unix_socket_mode", to="666"),
        "server.unix_socket_mode",
        "every user of this machine",
    ),
    (
        setting("server", "limits", "connections_per_address", to=20_000),
        "server.limits.connections_per_address",
        "not less than `connections`",
    ),
    (
        setting("server", "limits", "connections_per_session", to=600),
        "server.limits.connections_per_session",
        "not less than `upstream_connections`",
    ),
    (setting("store", "url", to="memory://"), "store.url", "keeps sessions in this process"),
    (setting("store", "url", to="rediss://:secret-word@host"), "store.url", "holds a password"),
    (setting("store", "url", to="rediss+cluster://:secret-word@host"), "store.url", "holds a password"),
    (setting("store", "url", to="rediss+sentinel://host,other/bank"), "store.url", "fewer than three"),
    (setting("store", "sentinel_username", to="gateway"), "store.sentinel_username", "has no effect"),
    (setting("rekono", "prompt", to="login"), "rekono.prompt", "makes Rekono ignore `rekono.max_age`"),
    (setting("rekono", "step_up_by", to="never"), "rekono.step_up_by", "leaves nobody a first proof"),
    (
        many(
            setting("rekono", "max_age", to=None),
            setting("rekono", "prompt", to="login"),
            acq("step_up", {"max_age": "10m"}),
        ),
        "portals.acq.step_up.max_age",
        "is only met by sign-ins that are requested as a proof",
    ),
    (
        many(
            setting("rekono", "max_age", to=None),
            setting("rekono", "prompt", to="login"),
            acq("routes", [{"path": "/a", "step_up": {"methods": ["rekono"], "max_age": "10s"}}]),
        ),
        "portals.acq.routes[0].step_up.max_age",
        "the provider need not state when",
    ),
    (setting("server", "listen", to=["127.0.0.1:8080"]), "portals.acq.url", "neither ends TLS"),
    (
        acq("routes", [{"path": "/a"}, {"path": "/a/b", "level": "30"}]),
        "portals.acq.routes[1].path",
        "no effect",
    ),
    (
        acq(
            "routes",
            [
                {"path": "/a", "methods": ["GET"]},
                {"path": "/a", "methods": ["POST"]},
                {"path": "/a/b", "methods": ["POST", "GET"]},
            ],
        ),
        "portals.acq.routes[2].path",
        "no effect",
    ),
    (
        acq("routes", [{"path": "/x/*"}, {"path": "/x", "methods": ["GET"]}, {"path": "/x/7/ack"}]),
        "portals.acq.routes[2].path",
        "earlier ones cover every request of it (`routes[0]` and `routes[1]`)",
    ),
    (
        many(acq("paths", "ignore_case"), acq("routes", [{"path": "/Admin"}, {"path": "/admin/x"}])),
        "portals.acq.routes[1].path",
        "no effect",
    ),
    *(
        (
            acq("routes", [{"path": "/a"}, {"path": "/a/b", **more}]),
            "portals.acq.routes[1].path",
            "and demand less",
        )
        for more in (
            {"level": "30"},
            {"required_claims": ["email"]},
            {"step_up": {"max_age": "5m"}},
            {"access": "deny"},
            {"roles": ["clerk"]},
            {"networks": ["10.0.0.0/8"]},
        )
    ),
    (
        acq("routes", [{"path": "/a", "machines": {"keys": True}}, {"path": "/a/b"}]),
        "portals.acq.routes[1].path",
        "and demand less",
    ),
    (
        acq("routes", [{"path": "/a", "step_up": {"required": False}}, {"path": "/a/b"}]),
        "portals.acq.routes[1].path",
        "and demand less",
    ),
    (
        acq("routes", [{"path": "/x/*"}]),
        "portals.acq.routes[0].path",
        "leaves `/x` itself to the portal's own",
    ),
    (
        acq("routes", [{"path": "/*/**"}]),
        "portals.acq.routes[0].path",
        "leaves `/` itself to the portal's own",
    ),
    (acq("headers", EVERYTHING_EMPTY), "portals.acq.headers", "are all empty"),
    (
        acq("headers", {"subject": "SM_USER"}),
        "portals.acq.headers.subject",
        "an nginx before the portal drops such a header",
    ),
    (
        acq("routes", [{"path": "/a", "methods": ["PROPFIND", "PURGE"]}]),
        "portals.acq.routes[0].methods",
        "pass none of its methods on",
    ),
    (acq("methods", ["HEAD", "POST"]), "portals.acq.methods", "have `HEAD` without `GET`"),
    (many(acq("methods", ["GET"]), acq("preflight", "pass")), "portals.acq.preflight", "has no effect"),
    (acq("step_up", {"required": False, "max_age": "5m"}), "portals.acq.step_up.required", "have no effect"),
    (
        acq("step_up", {"max_age": 0}),
        "portals.acq.step_up.max_age",
        "a proof of its own for every page, picture and script",
    ),
    (
        acq("step_up", {"shows": ["amount"]}),
        "portals.acq.step_up.shows",
        "has no effect without `max_age: 0`",
    ),
    (
        acq("routes", [{"path": "/a", "step_up": {"required": False, "shows": ["amount"]}}]),
        "portals.acq.routes[0].step_up.required",
        "`shows` have no effect",
    ),
    (acq("step_up", {"max_age": "9h"}), "portals.acq.step_up.max_age", "is longer than `sessions.absolute`"),
    (
        acq("routes", [{"path": "/a", "step_up": {"required": False, "methods": ["push"]}}]),
        "portals.acq.routes[0].step_up.required",
        "have no effect",
    ),
]


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        ("/a?b=c", "`/a`"),
        ("/:id/pay", "`/*/pay`"),
        ("/(a|b)", "`/a` and `/b`, one route each"),
        ("/a//b", "`/a/b`"),
        ("//a", "`/a`"),
        ("/a;b", "`/a`"),
        ("/a%3Bb", "`/a`"),
        ("/%61", "`/a`"),
        ("/č", "`/%C4%8D`"),
        ("/a b", "`/a%20b`"),
        ("/a/../b", ""),
        ("/a/", "`/a`"),
    ],
)
def test_a_path_that_covers_nothing_is_told_with_the_spelling_that_was_meant(workshop, path, spelling):
    assert workshop.finding(acq("routes", [{"path": path}])).valid == spelling


@pytest.mark.parametrize(("spoil", "key", "problem"), WARNINGS)
def test_what_works_but_is_dangerous_or_without_effect_is_a_warning(workshop, spoil, key, problem):
    reading = workshop.read(spoil)
    assert [(each.key, each.severity, problem in each.problem) for each in reading.findings] == [
        (key, "warning", True)
    ], reading.findings
    assert reading.settings is not None


@pytest.mark.parametrize(
    "spoil",
    [
        setting("server", "trusted_proxies", to=["10.1.2.0/24", "192.0.2.1", "fd00::/64"]),
        setting("rekono", "issuer", to="http://localhost:8081/openid-connect-server-webapp/"),
        many(
            acq("methods", ["GET", "PURGE", "QUERY", "OPTIONS"]),
            acq("preflight", "pass"),
            acq("routes", [{"path": "/a", "methods": ["QUERY"]}]),
        ),
        many(acq("webdav", True), acq("routes", [{"path": "/a", "methods": ["COPY", "DELETE"]}])),
        acq("headers", {"preset": "mod_auth_openidc"}),
        setting(
            "server",
            "limits",
            to={
                "connections_per_address": 0,
                "connections_per_session": 0,
                "upstream_streams": 0,
                "body_rate": 0,
            },
        ),
        acq("upstream_reuse", "never"),
        acq("url", "http://acq.localhost:8080"),
        acq("upstream", "unix:/run/acq.sock"),
        acq("idle", "5m"),
        acq("headers", {"email": "", "name": "X-Name"}),
        acq("websocket_origins", ["https://other.example.si", "http://localhost:3000"]),
        acq(
            "routes",
            [
                {"path": "/a/b"},
                {"path": "/a", "methods": ["GET"]},
                {"path": "/a"},
                {"path": "/administer"},
                {"path": "/"},
            ],
        ),
        acq(
            "routes",
            [
                {"path": "/x/*/ack", "methods": ["POST"]},
                {"path": "/x/*", "level": "20"},
                {"path": "/x/**"},
                {"path": "/odata/$metadata"},
                {"path": "/Merchants(5)"},
                {"path": "/v1/jobs:export"},
                {"path": "/%C4%8Dek"},
            ],
        ),
        many(acq("paths", "windows"), acq("routes", [{"path": "/Admin/%C4%8Cek"}, {"path": "/report.aspx"}])),
        many(acq("paths", "ignore_case"), acq("routes", [{"path": "/admin/*"}, {"path": "/Admin"}])),
        acq("name", {"sl": "Portal", "en": "Portal"}),
        acq("step_up", {"required": False}),
        *(
            many(
                setting("rekono", "issuer", to="https://login.example.si/realm"),
                setting("rekono", "step_up_by", to=by),
            )
            for by in ("always", {"amr": ["mfa", "otp"]}, {"acr": ["urn:example:loa:2"], "amr": []})
        ),
        many(setting("rekono", "step_up_by", to="never"), acq("step_up", {"required": False})),
        setting("rekono", "verified_when_absent", to={"email": "false", "phone_number": "true"}),
        acq("step_up", {"methods": ["push", "sms", "certificate", "rekono"], "max_age": "5m"}),
        acq(
            "routes",
            [
                {
                    "path": "/a",
                    "step_up": {"methods": ["push"], "max_age": 0, "shows": ["amount", "payee[0].name"]},
                }
            ],
        ),
        acq(
            "routes",
            [
                {
                    "path": "/a",
                    "sign_in": ["rekono"],
                    "required_claims": ["phone_number"],
                    "level": "30",
                    "step_up": {"methods": ["totp"], "max_age": "8h"},
                }
            ],
        ),
    ],
)
def test_what_is_right_is_left_alone(workshop, spoil):
    assert workshop.read(spoil).findings == ()


@pytest.mark.parametrize("key", ["changeme", base64.b64encode(bytes(32)).decode(), "00" * 32])
def test_a_key_that_can_be_guessed_is_refused_without_showing_it(workshop, key):
    workshop.keys_file.chmod(0o600)
    workshop.keys_file.write_text(key)
    finding = workshop.finding()
    assert finding.key == "sessions.keys[0]"
    assert "openssl rand -base64 32" in finding.problem
    assert key not in str(finding)


def test_the_same_key_twice_is_refused(workshop):
    key = os.urandom(32)
    workshop.keys_file.chmod(0o600)
    workshop.keys_file.write_text(f"{key.hex()}\n{base64.b64encode(key).decode()}\n")
    finding = workshop.finding()
    assert (finding.key, finding.problem) == ("sessions.keys[1]", "is the same key as an earlier one")


@pytest.mark.parametrize(
    ("secret", "severity"),
    [
        ("changeme", "error"),
        ("<secret>", "error"),
        ("short-one", "warning"),
        (" padded-with-white-space", "warning"),
    ],
)
def test_a_weak_client_secret_is_found(workshop, secret, severity):
    workshop.secret_file.chmod(0o600)
    workshop.secret_file.write_text(secret)
    finding = workshop.finding()
    assert (finding.key, finding.severity) == ("rekono.client_secret", severity)


def test_a_password_in_two_places_is_refused(workshop):
    def spoil(settings):
        settings["store"] = {"url": "rediss://:one-word@host", "password_file": str(workshop.secret_file)}

    assert {each.key: each.severity for each in workshop.read(spoil).findings} == {
        "store.url": "warning",
        "store.password": "error",
    }


@pytest.mark.parametrize("kind", ["redis", "rediss+sentinel", "redis+cluster"])
@pytest.mark.parametrize("password", ["one-w/ord", "one-w@ord", "one-w[o]rd", "one-w\u2100rd", "one-w#ord"])
def test_a_password_that_spoils_the_url_is_not_shown(workshop, kind, password):
    def spoil(settings):
        settings["store"] = {"url": f"{kind}://gateway:{password}@host/bank"}

    findings = workshop.read(spoil).findings
    assert findings
    assert not any("one-w" in str(finding) or "rd@" in str(finding) for finding in findings)


def test_credentials_that_are_not_used_are_pointed_out(workshop):
    def spoil(settings):
        settings["rekono"] |= {
            "client_authentication": "private_key_jwt",
            "client_key_file": str(workshop.key_file),
        }

    finding = workshop.finding(spoil)
    assert (finding.key, finding.problem) == ("rekono.client_secret", "has no effect with `private_key_jwt`")
    finding = workshop.finding(setting("rekono", "client_key_file", to=str(workshop.key_file)))
    assert (finding.key, finding.problem) == (
        "rekono.client_key_file",
        "has no effect with `client_secret_post`",
    )


def test_files_for_tls_that_is_not_used_are_pointed_out(workshop):
    workshop.write("ca.pem", certificate(ec.generate_private_key(ec.SECP256R1())))
    assert workshop.finding(setting("store", "ca_file", to="ca.pem")).problem.startswith("has no effect")
    assert workshop.read(setting("store", to={"url": "valkeys://host/3", "ca_file": "ca.pem"})).findings == ()
    assert workshop.finding(acq("upstream_tls", {"ca_file": "ca.pem"})).problem.startswith("has no effect")


def pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def certificate(key):
    return host_certificate("acq.example.si", key=key).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no private key in PEM form"),
        (
            b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n" % ((b"PRIVATE KEY",) * 2),
            "holds no private key in PEM form",
        ),
        (pem(ec.generate_private_key(ec.SECP384R1())), "is no key for `ES256`"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "is no key for `ES256`"),
        (pem(ed448.Ed448PrivateKey.generate()), "is no key for `ES256`"),
        (pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")), "is encrypted"),
    ],
)
def test_a_key_that_cannot_sign_assertions_is_told_how_to_make_one(workshop, content, problem):
    workshop.key_file.write_bytes(content)
    finding = workshop.finding()
    assert (finding.key, finding.severity) == ("assertions.current_key_file", "error")
    assert finding.problem.startswith(problem)
    assert "openssl genpkey" in finding.valid


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("EdDSA", ed25519.Ed25519PrivateKey.generate()), ("RS256", rsa.generate_private_key(65537, 3072))],
)
def test_the_key_must_be_for_the_algorithm(workshop, algorithm, key):
    workshop.key_file.write_bytes(pem(key))
    assert workshop.read(setting("assertions", "algorithm", to=algorithm)).findings == ()
    assert workshop.finding().problem == "is no key for `ES256`"


def test_a_weak_rsa_key_signs_nothing(workshop):
    workshop.key_file.write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    assert workshop.finding(setting("assertions", "algorithm", to="RS256")).problem == "is no key for `RS256`"


@pytest.mark.parametrize(
    ("mode", "whom", "severity"),
    [
        (0o604, "every user", "error"),
        (0o620, "a group", "error"),
        (0o640, "a group", "warning"),
        (0o602, "every user", "error"),
    ],
)
def test_a_signing_key_that_others_may_touch_is_found(workshop, mode, whom, severity):
    workshop.key_file.chmod(mode)
    finding = workshop.finding()
    assert (finding.severity, finding.problem) == (severity, f"is open to {whom} (mode {mode:03o})")


def test_keys_of_the_ring_that_are_not_made_yet_are_no_trouble(workshop):
    assert workshop.read(setting("assertions", "next_key_file", to="next.pem")).findings == ()


def test_keys_of_the_ring_are_looked_at_once_they_are_there(workshop):
    workshop.write("next.pem", b"no key")
    assert (
        workshop.finding(setting("assertions", "next_key_file", to="next.pem")).key
        == "assertions.next_key_file"
    )


def test_one_file_in_two_places_of_the_ring_is_refused(workshop):
    finding = workshop.finding(setting("assertions", "retiring_key_file", to=str(workshop.key_file)))
    assert (finding.key, finding.problem) == (
        "assertions.retiring_key_file",
        "names the same file as another key of the ring",
    )


def tls(workshop, *, key_mode=0o600, other_key=False):
    key = ec.generate_private_key(ec.SECP256R1())
    workshop.write("tls.pem", certificate(key))
    workshop.write(
        "tls.key", pem(ec.generate_private_key(ec.SECP256R1()) if other_key else key), mode=key_mode
    )
    return setting("server", "tls", to={"certificate_file": "tls.pem", "key_file": "tls.key"})


def test_a_certificate_and_its_key_are_a_pair(workshop):
    assert workshop.read(tls(workshop)).findings == ()
    finding = workshop.finding(tls(workshop, other_key=True))
    assert (finding.key, finding.problem) == (
        "server.tls.key_file",
        "is not the key of the (first) certificate",
    )


def test_a_tls_key_for_a_group_is_a_warning_because_deployments_do_that(workshop):
    finding = workshop.finding(tls(workshop, key_mode=0o640))
    assert (finding.key, finding.severity) == ("server.tls.key_file", "warning")


def test_a_key_for_private_key_jwt_has_2048_bits(workshop):
    workshop.write("client.pem", pem(rsa.generate_private_key(65537, 1024)))

    def spoil(settings):
        settings["rekono"] = {
            "client_id": "x",
            "client_authentication": "private_key_jwt",
            "client_key_file": "client.pem",
        }

    assert workshop.finding(spoil).problem == "is an RSA key of only 1024 bits"


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot be read: No such file"), (b"text", "holds no certificate in PEM form")],
)
def test_a_certificate_authority_must_be_there(workshop, content, problem):
    if content is not None:
        workshop.write("ca.pem", content)
    finding = workshop.finding(setting("rekono", "ca_file", to="ca.pem"))
    assert finding.key == "rekono.ca_file"
    assert finding.problem.startswith(problem)


def test_the_certificate_that_a_portal_asks_for_is_looked_at(workshop):
    def spoil(settings):
        tls(workshop, other_key=True)({})
        settings["portals"]["acq"] |= {
            "upstream": "https://acq.internal",
            "upstream_tls": {"certificate_file": "tls.pem", "key_file": "tls.key"},
        }

    assert workshop.finding(spoil).key == "portals.acq.upstream_tls.key_file"


def test_a_certificate_for_the_store_and_its_key_are_a_pair(workshop):
    workshop.write("tls.pem", certificate(ec.generate_private_key(ec.SECP256R1())))
    workshop.write("tls.key", pem(ec.generate_private_key(ec.SECP256R1())))
    spoil = setting(
        "store", to={"url": "rediss://host", "client_cert_file": "tls.pem", "client_key_file": "tls.key"}
    )
    assert workshop.finding(spoil).key == "store.client_key_file"


@pytest.mark.parametrize(
    ("file", "problem"),
    [("nowhere/audit.log", "is in a directory that does not exist"), (".", "cannot be written")],
)
def test_an_audit_file_must_be_one_that_can_be_written(workshop, file, problem):
    assert workshop.finding(setting("telemetry", "audit_file", to=file)).problem == problem
    assert workshop.read(setting("telemetry", "audit_file", to="audit.log")).findings == ()


def test_a_portal_for_members_cannot_live_on_a_store_in_the_process(workshop):
    def spoil(settings):
        settings["portals"]["acq"]["members"] = "register"
        settings["store"] = {"url": "memory://"}

    found = {each.key: (each.severity, each.problem) for each in workshop.read(spoil).findings}
    assert found["portals.acq.members"] == (
        "warning",
        "lets nobody in: a store in this process takes no register of people",
    )


def test_a_proof_that_no_level_of_trust_allows_is_found(workshop):
    def spoil(settings):
        settings["step_up"] = {"levels": {"10": ["totp"], "20": ["totp"], "30": ["push"]}}
        settings["portals"]["acq"]["routes"] = [
            {"path": "/high", "level": "30", "step_up": {"methods": ["totp"]}},
            {"path": "/medium", "level": "20", "step_up": {"methods": ["totp"]}},
            {"path": "/rekono", "level": "30", "step_up": {"methods": ["rekono"]}},
        ]

    finding = workshop.finding(spoil)
    assert (finding.key, finding.severity) == ("portals.acq.routes[0].step_up.methods", "error")
    assert (
        finding.problem == "can be met by nobody: `step_up.levels` allows none of them to people of level 30"
    )
    assert finding.valid == "push, rekono"


def test_a_section_with_faults_of_its_own_blames_no_portal(workshop):
    def spoil(settings):
        settings["step_up"] = {"codes": {"digits": 3}}
        settings["portals"]["acq"]["step_up"] = {"methods": ["sms"]}

    assert workshop.finding(spoil).key == "step_up.codes.digits"


def test_a_proof_for_each_form_where_no_form_is_kept_is_pointed_out(workshop):
    def spoil(settings):
        acq("routes", [{"path": "/a", "step_up": {"max_age": 0}}])(settings)
        settings["step_up"] = {"held": {"size": 0}}

    [finding] = workshop.read(spoil).findings
    assert (finding.key, finding.severity) == ("portals.acq.routes[0].step_up.max_age", "warning")
    assert "`step_up.held.size` is 0" in finding.problem


@pytest.mark.parametrize(("missing", "given"), [("user", "password"), ("password", "user")])
def test_a_mail_server_needs_name_and_password_or_neither(workshop, missing, given):
    mail = {"host": "mail.example.si", "sender": "prehod@example.si", given: "a-word"}
    findings = workshop.read(lambda settings: settings.update(step_up={"mail": mail})).findings
    assert [finding.key for finding in findings if finding.severity == "error"] == [f"step_up.mail.{missing}"]


def test_the_database_of_a_store_may_stand_in_its_url(workshop):
    assert workshop.read(setting("store", "url", to="unix:///run/redis.sock?db=3")).findings == ()


def test_a_proof_that_only_the_portal_demands_is_not_looked_for_at_its_routes(workshop):
    def spoil(settings):
        settings["rekono"]["max_age"] = None
        settings["portals"]["acq"] |= {
            "step_up": {"required": True, "methods": ["rekono"], "max_age": "5m"},
            "routes": [{"path": "/free"}],
        }

    assert "portals.acq.step_up.max_age" in {each.key for each in workshop.read(spoil).findings}


def test_the_key_of_front_proxies_is_no_key_of_the_gateway_and_stands_there_once(workshop):
    key = base64.b64encode(os.urandom(32)) + b"\n"
    own = [workshop.keys_file.read_bytes(), workshop.audit_key_file.read_bytes()]
    file = workshop.write("subrequest-key", b"".join([*own, key, key]), mode=0o400)
    findings = workshop.read(setting("server", "subrequest_key_file", to=str(file))).findings
    assert [(each.key, each.problem.partition(",")[0]) for each in findings] == [
        ("server.subrequest_key[3]", "is the same key as an earlier one"),
        ("server.subrequest_key[0]", "is also a key of the gateway's own"),
        ("server.subrequest_key[1]", "is also a key of the gateway's own"),
    ]
    file = workshop.write("another", key, mode=0o400)
    assert workshop.read(setting("server", "subrequest_key_file", to=str(file))).findings == ()


@pytest.mark.parametrize("asks", [["nginx", "envoy", "haproxy"], [], list(get_args(FrontProxy))])
def test_cookies_of_one_person_need_no_warning_where_they_are_marked_or_nobody_was_named(workshop, asks):
    spoil = many(setting("server", "subrequests", to=asks), acq("cookies", {"end_with_session": ["SID"]}))
    assert not workshop.read(spoil).findings


def test_the_settings_know_every_front_proxy_by_its_name(workshop):
    settings = workshop.read().settings
    assert settings.server.subrequests == get_args(FrontProxy) == tuple(dialect.name for dialect in ALL)
    settings = workshop.read(setting("server", "subrequests", to=[])).settings
    assert settings.server.subrequests == ()
    finding = workshop.finding(setting("server", "subrequests", to=["nginx", "apache"]))
    assert finding.key == "server.subrequests[1]"

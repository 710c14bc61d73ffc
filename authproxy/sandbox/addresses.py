"""Decides at which address each part of the sandbox is, and writes what depends on it: the gateway's
settings, its registration at the provider, and the lists of addresses for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from authproxy.sandbox.identity_provider.onepass import relying_parties
from authproxy.sandbox.identity_provider.openid.clients import Client
from authproxy.sandbox.outbox.sms_gateway import SANDBOX_CREDENTIALS
from authproxy.sandbox.portals import batches, java_server, windows_server
from authproxy.sandbox.portals.catalogue import PORTAL_IDS
from authproxy.sandbox.portals.description import Description
from authproxy.sandbox.portals.own_sign_in import COOKIE, SIGN_OUT_LINK
from authproxy.sandbox.start_page.application import ListedAddress

CLIENT_ID = "bankart-varni-spletni-prehod"
# A bank's program that hands in batches, as a client of the provider.
PROGRAM_ID, PROGRAM_SECRET, PROGRAM_SCOPE = "paketni-odjemalec", "Paketi-2026!", "paketi"
_PROGRAM_AUDIENCE = "bankart-portali"
AUTHORITY_FOLDER = "certificate-authority"
SMTP_PORT = 8025
START_PORT, PROVIDER_PORT, PHONE_PORT, OUTBOX_PORT, CERTIFICATE_AUTHORITY_PORT = 8088, 8081, 8082, 8083, 8084
CERTIFICATE_PORT, CERTIFICATE_CONFIRMATION_PORT = 8444, 8445
_OPEN: dict[str, object] = {"methods": ["GET", "HEAD"], "access": "public"}
# Forms that need a fresh proof (on bips even a sign-in at the provider a moment ago is not enough), pages
# that are open to everybody, and those for one role.
_ROUTES: dict[str, list[dict[str, object]]] = {
    "bips": [
        {
            "path": "/poizvedba",
            "methods": ["POST"],
            "step_up": {"methods": ["push", "totp", "sms", "certificate"], "max_age": "5m"},
        },
        {
            "path": "/placilo",
            "methods": ["POST"],
            "step_up": {"methods": ["push", "totp", "sms"], "max_age": 0, "shows": ["amount", "payee"]},
        },
        {"path": "/porocilo", "timeouts": {"first_byte": "3m"}},
    ],
    "b2b": [{"path": "/oddaja", "methods": ["POST"], "step_up": {"max_age": "5m"}}],
    "bws": [
        *({"path": path, **_OPEN} for path in ("/robots.txt", "/assets", "/pomoc", "/slog.css")),
        {"path": windows_server.ADMINISTRATION, "roles": ["skrbnik"]},
        {"path": batches.PATH, "machines": {"tokens": True, "keys": True, "scopes": [PROGRAM_SCOPE]}},
    ],
}
# What the gateway must know of the servers on which two portals run.
_SERVERS: dict[str, dict[str, object]] = {
    "bips": {
        "cookies": {"end_with_session": [java_server.COOKIE]},
        "activity": ["requests", "streams"],
    },
    "bws": {"preserve_host": False, "paths": "windows", "activity": ["requests", "websocket_messages"]},
}
# Portals with payments on the screen.
_SHORT_IDLE = frozenset({"acq", "b2b", "bips"})


def upstream_port(portal_id: str) -> int:
    """Port of the portal itself, before the offset."""
    return 8101 + PORTAL_IDS.index(portal_id)


def idle(portal_id: str) -> timedelta:
    """Idle time at the portal."""
    return timedelta(minutes=5 if portal_id in _SHORT_IDLE else 15)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The fixed addresses, with all ports moved by `offset`."""

    offset: int = 0

    @property
    def gateway_port(self) -> int:
        return 8080 + self.offset

    @property
    def issuer(self) -> str:
        return f"http://localhost:{PROVIDER_PORT + self.offset}/openid-connect-server-webapp/"

    @property
    def gateway(self) -> str:
        """`iss` of the assertions."""
        return f"http://localhost:{self.gateway_port}"

    @property
    def jwks(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}/.authproxy/jwks.json"

    def portal(self, portal_id: str) -> str:
        return f"http://{portal_id}.localhost:{self.gateway_port}"

    def upstream(self, portal_id: str) -> str:
        return f"http://127.0.0.1:{upstream_port(portal_id) + self.offset}"

    def local(self, port: int) -> str:
        return f"http://localhost:{port + self.offset}"

    @property
    def certificates(self) -> str:
        """Where browsers show a certificate."""
        return f"https://localhost:{CERTIFICATE_PORT + self.offset}"

    @property
    def certificate_confirmation(self) -> str:
        """Where browsers show a certificate to the provider."""
        return f"https://localhost:{CERTIFICATE_CONFIRMATION_PORT + self.offset}"

    @property
    def smtp(self) -> str:
        return f"localhost:{SMTP_PORT + self.offset}"

    @property
    def management(self) -> str:
        return f"127.0.0.1:{8090 + self.offset}"


def used_ports() -> dict[int, str]:
    """Every port of the sandbox before the offset, and what listens there."""
    return {
        8080: "the portals through the gateway",
        8090: "the gateway's management",
        CERTIFICATE_PORT: "certificate sign-in",
        CERTIFICATE_CONFIRMATION_PORT: "certificates at the provider",
        START_PORT: "the start page",
        PROVIDER_PORT: "the provider",
        PHONE_PORT: "the phone",
        OUTBOX_PORT: "the outbox",
        SMTP_PORT: "its mail",
        CERTIFICATE_AUTHORITY_PORT: "the test CA",
        **{upstream_port(portal_id): f"portal {portal_id}" for portal_id in PORTAL_IDS},
    }


def gateway_settings(
    addresses: Addresses, portals: tuple[Description, ...], folder: Path, store_url: str, *, is_verbose: bool
) -> dict[str, object]:
    """The gateway's settings, as an operator would write them."""
    return {
        "server": {
            "listen": [f"127.0.0.1:{addresses.gateway_port}", f"unix:{folder / 'authproxy.sock'}"],
            "management": addresses.management,
            "limits": {"connections": 2000, "upstream_connections": 128},
        },
        "store": {"url": store_url},
        "sessions": {"keys_file": str(folder / "session.keys")},
        "assertions": {
            "issuer": addresses.gateway,
            "current_key_file": str(folder / "assertion-current.pem"),
            "next_key_file": str(folder / "assertion-next.pem"),
            "retiring_key_file": str(folder / "assertion-retiring.pem"),
        },
        "rekono": {
            "issuer": addresses.issuer,
            "client_id": CLIENT_ID,
            "client_secret_file": str(folder / "client.secret"),
            "dashboard_url": addresses.local(PROVIDER_PORT) + "/IdP-RM-Front/chooselogin/rekono.htm",
            "register_url": addresses.local(PROVIDER_PORT) + "/IdP-RM-Front/register/start.htm",
        },
        "acnlb": {
            "url": addresses.certificates,
            "listen": f"127.0.0.1:{CERTIFICATE_PORT + addresses.offset}",
            "tls": {
                "certificate_file": str(folder / "certificate-host.pem"),
                "key_file": str(folder / "certificate-host.key"),
            },
            "root_file": str(folder / AUTHORITY_FOLDER / "root.pem"),
            "sub_ca_file": str(folder / AUTHORITY_FOLDER / "sub.pem"),
            # The authority is on this machine. The gateway only asks public addresses that certificates name,
            # so this address is named here.
            "revocation": {
                "allowed_hosts": [],
                "moved": {
                    addresses.local(CERTIFICATE_AUTHORITY_PORT): addresses.local(CERTIFICATE_AUTHORITY_PORT)
                },
                "sessions_checked_every": "15s",
            },
        },
        "step_up": {
            "sms": {
                "sender": "Bankart",
                "gateways": {
                    "outbox": {
                        "http": {
                            "url": addresses.local(OUTBOX_PORT) + "/sms/send",
                            "authentication": "header",
                            "secret_header": "X-API-Key",
                            "secret": SANDBOX_CREDENTIALS.api_key,
                            "success": {
                                "statuses": [202],
                                "pointer": "/status",
                                "values": ["accepted"],
                                "id_pointer": "/message_id",
                            },
                        },
                    },
                },
            },
            "onepass": {
                "url": addresses.local(PROVIDER_PORT) + relying_parties.ROOT,
                "api_key": relying_parties.SANDBOX_API_KEY,
            },
        },
        "portals": {
            portal.portal_id: {
                "name": portal.name,
                "url": addresses.portal(portal.portal_id),
                "upstream": addresses.upstream(portal.portal_id),
                "idle": f"{int(idle(portal.portal_id).total_seconds() // 60)}m",
                "routes": _ROUTES.get(portal.portal_id, []),
                **_SERVERS.get(portal.portal_id, {}),
                **(_personal(addresses, portal) if portal.own_sign_in is not None else {}),
            }
            for portal in portals
        },
        "machines": {
            "issuer": addresses.issuer,
            "audience": _PROGRAM_AUDIENCE,
            "algorithm": "RS256",
            "jwks_url": addresses.issuer + "jwk",
        },
        # The terminal shows the list of addresses, and the logs only with `--verbose`.
        "telemetry": {
            "audit_file": str(folder / "audit.log"),
            "audit_key_file": str(folder / "audit.key"),
            "access_log": is_verbose,
            "log_level": "info" if is_verbose else "warning",
        },
    }


def _personal(addresses: Addresses, portal: Description) -> dict[str, object]:
    """Settings for a portal that would take the next person at a browser for the one before."""
    return {
        "cookies": {"end_with_session": [COOKIE]},
        "sign_out_url": addresses.upstream(portal.portal_id) + SIGN_OUT_LINK,
        "sign_out_paths": [SIGN_OUT_LINK],
    }


def registration(addresses: Addresses, portals: tuple[Description, ...], secret: str) -> Client:
    """The gateway as a client of the provider: one relying party with a redirect URI for each portal."""
    origins = [addresses.portal(portal.portal_id) for portal in portals]
    return Client(
        client_id=CLIENT_ID,
        client_secret=secret,
        redirect_uris=tuple(f"{origin}/.authproxy/callback/rekono" for origin in origins),
        post_logout_redirect_uris=tuple(f"{origin}/.authproxy/logout" for origin in origins),
        name="Bankart Varni Spletni Prehod",
    )


def program_registration() -> Client:
    """The program as a client of the provider, which gives it tokens of its own."""
    return Client(
        client_id=PROGRAM_ID,
        client_secret=PROGRAM_SECRET,
        redirect_uris=(),
        name="Paketni odjemalec",
        audience=_PROGRAM_AUDIENCE,
    )


def listed(addresses: Addresses, portals: tuple[Description, ...]) -> list[ListedAddress]:
    """The addresses that the start page shows."""
    return [
        *(
            ListedAddress(
                kind="portal",
                url=addresses.portal(portal.portal_id) + "/",
                label=portal.name,
                purpose=portal.purpose,
                users=tuple((user.name, user.password) for user in portal.own_sign_in.users)
                if portal.own_sign_in
                else (),
                ways=tuple(
                    (addresses.portal(portal.portal_id) + way.path, way.label) for way in portal.old_ways
                ),
            )
            for portal in portals
        ),
        ListedAddress(kind="provider", url=addresses.local(PROVIDER_PORT) + "/"),
        ListedAddress(kind="provider_certificates", url=addresses.certificate_confirmation + "/"),
        ListedAddress(kind="phone", url=addresses.local(PHONE_PORT) + "/"),
        ListedAddress(kind="outbox", url=addresses.local(OUTBOX_PORT) + "/"),
        ListedAddress(kind="mail", url=f"smtp://{addresses.smtp}"),
        ListedAddress(kind="certificate_authority", url=addresses.local(CERTIFICATE_AUTHORITY_PORT) + "/"),
        ListedAddress(kind="certificate_sign_in", url=addresses.certificates + "/"),
        ListedAddress(kind="management", url=f"http://{addresses.management}/readyz"),
        *(
            ListedAddress(
                kind="portal_itself", url=addresses.upstream(portal.portal_id) + "/", label=portal.portal_id
            )
            for portal in portals
        ),
    ]


def greeting(
    addresses: Addresses, portals: tuple[Description, ...], *, person: str, password: str
) -> list[str]:
    """Lines for the terminal: addresses, and who can sign in."""
    return [
        f"  Start here           {addresses.local(START_PORT)}/",
        *(f"  {portal.name:<20} {addresses.portal(portal.portal_id)}/" for portal in portals),
        f"  Provider             {addresses.local(PROVIDER_PORT)}/",
        f"  OnePass phone        {addresses.local(PHONE_PORT)}/",
        f"  Outbox (SMS, mail)   {addresses.local(OUTBOX_PORT)}/ and smtp://{addresses.smtp}",
        f"  Test certificates    {addresses.local(CERTIFICATE_AUTHORITY_PORT)}/",
        f"  Certificate sign-in  {addresses.certificates}/ (self-signed: tell the browser to continue)",
        f"  Management           http://{addresses.management}/readyz",
        "",
        f"  Sign in as           {person}, password {password}",
        *(
            f"  {'':20} {portal.name} then asks for {user.name}, password {user.password}"
            for portal in portals
            if portal.own_sign_in
            for user in portal.own_sign_in.users
        ),
    ]

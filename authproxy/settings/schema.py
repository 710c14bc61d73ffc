"""The schema of the settings file: every key with its type, default and description. The reference in
config/README.md is generated from it.

Durations are seconds or text such as `90s`, `15m`, `8h`; sizes are bytes or text such as `32KiB`, `10MiB`.
Unknown keys are errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field

from authproxy.access.header_names import Encoding, Preset
from authproxy.access.path_readings import Paths
from authproxy.access.routes import Activity, Claim, Members, RouteAccess
from authproxy.identity.assurance import Level, SignInMethod, StepUpMethod
from authproxy.identity.member import ROLE
from authproxy.settings.certificates import AcnlbSettings
from authproxy.settings.step_up import StepUpSettings
from authproxy.settings.value_types import (
    Duration,
    File,
    Form,
    HeaderName,
    PortalId,
    Secret,
    Size,
    Telephone,
    Text,
    TextOrFile,
    TlsSettings,
    unless_off,
)
from authproxy.settings.values import MANAGEMENT

Tolerated = Literal["bare_lf", "equal_content_lengths", "padded_chunk_sizes", "control_characters"]
_STRIPPED = r"^[!#$%&'+.^_`|~0-9A-Za-z-]+\*?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRateSettings:
    """Requests of each kind that one address (IPv6: one network of 64 bits) may send per minute. More are
    answered 429. 0 for no limit."""

    sign_ins: Annotated[int, Field(ge=0, description="Sign-ins that are begun.")] = 600
    callbacks: Annotated[
        int,
        Field(
            ge=0,
            description="Callbacks of a sign-in or of a proof that is made elsewhere, and certificates "
            "that browsers show.",
        ),
    ] = 600
    logout_tokens: Annotated[
        int,
        Field(ge=0, description="Invalid logout tokens. Valid ones are not limited."),
    ] = 600
    codes: Annotated[
        int,
        Field(
            ge=0,
            description="Requests for a code or notification, answers to them, and steps of adding a method.",
        ),
    ] = 600
    machines: Annotated[
        int,
        Field(ge=0, description="Access tokens and API keys that are refused. Valid ones are not limited."),
    ] = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much the gateway accepts at a time."""

    head_size: Annotated[
        Size, Field(description="Request head in bytes, with the request line; more is answered 431.")
    ] = 32 * 1024
    target_size: Annotated[
        Size,
        Field(
            description="Request target in bytes; more is answered 414. The callback of a sign-in may "
            "use all of `head_size`."
        ),
    ] = 8 * 1024
    header_count: Annotated[
        int, Field(ge=10, description="Header fields of a request; more is answered 431.")
    ] = 100
    body_size: Annotated[
        Size, Field(description="Request body in bytes; more is answered 413. 0 for no limit.")
    ] = 0
    body_rate: Annotated[
        Size,
        Field(
            description="Bytes per second that a request's body must reach on average. A slower one is "
            "answered 408 after `timeouts.body`. 0 for no limit."
        ),
    ] = 256
    connections: Annotated[
        int, Field(ge=1, description="Client connections at a time; further ones are closed at once.")
    ] = 20_000
    connections_per_address: Annotated[
        int,
        Field(
            ge=0,
            description="Connections of one client address at a time; behind a trusted proxy, requests "
            "of one client address. An IPv6 network of 64 bits counts as one address. More are answered "
            "503 with `Retry-After`. 0 for no limit.",
        ),
    ] = 2_000
    connections_per_session: Annotated[
        int,
        Field(
            ge=0,
            description="Requests, streams and WebSockets at a time of one session to its portal, of one "
            "program, or of one address without a session (public routes, preflights); more are answered "
            "503 with `Retry-After`. 0 for no limit.",
        ),
    ] = 128
    upstream_connections: Annotated[
        int, Field(ge=1, description="Connections to one portal at a time; further requests wait.")
    ] = 512
    upstream_streams: Annotated[
        int,
        Field(
            ge=0,
            description="Connections to one portal in addition to `upstream_connections`, for "
            "WebSockets, event streams, and transfers of more than ten seconds. Further ones count as "
            "`upstream_connections`.",
        ),
    ] = 2_048
    per_minute: RequestRateSettings = field(default_factory=RequestRateSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutSettings:
    """How long the gateway waits, and what it answers then."""

    head: Annotated[
        Duration, Field(description="From the first byte of a request to the end of its head (408).")
    ] = timedelta(seconds=10)
    idle: Annotated[Duration, Field(description="A client connection without a request.")] = timedelta(
        seconds=75
    )
    body: Annotated[Duration, Field(description="Between two pieces of a request's or an answer's body.")] = (
        timedelta(seconds=60)
    )
    connect: Annotated[Duration, Field(description="Connecting to a portal (504).")] = timedelta(seconds=5)
    first_byte: Annotated[
        Duration,
        Field(description="From the end of a request to the first byte of the portal's answer (504)."),
    ] = timedelta(seconds=60)
    whole: Annotated[
        Duration,
        Field(
            description="From a request sent to a portal to the end of its answer (504, or the connection is "
            "cut). Event streams and WebSockets are not limited. 0 for no limit."
        ),
    ] = timedelta(0)
    upstream_idle: Annotated[Duration, Field(description="A connection to a portal without a request.")] = (
        timedelta(seconds=30)
    )
    leave: Annotated[
        Duration,
        Field(
            description="After SIGTERM, how long listeners stay open while /readyz already answers 503. "
            "Set `5s` to `10s` if a load balancer asks /readyz: a little longer than it takes to notice."
        ),
    ] = timedelta(0)
    drain: Annotated[
        Duration, Field(description="After `leave`, how long running requests may take to finish.")
    ] = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassingTimeoutSettings:
    """How long the gateway waits for the portal's server. Unset: as above it, and finally as in
    `server.timeouts`."""

    connect: Annotated[Duration | None, Field(description="Connecting to it (504).")] = None
    first_byte: Annotated[
        Duration | None,
        Field(
            description="From the end of a request to the first byte of the answer (504). Proxies in front "
            "of the gateway must wait as long."
        ),
    ] = None
    body: Annotated[Duration | None, Field(description="Between two pieces of an answer's body.")] = None
    whole: Annotated[
        Duration | None,
        Field(
            description="From a request sent to the end of its answer. Event streams and WebSockets are not "
            "limited. 0 for no limit."
        ),
    ] = None
    upstream_idle: Annotated[
        Duration | None,
        Field(description="A connection without a request; less than what the server allows."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassingLimitSettings:
    """How much goes to the portal's server. Unset: as above it, and finally as in `server.limits`."""

    body_size: Annotated[
        Size | None,
        Field(description="Request body in bytes; more is answered 413. 0 for no limit."),
    ] = None
    upstream_connections: Annotated[
        int | None,
        Field(
            ge=1,
            description="Connections at a time; further requests wait. A route with this key has connections "
            "for itself.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HstsSettings:
    """`Strict-Transport-Security` of our pages (RFC 6797). `hsts: off` sends none, for a front proxy that
    sends it."""

    max_age: Annotated[
        Duration, Field(description="How long browsers remember it. 0 makes them forget it.")
    ] = timedelta(days=365)
    include_subdomains: Annotated[
        bool,
        Field(
            description="Whether it also holds for all names below the host. Set false while one of them "
            "has no HTTPS."
        ),
    ] = True


FrontProxy = Literal["nginx", "caddy", "traefik", "haproxy", "envoy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Listeners, and which peers are trusted on them."""

    listen: Annotated[
        tuple[Text, ...],
        Field(
            min_length=1,
            description="Addresses on which browsers and front proxies connect: `address:port`, "
            "`[address]:port` or `unix:/path`.",
        ),
    ] = ("127.0.0.1:8080",)
    tls: Annotated[
        TlsSettings | None,
        Field(description="TLS on the TCP listeners; leave it out behind a front proxy that ends TLS."),
    ] = None
    unix_socket_mode: Annotated[
        str,
        Form("octal permissions"),
        Field(pattern=r"^0?[0-7]{3}$", description="Permissions of Unix sockets, such as `660`."),
    ] = "660"
    unix_socket_group: Annotated[
        Text | int | None,
        Field(
            description="Group of Unix sockets, by name or number; the gateway's user must belong to it. "
            "Unset: the user's own group."
        ),
    ] = None
    management: Annotated[
        Text,
        Field(
            description="Listener for /healthz, /readyz and /metrics, `address:port` or `unix:/path`. Keep "
            "it off the public network."
        ),
    ] = MANAGEMENT
    workers: Annotated[
        Annotated[int, Field(ge=1, le=64)] | Literal["auto"],
        Form("number, or `auto`"),
        Field(
            description="Processes that answer requests, up to 64; `auto`: one for each processor that the "
            "gateway may use. Each may take an equal part of `limits`, also of those for each address and "
            "session. More than one needs a store that they share.",
        ),
    ] = 1
    reload_on_change: Annotated[
        bool,
        Field(
            description="Take the settings over, as `authproxy reload` does, when this file or a file that "
            "it names was written or replaced a second ago."
        ),
    ] = False
    trusted_proxies: Annotated[
        tuple[Text, ...],
        Field(
            description="Addresses or networks of front proxies: their X-Forwarded-For is believed, and "
            "they may ask subrequests. Peers on a Unix socket are trusted because of the socket's "
            "permissions. Empty: nobody is trusted."
        ),
    ] = ()
    subrequests: Annotated[
        tuple[FrontProxy, ...],
        Field(
            description="Front proxies that ask about requests before they pass them on. Questions of others "
            "are refused. Empty if the front proxy passes everything on to the gateway: then only strangers "
            "ask."
        ),
    ] = get_args(FrontProxy)
    subrequest_key: Annotated[
        tuple[Secret, ...],
        Field(
            description="Key that a front proxy shares with the gateway, and by which it proves that a "
            "question is its own (`X-Authproxy-Question`), from any address: 32 random bytes in base64 or "
            "hex. More than one only while it is changed. Empty: such proofs are refused."
        ),
    ] = ()
    subrequests_kept_for: Annotated[
        Duration,
        Field(
            description="For how long nginx with `cached.conf` may repeat the leave to pass to like requests "
            "of one session, in whole seconds. Whoever is revoked or signed out gets in for so much longer. "
            "It asks each time about routes that are `strict`, or that demand networks or a fresh proof. 0: "
            "it asks about all."
        ),
    ] = timedelta(0)
    default_portal: Annotated[
        Text | None,
        Field(
            description="Portal that answers HTTP/1.0 requests without `Host`, such as health checks of "
            "load balancers. Unset: the only portal; with several portals these requests are answered "
            "400."
        ),
    ] = None
    resolvers: Annotated[
        tuple[Text, ...],
        Field(
            description="Name servers (`address` or `address:port`) for the names of portals, store, "
            "provider and gateways. Empty: those of /etc/resolv.conf."
        ),
    ] = ()
    via: Annotated[
        str,
        Form("name in Via"),
        Field(
            pattern=r"^([A-Za-z0-9._-]{1,64}(:[0-9]{1,5})?)?$",
            description="The name in `Via` on forwarded requests and answers (RFC 9110 §7.6.3). By it "
            "the gateway notices that a request goes in circles, so gateways behind each other need "
            "different names. Some portals do not compress answers to requests with `Via` (nginx: "
            "`gzip_proxied`). Empty: no `Via`.",
        ),
    ] = "authproxy"
    hsts: Annotated[HstsSettings | None, BeforeValidator(unless_off)] = field(default_factory=HstsSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    timeouts: TimeoutSettings = field(default_factory=TimeoutSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """The store of sessions and of everything else that instances share."""

    url: Annotated[
        Text,
        Field(
            description="`redis://…` or `valkey://…`, with TLS `rediss://…` or `valkeys://…`, "
            "`unix:///path?db=0`, or `memory://` (one process; sessions are lost at its end). "
            "`redis+sentinel://host:26379,host:26379/service/0` names Sentinels that know the primary, "
            "`redis+cluster://host:6379,host:6379` some nodes of a cluster; with TLS `rediss+…`."
        ),
    ] = "redis://127.0.0.1:6379/0"
    allows_plaintext: Annotated[
        bool,
        Field(
            description="Whether `redis://` may lead to another machine, and Sentinels and clusters without "
            "TLS too. Sessions and the password can then be read in transit."
        ),
    ] = False
    username: Annotated[Text | None, Field(description="User of the store's access control list.")] = None
    password: Annotated[Secret | None, Field(description="Password of the store.")] = None
    sentinel_username: Annotated[
        Text | None, Field(description="User of the Sentinels' own access control list.")
    ] = None
    sentinel_password: Annotated[
        Secret | None,
        Field(description="Password of the Sentinels, if they have one. They never get `password`."),
    ] = None
    ca_file: Annotated[
        File | None, Field(description="Certificate authority that must have issued the store's certificate.")
    ] = None
    client_cert_file: Annotated[
        File | None,
        Field(description="Certificate (with chain) for a store that asks for one; needs TLS."),
    ] = None
    client_key_file: Annotated[File | None, Field(description="Private key of that certificate.")] = None
    deadline: Annotated[
        Duration, Field(description="Time limit of one question to the store, retries included.")
    ] = timedelta(milliseconds=800)
    forgives: Annotated[
        Duration,
        Field(
            description="Time in which the store takes no writes does not count as idle time, up to this "
            "much, because activity cannot be recorded then. 0 switches this off."
        ),
    ] = timedelta(minutes=10)
    durable: Annotated[
        bool,
        Field(
            description="Whether a replica must have received a revocation, a block or the use of a code "
            "before it is answered, so that a failover does not lose it. Without a replica nobody can then "
            "sign in or be signed out."
        ),
    ] = False
    near_cache_for: Annotated[
        Duration,
        Field(
            description="How long a session that was read from the store is used without asking again, while "
            "the store proves that it tells of changes. 0: every request asks."
        ),
    ] = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How long people stay signed in, and the keys that encrypt their records."""

    keys: Annotated[
        tuple[Secret, ...],
        Field(
            min_length=1,
            description="Keys that encrypt records in the store and sign-ins in progress: 32 random "
            "bytes each, in base64 or hex. The first key encrypts, all keys decrypt. With several "
            "instances, first add a new key at the end everywhere, then move it to the front. Drop the "
            "old key after `absolute` and `authproxy people reseal`.",
        ),
    ]
    idle: Annotated[
        Duration,
        Field(
            description="A session ends after this time without a request (portals may set another value)."
        ),
    ] = timedelta(minutes=15)
    absolute: Annotated[
        Duration, Field(description="A session ends this long after the sign-in in any case.")
    ] = timedelta(hours=8)
    attempt: Annotated[
        Duration,
        Field(
            description="How long a sign-in may take. For as long after its end it is known whose a session "
            "was, and a form waits for its person."
        ),
    ] = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionSettings:
    """The signed identity that portals receive."""

    issuer: Annotated[
        Text, Field(description="`iss` of the assertion: the gateway's URL as the portals know it.")
    ]
    algorithm: Annotated[
        Literal["ES256", "EdDSA", "RS256"], Field(description="Signature algorithm of the current key.")
    ] = "ES256"
    current_key_file: Annotated[File, Field(description="PEM private key that signs.")]
    next_key_file: Annotated[
        File | None, Field(description="Key that will sign next; jwks.json publishes it before its use.")
    ] = None
    retiring_key_file: Annotated[
        File | None,
        Field(
            description="Key that signed before; jwks.json publishes it until its assertions have expired."
        ),
    ] = None
    lifetime: Annotated[
        Duration, Field(description="`exp` minus `iat`; an assertion is used for at most half of this time.")
    ] = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNameSettings:
    """Names of the provider's claims, in order of preference. They are looked for in userinfo first, then in
    the ID token. `tax.value` means `value` inside `tax`."""

    tax_number: Annotated[
        tuple[Text, ...],
        Field(
            description="Claims that may contain the tax number, as text or number. Two different values "
            "are refused, and so is an invalid one."
        ),
    ] = ("taxnumber", "taxNumber", "tax_number", "davcna_stevilka", "http://idp.rekono.si/openid/taxnumber")
    level: Annotated[
        tuple[Text, ...],
        Field(
            description="Claims that may contain the level. The first one found counts; if userinfo and "
            "ID token differ, the lower level."
        ),
    ] = ("loa", "acr", "level", "assurance_level")
    name: Annotated[tuple[Text, ...], Field(description="Claims that may contain the full name.")] = ("name",)
    given_name: Annotated[tuple[Text, ...], Field(description="Given name, if there is no full name.")] = (
        "given_name",
    )
    family_name: Annotated[tuple[Text, ...], Field(description="Family name, if there is no full name.")] = (
        "family_name",
    )
    birthdate: Annotated[
        tuple[Text, ...], Field(description="Date of birth: may be required, is not stored.")
    ] = ("birthdate",)
    address: Annotated[
        tuple[Text, ...], Field(description="Address, text or object: may be required, is not stored.")
    ] = ("address",)
    email: Annotated[
        tuple[Text, ...], Field(description="E-mail address; left out unless it is verified.")
    ] = ("email",)
    phone_number: Annotated[
        tuple[Text, ...],
        Field(description="Telephone; if it is verified, the session keeps it, and codes may be sent to it."),
    ] = ("phone_number",)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedWhenAbsentSettings:
    """What counts as verified if the provider sends no `email_verified` or `phone_number_verified`, neither
    in userinfo nor in the ID token. A `false` in either of them always counts."""

    email: Annotated[
        bool | None,
        Field(description="E-mail address. Unset: true for Rekono's own issuer, false for any other."),
    ] = None
    phone_number: Annotated[bool, Field(description="Telephone. Codes may be sent to a verified one.")] = (
        False
    )


_LEVELS: dict[str, Level] = {
    "10": Level.LOW,
    "20": Level.MEDIUM,
    "30": Level.HIGH,
    "low": Level.LOW,
    "medium": Level.MEDIUM,
    "substantial": Level.MEDIUM,
    "high": Level.HIGH,
    "nizka": Level.LOW,
    "srednja": Level.MEDIUM,
    "visoka": Level.HIGH,
    "http://eidas.europa.eu/LoA/low": Level.LOW,
    "http://eidas.europa.eu/LoA/substantial": Level.MEDIUM,
    "http://eidas.europa.eu/LoA/high": Level.HIGH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """The OpenID provider (Rekono); the gateway is its relying party."""

    issuer: Annotated[
        Text,
        Field(
            description="The issuer, exactly as the provider writes it (Rekono's ends with a slash). "
            "`iss` and discovery must be equal to it."
        ),
    ] = "https://idp.rekono.si/openid-connect-server-webapp/"
    client_id: Annotated[Text, Field(description="The provider's name for this relying party.")]
    client_secret: Annotated[
        Secret | None, Field(description="Client secret, for `client_secret_post` and `client_secret_basic`.")
    ] = None
    client_key_file: Annotated[File | None, Field(description="PEM private key, for `private_key_jwt`.")] = (
        None
    )
    client_key_id: Annotated[Text | None, Field(description="The provider's `kid` for that key.")] = None
    client_authentication: Annotated[
        Literal["client_secret_post", "client_secret_basic", "private_key_jwt"],
        Field(description="How the gateway authenticates at the token endpoint."),
    ] = "client_secret_post"
    algorithm: Annotated[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
        Field(
            description="The only accepted signature algorithm of ID tokens. It is never taken from the "
            "token or from discovery."
        ),
    ] = "RS256"
    scopes: Annotated[
        tuple[Text, ...],
        Field(min_length=1, description="Scopes to ask for; `openid` must be one of them."),
    ] = (
        "openid",
        "profile",
        "email",
        "phone",
        "address",
        "http://idp.rekono.si/openid/taxnumber",
    )
    max_age: Annotated[
        Duration | None,
        Field(
            description="How long ago the provider may have authenticated the person; `auth_time` is "
            "checked. Unset: no limit is sent."
        ),
    ] = timedelta(minutes=5)
    step_up_by: Annotated[
        dict[Literal["amr", "acr"], tuple[Text, ...]] | Literal["always", "never"] | None,
        Field(
            description="Which sign-ins at the provider also count as a fresh proof (`rekono`): "
            "`always`, `never`, or those whose ID token contains one of the values listed under `amr` or "
            "`acr`. Without `auth_time` a sign-in is no proof. Unset: `always` for Rekono's own issuer; "
            "for any other issuer it must be set."
        ),
    ] = None
    prompt: Annotated[
        Literal["login", "consent", "select_account"] | None,
        Field(
            description="Sent unchanged. Rekono's software ignores max_age if any prompt is sent: set "
            "only one of them."
        ),
    ] = None
    leeway: Annotated[
        Duration, Field(description="Tolerated difference between the provider's clock and ours.")
    ] = timedelta(seconds=60)
    timeout: Annotated[Duration, Field(description="Time limit of one question to the provider.")] = (
        timedelta(seconds=10)
    )
    ca_file: Annotated[
        File | None,
        Field(description="Certificate authority that must have issued the provider's certificate."),
    ] = None
    logout_tokens: Annotated[
        Literal["standard", "typed", "draft"],
        Field(
            description="Accepted logout tokens. `standard`: those of Back-Channel Logout 1.0. `typed`: "
            "only those with `typ` `logout+jwt`. `draft`: also those without `exp` (providers from "
            "before 2022), for five minutes."
        ),
    ] = "standard"
    userinfo: Annotated[
        Literal["required", "optional", "off"],
        Field(
            description="Whether to ask the provider's userinfo endpoint, if it has one. `optional`: if "
            "it does not answer or refuses, only the claims of the ID token count, also for the level. "
            "An answer about another `sub` is always refused."
        ),
    ] = "required"
    audiences: Annotated[
        tuple[Text, ...],
        Field(
            description="Audiences besides `client_id` that the provider's tokens may name. A token with "
            "several audiences must name this client as `azp`. Empty: only `client_id`."
        ),
    ] = ()
    pushed_authorization_requests: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Whether authorization requests are pushed to the provider (RFC 9126), so that "
            "the browser carries only a reference. `auto`: if discovery says that the provider demands "
            "it."
        ),
    ] = "auto"
    parameters: Annotated[
        dict[str, Text],
        Field(
            description="Further parameters of the authorization request, such as `kc_idp_hint`, "
            "`domain_hint`, `acr_values` or `claims` (JSON). Parameters of portals and routes override "
            "these. What `claims` calls essential must come back."
        ),
    ] = field(default_factory=dict)
    logout_method: Annotated[
        Literal["get", "post", "none"],
        Field(
            description="How the browser goes to the provider after a sign-out, to end its session there "
            "too: at once by `get` (Rekono accepts nothing else), by the button of a form (`post`), or "
            "not at all (`none`)."
        ),
    ] = "get"
    logout_hint: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Whether the browser then brings the ID token (`id_token_hint`), without which "
            "Rekono does not lead back to the portal. `auto`: in a form always, in an address only if "
            "the token contains nothing about the person."
        ),
    ] = "auto"
    recheck_every: Annotated[
        Duration | None,
        Field(
            description="How often, while a person is active, the provider is asked whether the account "
            "still stands. A no ends the session. The gateway uses a refresh token (at Rekono: add the "
            "scope `offline_access`), otherwise introspection, until the access token expires. Unset: "
            "never."
        ),
    ] = None
    claims: ClaimNameSettings = field(default_factory=ClaimNameSettings)
    verified_when_absent: VerifiedWhenAbsentSettings = field(default_factory=VerifiedWhenAbsentSettings)
    levels: Annotated[
        dict[str, Level],
        Field(
            description="Values of the level claim (upper or lower case) and their levels; other values "
            "mean 10. Your table replaces the one shown."
        ),
    ] = field(default_factory=lambda: dict(_LEVELS))
    dashboard_url: Annotated[
        Text, Field(description="Where people complete their data; linked when something is missing.")
    ] = "https://idp.rekono.si/IdP-RM-Front/chooselogin/rekono.htm"
    register_url: Annotated[
        Text | None, Field(description="Target of *Ustvari račun*; unset: the provider's sign-in page.")
    ] = None
    help_url: Annotated[Text, Field(description="Help link on every page.")] = (
        "https://www.rekono.si/sl/faq-uporabniki/"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpDemandSettings:
    """A fresh proof inside the session. A sign-in at Rekono counts as a proof by `rekono` (see
    `rekono.step_up_by`); a sign-in with a certificate does not count."""

    required: Annotated[bool, Field(description="Whether a fresh proof is demanded at all.")] = True
    methods: Annotated[
        tuple[StepUpMethod, ...] | None,
        Field(
            min_length=1,
            description="Accepted methods. Which of them a person is offered also depends on "
            "`step_up.levels` and on what the person has enrolled. Unset: any method.",
        ),
    ] = None
    max_age: Annotated[
        Duration | None,
        Field(
            description="Greatest age of the proof. Unset: one proof in the session is enough. 0: every "
            "request needs a proof of its own, which is good for exactly this form or GET, once; only in "
            "reverse-proxy mode."
        ),
    ] = None
    shows: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\[\]-]{1,40}$")], ...],
        Form("list of names of form fields"),
        Field(
            max_length=5,
            description="With `max_age: 0`: fields of the form (or of the query of a GET) whose values "
            "are shown on the page of the proof, in the text message and on the phone.",
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRouteSettings:
    """Programs that may come in without a person."""

    tokens: Annotated[bool, Field(description="Access tokens of the issuer in the section `machines`.")] = (
        False
    )
    keys: Annotated[bool, Field(description="API keys (`authproxy machines add`).")] = False
    scopes: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$")], ...],
        Form("list of scopes"),
        Field(description="Scopes that the token or the key must have, all of them."),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """A part of a portal with demands of its own. Keys that are left out have the portal's values."""

    path: Annotated[
        str,
        Form("path"),
        Field(
            description="Path such as `/payments`. It covers everything below, in whole segments. `*` stands "
            "for one segment: `/shops/*/orders`."
        ),
    ]
    methods: Annotated[tuple[Text, ...], Field(description="HTTP methods; empty for all.")] = ()
    access: Annotated[
        RouteAccess,
        Field(
            description="Who may come in: `required` lets people in who have signed in and meet the demands, "
            "`public` everybody, `deny` nobody."
        ),
    ] = "required"
    networks: Annotated[
        tuple[Text, ...] | None,
        Field(
            min_length=1,
            description="Addresses or networks of clients; requests from elsewhere are refused before "
            "anybody is asked to sign in. Unset: from everywhere.",
        ),
    ] = None
    roles: Annotated[
        tuple[Annotated[str, Field(pattern=rf"^{ROLE.pattern}$")], ...] | None,
        Form("list of roles"),
        Field(
            min_length=1,
            description="Roles of the register of people at this portal (`approver`, without the portal's "
            "name); one of them is enough. Unset: none is needed.",
        ),
    ] = None
    sign_in: Annotated[
        tuple[SignInMethod, ...] | None,
        Field(min_length=1, description="Accepted ways of signing in; unset: the portal's."),
    ] = None
    level: Annotated[
        Level | None, Field(description="The lowest accepted level of trust; unset: the portal's.")
    ] = None
    required_claims: Annotated[
        tuple[Claim, ...],
        Field(
            description="What must be known about a person here, in addition to the portal's "
            "`required_claims`."
        ),
    ] = ()
    step_up: Annotated[
        StepUpDemandSettings | None,
        Field(description="Replaces the portal's `step_up`; unset: the portal's."),
    ] = None
    machines: Annotated[
        MachineRouteSettings | None,
        Field(
            description="Programs that may come in here without a person; unset: none. The demands on people "
            "(`roles`, `sign_in`, `level`, `required_claims`, `step_up`) do not hold for them; `networks` "
            "and `scopes` do."
        ),
    ] = None
    strict: Annotated[bool, Field(description="Ask the store on every request.")] = False
    upstream: Annotated[
        str | None,
        Form("`http://host[:port]`, `https://host[:port]` or `unix:/path`"),
        Field(
            pattern=r"^(https?://[^/?#@\s]+/?|unix:/.+)$",
            description="The server that answers here; unset: the portal's. It gets the whole path. "
            "`allows_plaintext`, `preserve_host` and `upstream_tls` of the portal hold for it too, except "
            "for `server_name`.",
        ),
    ] = None
    timeouts: PassingTimeoutSettings = field(default_factory=PassingTimeoutSettings)
    limits: PassingLimitSettings = field(default_factory=PassingLimitSettings)
    rekono_parameters: Annotated[
        dict[str, Text],
        Field(
            description="Like `rekono.parameters`, for sign-ins that lead here and for proofs by "
            "`rekono` that are demanded here. If `claims` names values of an essential `acr`, a proof by "
            "`rekono` counts here only with such a value."
        ),
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderSettings:
    """Names of the plain headers to the portal. Unset: the preset's name. Empty: the header is left out."""

    preset: Annotated[
        Preset,
        Field(
            description="Header names of another gateway, for a portal that already knows them, instead "
            "of `X-Auth-Subject`, `X-Auth-Name` and so on."
        ),
    ] = "authproxy"
    subject: Annotated[
        HeaderName, Field(description="The id in the register of people, otherwise the provider's `sub`.")
    ] = None
    name: Annotated[HeaderName, Field(description="Full name.")] = None
    email: Annotated[HeaderName, Field(description="E-mail address, if the provider has verified it.")] = None
    tax_number: Annotated[HeaderName, Field(description="Tax number.")] = None
    method: Annotated[HeaderName, Field(description="`rekono` or `acnlb`.")] = None
    level: Annotated[HeaderName, Field(description="10, 20 or 30.")] = None
    roles: Annotated[
        HeaderName,
        Field(
            description="The person's roles at this portal, by the register of people, with commas between "
            "them (`authentik`: `|`, `lemonldap`: `; `)."
        ),
    ] = None
    step_up: Annotated[HeaderName, Field(description="Methods and times of step-ups.")] = None
    assertion: Annotated[HeaderName, Field(description="The signed identity assertion (JWT).")] = None
    encoding: Annotated[
        Encoding,
        Field(
            description="How names with characters outside ASCII are written: `percent` percent-encodes "
            "UTF-8, `ascii-fold` turns š into s. Subject, e-mail address and tax number are always "
            "percent-encoded where needed."
        ),
    ] = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationSettings:
    """How the gateway proves to every server of the portal that a request comes from it (`Authorization`),
    also on public paths. The client's own `Authorization` is removed then: access tokens and API keys still
    count here, but Windows sign-in (NTLM, Negotiate) at the portal is not possible."""

    basic: Annotated[Secret | None, Field(description="`user:password` of a technical user.")] = None
    bearer: Annotated[Secret | None, Field(description="A token.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTlsSettings:
    """TLS towards an `https://` upstream."""

    ca_file: Annotated[
        File | None, Field(description="Certificate authority of the portal; unset: the system's.")
    ] = None
    server_name: Annotated[
        Text | None,
        Field(description="Name in the portal's certificate, if it differs from the upstream's host."),
    ] = None
    certificate_file: Annotated[
        File | None, Field(description="Certificate that the gateway shows to the portal.")
    ] = None
    key_file: Annotated[File | None, Field(description="Its private key.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalCookieSettings:
    """The portal's own cookies."""

    end_with_session: Annotated[
        tuple[Text, ...],
        Field(
            description="Names (`*` at the end for any ending) of cookies that the portal sets for one "
            "person, such as its session. They reach the portal only with requests of the person for whom "
            "it set them, and end at sign-out. Not for cookies that the portal's scripts set."
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """Look and contacts of the gateway's pages. A portal's own `pages` override the common ones."""

    name: Annotated[
        dict[Literal["sl", "en"], Text] | Text | None,
        Field(
            description="The line below the portal's name, one text or one per language; unset: *Bankart "
            "Varni Spletni Prehod*."
        ),
    ] = None
    colour: Annotated[
        str | None,
        Form("colour such as `#0b4f6c`"),
        Field(
            pattern="^#[0-9A-Fa-f]{6}$",
            description="Colour of buttons, links and the edge at the top. It needs a contrast of 4.5 on "
            "white. Dark mode uses a lighter shade of it.",
        ),
    ] = None
    logo_file: Annotated[
        File | None, Field(description="SVG or PNG of at most 16 KiB; unset: the gateway's icon.")
    ] = None
    font_file: Annotated[
        File | None, Field(description="Font of the pages, WOFF2 of at most 64 KiB; unset: the system's.")
    ] = None
    contact: Annotated[
        Text | None,
        Field(description="Contact for questions: an e-mail address or a few words, shown on every page."),
    ] = None
    telephone: Annotated[Telephone, Field(description="Telephone number, shown beside `contact`.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """One portal: its addresses, and what it demands of people."""

    name: Annotated[
        dict[Literal["sl", "en"], Text] | Text,
        Field(description="The portal's name on our pages, one text or one per language."),
    ]
    contact: Annotated[
        Text | None,
        Field(
            description="Contact for questions: an e-mail address or a few words, shown on every page; "
            "unset: `pages.contact`."
        ),
    ] = None
    telephone: Annotated[
        Telephone, Field(description="Telephone number, shown beside `contact`; unset: `pages.telephone`.")
    ] = None
    help_url: Annotated[
        Text | None, Field(description="Help link of this portal's pages; unset: `rekono.help_url`.")
    ] = None
    logo_file: Annotated[
        File | None,
        Field(
            description="The portal's logo on our pages, SVG or PNG of at most 16 KiB; unset: "
            "`pages.logo_file`."
        ),
    ] = None
    pages: PageSettings = field(default_factory=PageSettings)
    url: Annotated[
        str,
        Form("`https://host[:port]`"),
        Field(
            pattern=r"^https?://[^/?#@\s]+/?$",
            description="The portal's address for browsers. Redirect URIs and cookies are derived from it.",
        ),
    ]
    upstream: Annotated[
        str,
        Form("`http://host[:port]`, `https://host[:port]` or `unix:/path`"),
        Field(pattern=r"^(https?://[^/?#@\s]+/?|unix:/.+)$", description="The portal's server."),
    ]
    allows_plaintext: Annotated[
        bool,
        Field(
            description="Whether `http://` may lead to another machine. Identities can then be read and "
            "changed in transit."
        ),
    ] = False
    upstream_tls: UpstreamTlsSettings = field(default_factory=UpstreamTlsSettings)
    upstream_reuse: Annotated[
        Literal["auto", "never"],
        Field(
            description="Whether a connection to the portal serves several requests. `auto` pauses this "
            "for ten minutes after the portal has sent bytes that belong to no answer; `never` is for "
            "portals that are known to do so. NTLM and Negotiate need `auto`."
        ),
    ] = "auto"
    preserve_host: Annotated[
        bool,
        Field(
            description="Send the public host to the portal; otherwise the upstream's. Then the upstream's "
            "own address becomes the public one in `Location`, `Content-Location`, `Refresh` and in `Domain` "
            "of cookies; bodies are not changed."
        ),
    ] = True
    timeouts: PassingTimeoutSettings = field(default_factory=PassingTimeoutSettings)
    limits: PassingLimitSettings = field(default_factory=PassingLimitSettings)
    sign_in: Annotated[
        tuple[SignInMethod, ...] | None,
        Field(
            min_length=1,
            description="Offered ways of signing in; unset: all that are set up (`rekono`, and `acnlb` "
            "if there is a section `acnlb`).",
        ),
    ] = None
    revocation: Annotated[
        Literal["hard", "alarm"],
        Field(
            description="If the revocation status of a certificate is not available: `hard` signs nobody "
            "in (503), `alarm` lets people in and records it."
        ),
    ] = "hard"
    level: Annotated[Level, Field(description="The lowest accepted level of trust.")] = Level.LOW
    required_claims: Annotated[
        tuple[Claim, ...],
        Field(
            description="What must be known about a person; otherwise the sign-in ends with a page that "
            "says what is missing."
        ),
    ] = ("tax_number", "name", "birthdate", "address")
    members: Annotated[
        Members,
        Field(
            description="Who may enter: `anyone` who signs in, or only people whom the register names "
            "for this portal (`register`)."
        ),
    ] = "anyone"
    step_up: StepUpDemandSettings = field(default_factory=StepUpDemandSettings)
    rekono_parameters: Annotated[
        dict[str, Text],
        Field(
            description="Like `rekono.parameters`, for sign-ins at this portal and proofs in its sessions."
        ),
    ] = field(default_factory=dict)
    idle: Annotated[Duration | None, Field(description="Like `sessions.idle`, for this portal.")] = None
    routes: Annotated[
        tuple[RouteSettings, ...],
        Field(
            description="The first match counts. Requests that no route matches fall under the "
            "portal's own demands."
        ),
    ] = ()
    headers: HeaderSettings = field(default_factory=HeaderSettings)
    cookies: PortalCookieSettings = field(default_factory=PortalCookieSettings)
    sign_out_url: Annotated[
        str | None,
        Form("`http://host[:port]/path` or `https://host[:port]/path`"),
        Field(
            pattern=r"^https?://[^/?#@\s]+/[^#\s]*$",
            description="Address at which the portal ends its own session. At sign-out the gateway sends it "
            "a GET with the person's identity and `cookies.end_with_session`. The sign-out does not wait "
            "for the answer.",
        ),
    ] = None
    sign_out_paths: Annotated[
        tuple[Text, ...],
        Field(
            description="Paths of the portal's own sign-out links. They lead to the gateway's sign-out page "
            "instead of the portal."
        ),
    ] = ()
    activity: Annotated[
        tuple[Activity, ...],
        Field(
            description="What keeps a session from being idle: `requests` when they come, `streams` while "
            "bytes of a request or an answer flow that takes longer than two seconds, `websocket_messages` "
            "in either direction. A screen that refreshes itself is active as long as it is open, up to "
            "`sessions.absolute`.",
        ),
    ] = ("requests",)
    strip: Annotated[
        tuple[
            Annotated[str, Form("header name, or its beginning with `*`"), Field(pattern=_STRIPPED)],
            ...,
        ],
        Field(
            description="Further headers of clients that never reach the portal, in every spelling, such as "
            "those of the sign-on that it had before (`EMPLOYEE_ID`, `BANKSSO_*`)."
        ),
    ] = ()
    set: Annotated[
        dict[str, TextOrFile],
        Field(
            description="Headers that every request to the portal gets, at every server of it and on public "
            'paths too, such as `WL-Proxy-SSL: "true"`. They replace what a client sends under these names. '
            "`X-Gate-Key_file: …` reads the value of `X-Gate-Key` from a file."
        ),
    ] = field(default_factory=dict)
    authorization: AuthorizationSettings = field(default_factory=AuthorizationSettings)
    binds_assertion: Annotated[
        bool,
        Field(
            description="Make an assertion for every request, bound to its method and URL by `htm` and `htu`."
        ),
    ] = False
    methods: Annotated[
        tuple[Text, ...] | None,
        Field(
            min_length=1,
            description="HTTP methods to pass on; others are answered 405. Unset: `GET`, `HEAD`, `POST`, "
            "`PUT`, `PATCH`, `DELETE` and `OPTIONS`.",
        ),
    ] = None
    webdav: Annotated[
        bool,
        Field(
            description="Also pass on the methods of WebDAV. Everything that such a request acts on is "
            "judged: also the `Destination` of `COPY` and `MOVE`, and every route below a collection."
        ),
    ] = False
    preflight: Annotated[
        Literal["refuse", "pass"],
        Field(
            description="How to treat a CORS preflight (`OPTIONS` with `Origin` and "
            "`Access-Control-Request-Method`, no cookie, no credentials, no body): `pass` sends it to "
            "the portal without an identity, `refuse` answers 401. The request after it needs a session "
            "in either case."
        ),
    ] = "refuse"
    accepts_encoded_slash: Annotated[
        bool, Field(description="Pass `%2F` and `%5C` in paths instead of refusing them.")
    ] = False
    accepts_encoded_percent: Annotated[
        bool,
        Field(
            description="Pass `%25` before two hex digits in paths (for a file named `22%DDV.pdf`) "
            "instead of refusing it as double encoding. The path that a portal would read by decoding "
            "twice is judged too."
        ),
    ] = False
    paths: Annotated[
        Paths,
        Field(
            description="How the portal compares paths: `exact`, `ignore_case` (as many programs on Windows "
            "do), or `windows` (files on Windows: also dots and blanks at the end of a name, short names "
            "such as `ADMINI~1`, streams). Routes then hold for every spelling."
        ),
    ] = "exact"
    tolerates: Annotated[
        tuple[Tolerated, ...],
        Field(
            description="Faults in the portal's answers that are mended instead of answered 502: `bare_lf` "
            "(lines of the head that end in LF alone), `equal_content_lengths` (the same length twice), "
            "`padded_chunk_sizes` (blanks behind the size of a chunk), `control_characters` (in the value of "
            "a header; they become blanks). A connection with such an answer serves no further request. "
            "`bare_lf` is not for a portal that writes what people send into headers."
        ),
    ] = ()
    websocket_origins: Annotated[
        tuple[Text, ...],
        Field(description="Origins besides the portal's own whose pages may open WebSockets."),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """The issuer of access tokens for programs."""

    issuer: Annotated[Text, Field(description="`iss` of the tokens, exactly as the issuer writes it.")]
    audience: Annotated[
        Text,
        Field(
            description="What `aud` must contain: the name that the issuer knows this gateway by. Choose one "
            "that no ID token has."
        ),
    ]
    algorithm: Annotated[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
        Field(description="The only accepted signature algorithm. It is never taken from the token."),
    ] = "RS256"
    jwks_url: Annotated[
        Text, Field(description="Where the issuer publishes its keys (`jwks_uri` in its metadata).")
    ]
    subject_claim: Annotated[
        Text,
        Field(
            description="The claim that names the client (`azp` or `appid` at some issuers). Portals get it "
            "as the subject."
        ),
    ] = "client_id"
    ca_file: Annotated[
        File | None,
        Field(description="Certificate authority that must have issued the certificate of `jwks_url`."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Logs and audit events."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="The lowest severity to log, as JSON on standard output."),
    ] = "info"
    access_log: Annotated[bool, Field(description="Log one line per request.")] = True
    audit_file: Annotated[
        File | None,
        Field(
            description="File for audit events, one JSON object per line; it is appended to. Unset: "
            "standard output."
        ),
    ] = None
    audit_required: Annotated[
        bool,
        Field(
            description="Let nobody in (503) while audit events cannot be written: no new session, no "
            "step-up. People who are signed in are still served. If false, such events are lost, counted "
            "and logged."
        ),
    ] = False
    audit_key: Annotated[
        Secret | None,
        Field(
            description="Key of the pseudonyms of people in the audit trail: 32 random bytes in hex or "
            "base64, the same on every instance. Do not change it when session keys change. Unset: "
            "derived from the last of `sessions.keys`."
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can set."""

    # On the outermost dataclass it holds at every depth (tested). By default pydantic ignores a misspelt key
    # without a word.
    __pydantic_config__ = ConfigDict(extra="forbid")

    server: ServerSettings = field(default_factory=ServerSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    sessions: SessionSettings
    assertions: AssertionSettings
    rekono: ProviderSettings
    acnlb: Annotated[
        AcnlbSettings | None, Field(description="Leave it out if nobody signs in with a certificate.")
    ] = None
    step_up: StepUpSettings = field(default_factory=StepUpSettings)
    pages: PageSettings = field(default_factory=PageSettings)
    portals: Annotated[
        dict[PortalId, PortalSettings],
        Field(
            min_length=1,
            description="The portals by short name (`a-z`, digits, `-`), which is `aud` of the assertion "
            "and the name in logs.",
        ),
    ]
    machines: Annotated[
        MachineSettings | None,
        Field(
            description="Whose access tokens let programs in, on routes with `machines: {tokens: true}`. "
            "Leave it out if there are none."
        ),
    ] = None
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

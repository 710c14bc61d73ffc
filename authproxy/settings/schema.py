"""The schema of the settings file: every key, its type, its default and what it means (the reference in
config/ is made from here).

Durations are seconds or text such as `90s`, `15m`, `8h`; sizes are bytes or text such as `32KiB`, `10MiB`.
Unknown keys are errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from authproxy.access.header_names import Encoding, Preset
from authproxy.access.routes import Claim, Members
from authproxy.identity.assurance import Level, SignInMethod, StepUpMethod
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
    TlsSettings,
    unless_off,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRateSettings:
    """How many requests of a kind one address (of IPv6: one network of 64 bits) may send within a minute;
    more are 429. 0 for no limit."""

    sign_ins: Annotated[int, Field(ge=0, description="Beginnings of a sign-in.")] = 600
    callbacks: Annotated[
        int,
        Field(
            ge=0,
            description="Ends of a sign-in or of a proof that is made elsewhere, and certificates that are "
            "shown.",
        ),
    ] = 600
    logout_tokens: Annotated[
        int,
        Field(
            ge=0, description="Logout tokens that are not believed. Those that are believed are not limited."
        ),
    ] = 600
    codes: Annotated[
        int,
        Field(
            ge=0,
            description="Requests for a code or notification, answers to them, and methods that are being "
            "added.",
        ),
    ] = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much the edge takes at a time."""

    head_size: Annotated[
        Size, Field(description="Request head in bytes, with the request line; more is answered 431.")
    ] = 32 * 1024
    target_size: Annotated[
        Size,
        Field(
            description="Request target in bytes; more is answered 414. The one with which a browser comes "
            "back from a sign-in may take all of `head_size`."
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
            description="Bytes per second that a request's body must bring on average; a slower one is "
            "answered 408 when `timeouts.body` is over. 0 for none."
        ),
    ] = 256
    connections: Annotated[
        int, Field(ge=1, description="Client connections at a time; more are closed at once.")
    ] = 20_000
    connections_per_address: Annotated[
        int,
        Field(
            ge=0,
            description="Connections of one client address at a time; behind a trusted proxy, requests of "
            "one client address. Of IPv6 the network of 64 bits counts. More are answered 503 "
            "with `Retry-After`. 0 for no limit.",
        ),
    ] = 2_000
    connections_per_session: Annotated[
        int,
        Field(
            ge=0,
            description="Requests, streams and WebSockets of one session to its portal at a time; more are "
            "answered 503 with `Retry-After`. 0 for no limit.",
        ),
    ] = 128
    upstream_connections: Annotated[
        int, Field(ge=1, description="Connections to one portal at a time; more requests wait.")
    ] = 512
    upstream_streams: Annotated[
        int,
        Field(
            ge=0,
            description="Connections to one portal beside `upstream_connections`: WebSockets, event "
            "streams, and transfers that have taken ten seconds. Further ones count among "
            "`upstream_connections`.",
        ),
    ] = 2_048
    per_minute: RequestRateSettings = field(default_factory=RequestRateSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutSettings:
    """How long the edge waits, and what it answers then."""

    head: Annotated[
        Duration, Field(description="From the first byte of a request to the end of its head (408).")
    ] = timedelta(seconds=10)
    idle: Annotated[Duration, Field(description="A connection of a client without a request.")] = timedelta(
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
    upstream_idle: Annotated[Duration, Field(description="A connection to a portal without a request.")] = (
        timedelta(seconds=30)
    )
    leave: Annotated[
        Duration,
        Field(
            description="After SIGTERM, how long listeners stay open while /readyz already answers 503. Set "
            "`5s` to `10s` where a load balancer asks /readyz: a little longer than the balancer "
            "takes to notice."
        ),
    ] = timedelta(0)
    drain: Annotated[
        Duration, Field(description="After that, how long running requests may take to finish.")
    ] = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class HstsSettings:
    """What our pages say by `Strict-Transport-Security` (RFC 6797). `hsts: off` sends none: for a front proxy
    that does."""

    max_age: Annotated[
        Duration, Field(description="For how long. 0 makes browsers forget what they were told before.")
    ] = timedelta(days=365)
    include_subdomains: Annotated[
        bool,
        Field(
            description="Whether it holds for all names below the host, too. Set false while one of them has "
            "no HTTPS."
        ),
    ] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Listeners, and who is believed on them."""

    listen: Annotated[
        tuple[Text, ...],
        Field(
            min_length=1,
            description="Where browsers and front proxies connect: `address:port`, `[address]:port` or "
            "`unix:/path`.",
        ),
    ] = ("127.0.0.1:8080",)
    tls: Annotated[
        TlsSettings | None,
        Field(description="TLS on the TCP listeners; leave out behind a front proxy that ends TLS."),
    ] = None
    unix_socket_mode: Annotated[
        str,
        Form("octal permissions"),
        Field(pattern=r"^0?[0-7]{3}$", description="Permissions of Unix sockets, such as `660`."),
    ] = "660"
    unix_socket_group: Annotated[
        Text | int | None,
        Field(
            description="Group of Unix sockets, by name or number; the gateway's user must be in it. Unset: "
            "its own."
        ),
    ] = None
    management: Annotated[
        Text,
        Field(
            description="Listener for /healthz, /readyz and /metrics, `address:port` or `unix:/path`. Keep "
            "it off the public network."
        ),
    ] = "127.0.0.1:8090"
    trusted_proxies: Annotated[
        tuple[Text, ...],
        Field(
            description="Addresses or networks whose X-Forwarded-For is believed and who may ask "
            "subrequests. Peers on a Unix socket are trusted by the permissions of the socket. "
            "Empty by default: nobody is."
        ),
    ] = ()
    default_portal: Annotated[
        Text | None,
        Field(
            description="Portal that answers requests of HTTP/1.0 without `Host`, such as health checks of "
            "load balancers. Unset: the only one there is; with several they are answered 400."
        ),
    ] = None
    resolvers: Annotated[
        tuple[Text, ...],
        Field(
            description="Name servers (`address` or `address:port`) that are asked for the addresses of "
            "portals, store, provider and gateways. Empty: those of /etc/resolv.conf."
        ),
    ] = ()
    via: Annotated[
        str,
        Form("name in Via"),
        Field(
            pattern=r"^([A-Za-z0-9._-]{1,64}(:[0-9]{1,5})?)?$",
            description="The name in `Via` on requests and answers that the gateway forwards (RFC 9110 "
            "§7.6.3), by which it notices that a request goes in circles. Gateways behind each "
            "other need names of their own. Some portals do not compress what they send through "
            "a proxy (nginx: `gzip_proxied`). Empty: none.",
        ),
    ] = "authproxy"
    hsts: Annotated[HstsSettings | None, BeforeValidator(unless_off)] = field(default_factory=HstsSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    timeouts: TimeoutSettings = field(default_factory=TimeoutSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where sessions are kept, and which sign-in attempts have been used."""

    url: Annotated[
        Text,
        Field(
            description="`redis://…`, `valkey://…`, `rediss://…` and `valkeys://…` with TLS, "
            "`unix:///path?db=0`, or `memory://` (one process, sessions lost at its end)."
        ),
    ] = "redis://127.0.0.1:6379/0"
    allows_plaintext: Annotated[
        bool,
        Field(
            description="Whether `redis://` may lead to another machine: sessions and the password can then "
            "be read on the way."
        ),
    ] = False
    username: Annotated[Text | None, Field(description="User of the store's access control list.")] = None
    password: Annotated[Secret | None, Field(description="Password of the store.")] = None
    ca_file: Annotated[
        File | None, Field(description="Certificate authority that the store's certificate must come from.")
    ] = None
    client_cert_file: Annotated[
        File | None,
        Field(description="Certificate (with chain) that is shown to a store which asks for one; needs TLS."),
    ] = None
    client_key_file: Annotated[File | None, Field(description="Private key of that certificate.")] = None
    deadline: Annotated[
        Duration, Field(description="The longest that one question to the store may take, retries included.")
    ] = timedelta(milliseconds=800)
    forgives: Annotated[
        Duration,
        Field(
            description="While the store takes no writes, nobody's activity can be noted. Up to this much of "
            "that time does not count as idleness. 0 switches it off."
        ),
    ] = timedelta(minutes=10)
    near_cache_for: Annotated[
        Duration,
        Field(
            description="How long a session that was read from the store is used without asking again. 0 "
            "turns the near cache off."
        ),
    ] = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How long people stay signed in, and the keys of their records."""

    keys: Annotated[
        tuple[Secret, ...],
        Field(
            min_length=1,
            description="Keys of records in the store and of sign-ins under way, 32 random bytes each in "
            "base64 or hex. The first one encrypts, all of them decrypt. With several instances "
            "a new key goes last everywhere first, then to the front, and the old one is "
            "dropped after `absolute` and `authproxy people reseal`.",
        ),
    ]
    idle: Annotated[
        Duration,
        Field(description="A session ends after this long without a request (portals may set less)."),
    ] = timedelta(minutes=15)
    absolute: Annotated[
        Duration, Field(description="A session ends this long after sign-in, whatever happens.")
    ] = timedelta(hours=8)
    attempt: Annotated[Duration, Field(description="How long a sign-in may take at the provider.")] = (
        timedelta(minutes=30)
    )


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
        File | None, Field(description="Key that will sign next; published in jwks.json ahead of its use.")
    ] = None
    retiring_key_file: Annotated[
        File | None, Field(description="Key that signed before; published until its assertions are over.")
    ] = None
    lifetime: Annotated[
        Duration, Field(description="`exp` minus `iat`; an assertion is used for at most half of it.")
    ] = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNameSettings:
    """Under which names, in order, the provider states things: in userinfo first, then in the ID token.
    `tax.value` is `value` in `tax`."""

    tax_number: Annotated[
        tuple[Text, ...],
        Field(
            description="Claims that may hold the tax number, as text or a number. Two different ones are "
            "refused, an invalid one too."
        ),
    ] = ("taxnumber", "taxNumber", "tax_number", "davcna_stevilka", "http://idp.rekono.si/openid/taxnumber")
    level: Annotated[
        tuple[Text, ...],
        Field(
            description="Claims that may hold the level. The first one found counts; of userinfo and ID "
            "token the lower one."
        ),
    ] = ("loa", "acr", "level", "assurance_level")
    name: Annotated[tuple[Text, ...], Field(description="Claims that may hold the full name.")] = ("name",)
    given_name: Annotated[tuple[Text, ...], Field(description="Given name, where there is no full one.")] = (
        "given_name",
    )
    family_name: Annotated[
        tuple[Text, ...], Field(description="Family name, where there is no full one.")
    ] = ("family_name",)
    birthdate: Annotated[
        tuple[Text, ...], Field(description="Date of birth: required to be there, not stored.")
    ] = ("birthdate",)
    address: Annotated[
        tuple[Text, ...], Field(description="Address, text or object: required to be there, not stored.")
    ] = ("address",)
    email: Annotated[
        tuple[Text, ...], Field(description="E-mail address; left out unless it is verified.")
    ] = ("email",)
    phone_number: Annotated[
        tuple[Text, ...],
        Field(description="Telephone; kept with the session if it is verified: codes may be sent there."),
    ] = ("phone_number",)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedWhenAbsentSettings:
    """What counts as verified where the provider states no `email_verified` or `phone_number_verified`, in
    userinfo or in the ID token. A `false` in either of them always counts."""

    email: Annotated[
        bool | None,
        Field(description="E-mail address. Unset: true at Rekono's own issuer, false at any other."),
    ] = None
    phone_number: Annotated[bool, Field(description="Telephone: codes may be sent to a verified one.")] = (
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
    """The OpenID provider (Rekono) toward which the gateway is a relying party."""

    issuer: Annotated[
        Text,
        Field(
            description="The issuer, exactly as the provider writes it (Rekono's ends with a slash). `iss` "
            "and discovery must equal it."
        ),
    ] = "https://idp.rekono.si/openid-connect-server-webapp/"
    client_id: Annotated[
        Text, Field(description="The name under which the provider knows this relying party.")
    ]
    client_secret: Annotated[
        Secret | None, Field(description="Client secret, for the two `client_secret_…` authentications.")
    ] = None
    client_key_file: Annotated[File | None, Field(description="PEM private key, for `private_key_jwt`.")] = (
        None
    )
    client_key_id: Annotated[
        Text | None, Field(description="`kid` under which the provider knows that key.")
    ] = None
    client_authentication: Annotated[
        Literal["client_secret_post", "client_secret_basic", "private_key_jwt"],
        Field(description="How the gateway authenticates at the token endpoint."),
    ] = "client_secret_post"
    algorithm: Annotated[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
        Field(
            description="The one signature algorithm accepted on ID tokens. Never taken from the token or "
            "from discovery."
        ),
    ] = "RS256"
    scopes: Annotated[
        tuple[Text, ...],
        Field(min_length=1, description="Scopes that are asked for; `openid` is one of them."),
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
            description="How long ago the provider may have authenticated the person at most; `auth_time` is "
            "checked. Unset: not asked."
        ),
    ] = timedelta(minutes=5)
    step_up_by: Annotated[
        dict[Literal["amr", "acr"], tuple[Text, ...]] | Literal["always", "never"] | None,
        Field(
            description="Which sign-ins at the provider are a fresh proof (`rekono`), too: `always`, "
            "`never`, or those whose ID token states one of the words that are listed under "
            "`amr` or `acr`. It must state `auth_time`, too: a sign-in without it is no proof. "
            "Unset: `always` at Rekono's own issuer; with any other one it must be set."
        ),
    ] = None
    prompt: Annotated[
        Literal["login", "consent", "select_account"] | None,
        Field(
            description="Sent as is. Rekono's software ignores max_age when any prompt is sent: set one of "
            "the two."
        ),
    ] = None
    leeway: Annotated[
        Duration, Field(description="Difference between the provider's clock and ours that is lived with.")
    ] = timedelta(seconds=60)
    timeout: Annotated[
        Duration, Field(description="The longest that one question to the provider may take.")
    ] = timedelta(seconds=10)
    ca_file: Annotated[
        File | None,
        Field(description="Certificate authority that the provider's certificate must come from."),
    ] = None
    logout_tokens: Annotated[
        Literal["standard", "typed", "draft"],
        Field(
            description="Which logout tokens are believed: those of Back-Channel Logout 1.0, only those "
            "whose `typ` is `logout+jwt`, or also those without `exp` (providers from before "
            "2022), for five minutes."
        ),
    ] = "standard"
    userinfo: Annotated[
        Literal["required", "optional", "off"],
        Field(
            description="Whether the userinfo endpoint, where the provider has one, is asked. `optional`: if "
            "it is silent or refuses, the claims of the ID token alone count, also for the "
            "level. An answer about another `sub` is always refused."
        ),
    ] = "required"
    audiences: Annotated[
        tuple[Text, ...],
        Field(
            description="Audiences beside `client_id` that the provider's tokens may name. A token with "
            "several must name this client as `azp`. Empty: `client_id` is the only one."
        ),
    ] = ()
    pushed_authorization_requests: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Whether authorization requests go to the provider directly (RFC 9126), and the "
            "browser carries only their name: `auto` where discovery says that the provider "
            "demands it."
        ),
    ] = "auto"
    parameters: Annotated[
        dict[str, Text],
        Field(
            description="Further parameters of the authorization request, such as `kc_idp_hint`, "
            "`domain_hint`, `acr_values` or `claims` (JSON). Those of portals and routes go "
            "before these. What `claims` calls essential must come back."
        ),
    ] = field(default_factory=dict)
    logout_method: Annotated[
        Literal["get", "post", "none"],
        Field(
            description="How the browser goes on to the provider after a sign-out, to end its session there "
            "as well: at once by `get` (Rekono takes nothing else), by the button of a form "
            "(`post`), or not at all."
        ),
    ] = "get"
    logout_hint: Annotated[
        Literal["auto", "always", "never"],
        Field(
            description="Whether it brings the ID token (`id_token_hint`), without which Rekono does not "
            "lead back to the portal. With `auto` it does in a form, and in an address only if "
            "nothing in the token is about the person."
        ),
    ] = "auto"
    recheck_every: Annotated[
        Duration | None,
        Field(
            description="How often, while a person is active, the provider is asked whether their account "
            "still stands. A no ends the session. By a refresh token (at Rekono: add the scope "
            "`offline_access`), otherwise by introspection, for as long as the access token "
            "lives. Unset: never."
        ),
    ] = None
    claims: ClaimNameSettings = field(default_factory=ClaimNameSettings)
    verified_when_absent: VerifiedWhenAbsentSettings = field(default_factory=VerifiedWhenAbsentSettings)
    levels: Annotated[
        dict[str, Level],
        Field(
            description="Values of the level claim, in any case, and the level they stand for; what is not "
            "in the table is 10. Your table replaces the one shown."
        ),
    ] = field(default_factory=lambda: dict(_LEVELS))
    dashboard_url: Annotated[
        Text, Field(description="Where a person completes their data; linked when something is missing.")
    ] = "https://idp.rekono.si/IdP-RM-Front/chooselogin/rekono.htm"
    register_url: Annotated[
        Text | None, Field(description="Where *Ustvari račun* leads; unset: the provider's sign-in page.")
    ] = None
    help_url: Annotated[Text, Field(description="Help link on every page.")] = (
        "https://www.rekono.si/sl/faq-uporabniki/"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpDemandSettings:
    """A fresh proof inside the session. A sign-in at Rekono counts as one by `rekono` (see
    `rekono.step_up_by`), one with a certificate does not count."""

    required: Annotated[bool, Field(description="Whether one is demanded at all.")] = True
    methods: Annotated[
        tuple[StepUpMethod, ...] | None,
        Field(
            min_length=1,
            description="By which methods; which of them somebody is offered also depends on "
            "`step_up.levels` and on what they have. Unset: by any.",
        ),
    ] = None
    max_age: Annotated[
        Duration | None,
        Field(
            description="How old the proof may be at most. Unset: once in the session will do. 0: every "
            "request needs a proof of its own, which serves exactly that form, or that GET, "
            "once; only in reverse-proxy mode."
        ),
    ] = None
    shows: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\[\]-]{1,40}$")], ...],
        Form("list of names of form fields"),
        Field(
            max_length=5,
            description="With `max_age: 0`: fields of the form (of a GET: of its query) whose values stand "
            "on the page of the proof, in the text message and on the phone.",
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """A part of a portal with a demand of its own; what is left out is the portal's."""

    path: Annotated[
        str,
        Form("path"),
        Field(pattern=r"^/", description="Prefix at a segment border, such as `/payments`."),
    ]
    methods: Annotated[tuple[Text, ...], Field(description="HTTP methods; empty for all.")] = ()
    sign_in: Annotated[
        tuple[SignInMethod, ...] | None,
        Field(min_length=1, description="Ways of signing in that will do here; unset: the portal's."),
    ] = None
    level: Annotated[
        Level | None, Field(description="The least level of trust here; unset: the portal's.")
    ] = None
    required_claims: Annotated[
        tuple[Claim, ...],
        Field(description="What must be known of a person here, beyond the portal's `required_claims`."),
    ] = ()
    step_up: Annotated[
        StepUpDemandSettings | None, Field(description="Instead of the portal's; unset: the portal's.")
    ] = None
    strict: Annotated[bool, Field(description="Ask the store on every request.")] = False
    rekono_parameters: Annotated[
        dict[str, Text],
        Field(
            description="As `rekono.parameters`, for sign-ins that lead here and for proofs by `rekono` that "
            "are demanded here. If `claims` names values of an essential `acr`, of proofs by "
            "`rekono` only one with such a value counts here."
        ),
    ] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderSettings:
    """Names of the plain headers to the portal. Unset is the preset's name, empty leaves the header out."""

    preset: Annotated[
        Preset,
        Field(
            description="Names of another gateway that the portal was used to, instead of `X-Auth-Subject`, "
            "`X-Auth-Name` and so on."
        ),
    ] = "authproxy"
    subject: Annotated[
        HeaderName, Field(description="The id in the register, otherwise the provider's `sub`.")
    ] = None
    name: Annotated[HeaderName, Field(description="Full name.")] = None
    email: Annotated[HeaderName, Field(description="E-mail address, if the provider has verified it.")] = None
    tax_number: Annotated[HeaderName, Field(description="Tax number.")] = None
    method: Annotated[HeaderName, Field(description="`rekono` or `acnlb`.")] = None
    level: Annotated[HeaderName, Field(description="10, 20 or 30.")] = None
    step_up: Annotated[HeaderName, Field(description="Methods and times of step-ups.")] = None
    assertion: Annotated[HeaderName, Field(description="The signed identity assertion (JWT).")] = None
    encoding: Annotated[
        Encoding,
        Field(
            description="How names outside ASCII are written: `percent` encodes UTF-8, `ascii-fold` turns š "
            "into s. Subject, e-mail address and tax number are percent-encoded where needed, "
            "whatever stands here."
        ),
    ] = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTlsSettings:
    """TLS towards an `https://` upstream."""

    ca_file: Annotated[
        File | None, Field(description="Certificate authority of the portal; unset: the system's.")
    ] = None
    server_name: Annotated[
        Text | None, Field(description="Name in the portal's certificate, if it is not the upstream's host.")
    ] = None
    certificate_file: Annotated[
        File | None, Field(description="Certificate that the gateway shows to the portal.")
    ] = None
    key_file: Annotated[File | None, Field(description="Its private key.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """What the gateway's pages look like, and whom they name for questions. What a portal has of its own goes
    before `pages` of all."""

    name: Annotated[
        dict[Literal["sl", "en"], Text] | Text | None,
        Field(
            description="What stands below the portal's name, one or per language; unset: *Bankart Varni "
            "Spletni Prehod*."
        ),
    ] = None
    colour: Annotated[
        str | None,
        Form("colour such as `#0b4f6c`"),
        Field(
            pattern="^#[0-9A-Fa-f]{6}$",
            description="Of buttons, links and the edge at the top. On white it needs a contrast of 4.5. In "
            "dark mode it is lighter by itself.",
        ),
    ] = None
    logo_file: Annotated[
        File | None, Field(description="SVG or PNG of at most 16 KiB; unset: the gateway's icon.")
    ] = None
    font_file: Annotated[
        File | None, Field(description="Font of the pages, WOFF2 of at most 64 KiB; unset: the system's.")
    ] = None
    contact: Annotated[
        Text | None, Field(description="Whom to ask: an e-mail address or a few words, shown on every page.")
    ] = None
    telephone: Annotated[Telephone, Field(description="Whom to call, shown beside `contact`.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """One portal: where it is, and what it demands of people."""

    name: Annotated[
        dict[Literal["sl", "en"], Text] | Text,
        Field(description="The portal's name on our pages, one or per language."),
    ]
    contact: Annotated[
        Text | None,
        Field(
            description="Whom to ask: an e-mail address or a few words, shown on every page; unset: "
            "`pages.contact`."
        ),
    ] = None
    telephone: Annotated[
        Telephone, Field(description="Whom to call, shown beside `contact`; unset: `pages.telephone`.")
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
            description="The portal as browsers see it. Redirect URIs and cookies follow from it.",
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
            description="Whether `http://` may lead to another machine: identities can then be read and "
            "changed on the way."
        ),
    ] = False
    upstream_tls: UpstreamTlsSettings = field(default_factory=UpstreamTlsSettings)
    upstream_reuse: Annotated[
        Literal["auto", "never"],
        Field(
            description="Whether a connection to the portal serves several requests. `auto` stops that for "
            "ten minutes when the portal has sent bytes that belong to no answer; `never` is for "
            "portals known to do so. NTLM and Negotiate need `auto`."
        ),
    ] = "auto"
    preserve_host: Annotated[
        bool, Field(description="Send the public host to the portal; otherwise the upstream's.")
    ] = True
    sign_in: Annotated[
        tuple[SignInMethod, ...] | None,
        Field(
            min_length=1,
            description="Ways of signing in that are offered; unset: every way that is set up (`rekono`, "
            "and `acnlb` with a section `acnlb`).",
        ),
    ] = None
    revocation: Annotated[
        Literal["hard", "alarm"],
        Field(
            description="When nobody can say whether a certificate is revoked: `hard` signs nobody in (503), "
            "`alarm` lets people in and records it."
        ),
    ] = "hard"
    level: Annotated[Level, Field(description="The least level of trust.")] = Level.LOW
    required_claims: Annotated[
        tuple[Claim, ...],
        Field(
            description="What must be known of a person; otherwise the sign-in ends with a page that says "
            "what is missing."
        ),
    ] = ("tax_number", "name", "birthdate", "address")
    members: Annotated[
        Members,
        Field(
            description="`anyone` who signs in may come in, or only whom the register of people names for "
            "this portal (`register`)."
        ),
    ] = "anyone"
    step_up: StepUpDemandSettings = field(default_factory=StepUpDemandSettings)
    rekono_parameters: Annotated[
        dict[str, Text],
        Field(
            description="As `rekono.parameters`, for sign-ins at this portal and proofs in their sessions."
        ),
    ] = field(default_factory=dict)
    idle: Annotated[Duration | None, Field(description="As `sessions.idle`, for this portal.")] = None
    routes: Annotated[
        tuple[RouteSettings, ...],
        Field(description="First match wins; what none covers falls under the portal's demand."),
    ] = ()
    headers: HeaderSettings = field(default_factory=HeaderSettings)
    binds_assertion: Annotated[
        bool,
        Field(
            description="Mint an assertion for every request, bound to its method and URL by `htm` and `htu`."
        ),
    ] = False
    methods: Annotated[
        tuple[Text, ...] | None,
        Field(
            min_length=1,
            description="HTTP methods that are passed on; every other one is answered 405. Unset: `GET`, "
            "`HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` and `OPTIONS`.",
        ),
    ] = None
    webdav: Annotated[
        bool,
        Field(
            description="Pass the methods of WebDAV on, too. What they act on beside their target is judged "
            "with it: the `Destination` of `COPY` and `MOVE`, and every route below a collection."
        ),
    ] = False
    preflight: Annotated[
        Literal["refuse", "pass"],
        Field(
            description="What becomes of a CORS preflight (`OPTIONS` with `Origin` and "
            "`Access-Control-Request-Method`, no cookie, no credentials, no body): `pass` sends "
            "it to the portal for nobody, `refuse` answers 401. The request after it needs a "
            "session in either case."
        ),
    ] = "refuse"
    accepts_encoded_slash: Annotated[
        bool, Field(description="Pass `%2F` and `%5C` in paths instead of refusing them.")
    ] = False
    accepts_encoded_percent: Annotated[
        bool,
        Field(
            description="Pass `%25` before two hex digits in paths (a file named `22%DDV.pdf`) instead of "
            "refusing it as encoded twice. What a portal that decodes twice would read is "
            "judged, too."
        ),
    ] = False
    websocket_origins: Annotated[
        tuple[Text, ...],
        Field(description="Origins beside the portal's own whose pages may open WebSockets."),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Logs and audit events."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="The least severity that is logged, as JSON on standard output."),
    ] = "info"
    access_log: Annotated[bool, Field(description="One line per request.")] = True
    audit_file: Annotated[
        File | None,
        Field(
            description="Where audit events go, one JSON object a line, opened for appending; unset: "
            "standard output."
        ),
    ] = None
    audit_required: Annotated[
        bool,
        Field(
            description="Let nobody in (503) while audit events cannot be written: no new session, no "
            "step-up. Who is signed in already is served. Without it such events are lost, "
            "counted and logged."
        ),
    ] = False
    audit_key: Annotated[
        Secret | None,
        Field(
            description="Key of the names that stand for people in the audit trail: 32 random bytes in hex "
            "or base64, the same on every instance. It stays when session keys change; unset: "
            "derived from the last of `sessions.keys`."
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can set."""

    # On the outermost dataclass it holds at every depth (tested); pydantic's default would drop a misspelt
    # key without a word.
    __pydantic_config__ = ConfigDict(extra="forbid")

    server: ServerSettings = field(default_factory=ServerSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    sessions: SessionSettings
    assertions: AssertionSettings
    rekono: ProviderSettings
    acnlb: Annotated[
        AcnlbSettings | None, Field(description="Leave it out where nobody signs in with a certificate.")
    ] = None
    step_up: StepUpSettings = field(default_factory=StepUpSettings)
    pages: PageSettings = field(default_factory=PageSettings)
    portals: Annotated[
        dict[PortalId, PortalSettings],
        Field(
            min_length=1,
            description="The portals by short name (`a-z`, digits, `-`): `aud` of the assertion, and the "
            "name in logs.",
        ),
    ]
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

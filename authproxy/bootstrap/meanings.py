"""What settings mean: one function per thing that is built from them. Reads files that the settings name
(keys, certificates)."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from authproxy.access.header_names import PRESETS, HeaderNames
from authproxy.access.methods import ORDINARY, WEBDAV
from authproxy.access.provider_demand import NOTHING, ProviderDemand, provider_demand
from authproxy.access.routes import Portal, Portals, Requirement, Route, StepUp
from authproxy.access.target import canonical_host
from authproxy.assertions.keys import KeyFiles
from authproxy.bootstrap.starting import Unusable
from authproxy.edge.client.sockets import Address
from authproxy.edge.rules.headers import RequestFilter
from authproxy.edge.site import Limits, Site
from authproxy.edge.upstream.pool import Upstream, UpstreamPool
from authproxy.flows.sign_in.attempts import SignInDemand
from authproxy.flows.sign_in.provider_demands import ProviderDemands
from authproxy.flows.sign_in.round_trip import ClaimRules, StepUpBy
from authproxy.identity.assurance import STEP_UP_METHODS, SignInMethod
from authproxy.oidc.claims import ClaimNames, VerifiedWhenAbsent
from authproxy.oidc.relying_party import RelyingParty
from authproxy.settings.certificates import Acnlb
from authproxy.settings.forms import Tls
from authproxy.settings.schema import Hsts, OpenIdProvider, PortalSettings, Settings, StepUpSettings, Store
from authproxy.settings.values import is_rekonos_own, key_of
from authproxy.storage.redis.connection import StoreTls
from authproxy.web.pages import Links
from authproxy.web.rates import Rates


def portals(settings: Settings) -> Portals:
    """The portals with their routes, by canonical host."""
    every = (
        portal(portal_id, own, ways(settings, own), asks=(settings.rekono.parameters,))
        for portal_id, own in settings.portals.items()
    )
    if not step_up_by(settings.rekono).is_possible:
        every = (_without_proofs_at_provider(one) for one in every)
    return Portals({one.host: one for one in every})


def _without_proofs_at_provider(portal: Portal) -> Portal:
    """The portal whose demands no sign-in at the provider meets: nobody is told to make one there either."""
    return dataclasses.replace(
        portal,
        routes=tuple(
            dataclasses.replace(route, requirement=_met_elsewhere(route.requirement))
            for route in portal.routes
        ),
    )


def _met_elsewhere(demand: Requirement) -> Requirement:
    wanted = demand.step_up
    if wanted is None:
        return demand
    methods = tuple(method for method in wanted.methods if method != "rekono")
    return dataclasses.replace(demand, step_up=dataclasses.replace(wanted, methods=methods))


def ways(settings: Settings, portal: PortalSettings) -> tuple[SignInMethod, ...]:
    """The ways of signing in at a portal: those that it names, or all that are set up."""
    every: tuple[SignInMethod, ...] = ("rekono",) if settings.acnlb is None else ("rekono", "acnlb")
    return every if portal.sign_in is None else portal.sign_in


def portal(
    portal_id: str,
    settings: PortalSettings,
    methods: tuple[SignInMethod, ...],
    *,
    asks: tuple[Mapping[str, str], ...] = (),
) -> Portal:
    """A portal; `asks` is what the provider is asked for, whatever the portal."""
    url = urlsplit(settings.url)
    host = canonical_host(url.netloc, 443 if url.scheme == "https" else 80)
    asks = (*asks, settings.rekono_parameters)
    askings = [provider_demand((*asks, route.rekono_parameters)) for route in settings.routes]
    routes = [
        Route(
            name=" ".join((f"{portal_id}{route.path}", *route.methods)),
            path=route.path,
            methods=route.methods,
            requirement=Requirement(
                level=route.level or settings.level,
                methods=route.sign_in or methods,
                claims=route.required_claims,
                step_up=step_up(route.step_up or settings.step_up, asked),
            ),
            strict=route.strict,
            provider_demand=asked,
        )
        for route, asked in zip(settings.routes, askings, strict=True)
    ]
    asked = provider_demand(asks)
    rest = Requirement(level=settings.level, methods=methods, step_up=step_up(settings.step_up, asked))
    routes.append(Route(name=portal_id, path="/", requirement=rest, provider_demand=asked))
    return Portal(
        portal_id=portal_id,
        origin=f"{url.scheme}://{host}",
        host=host,
        routes=tuple(routes),
        required_claims=settings.required_claims,
        members=settings.members,
        methods=passed_methods(settings),
        webdav=settings.webdav,
        passes_preflights=settings.preflight == "pass",
        accepts_encoded_slash=settings.accepts_encoded_slash,
        accepts_encoded_percent=settings.accepts_encoded_percent,
        binds_assertion=settings.binds_assertion,
    )


def passed_methods(settings: PortalSettings) -> frozenset[str]:
    """The HTTP methods that a portal is asked with."""
    named = ORDINARY if settings.methods is None else frozenset(settings.methods)
    return named | WEBDAV if settings.webdav else named


def step_up(settings: StepUpSettings, asked: ProviderDemand = NOTHING) -> StepUp | None:
    """The proof that is demanded; None if none is."""
    if not settings.required:
        return None
    return StepUp(
        methods=settings.methods or STEP_UP_METHODS,
        max_age=settings.max_age,
        acr=asked.acr,
        shows=settings.shows,
    )


def upstream(settings: PortalSettings) -> Upstream:
    if settings.upstream.startswith("unix:"):
        return Upstream(unix_path=settings.upstream.removeprefix("unix:"), authority=b"localhost")
    url = urlsplit(settings.upstream)
    tls = None
    if url.scheme == "https":
        tls = ssl.create_default_context(cafile=settings.upstream_tls.ca_file)
        tls.set_alpn_protocols(["http/1.1"])
        if settings.upstream_tls.certificate_file is not None:
            tls.load_cert_chain(settings.upstream_tls.certificate_file, settings.upstream_tls.key_file)
    return Upstream(
        host=url.hostname or "",
        port=url.port or (443 if tls else 80),
        tls=tls,
        server_name=settings.upstream_tls.server_name,
        authority=url.netloc.encode("ascii"),
    )


def default_site(sites: Mapping[str, Site], named: str | None) -> Site | None:
    """Who is asked by requests that name no host: the portal of that name, or the only one."""
    if named is None:
        return next(iter(sites.values())) if len(sites) == 1 else None
    return next(site for site in sites.values() if site.portal.portal_id == named)


def relying_party(settings: OpenIdProvider) -> RelyingParty:
    return RelyingParty(
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value()
        if settings.client_secret is not None
        else None,
        client_key=Path(settings.client_key_file).read_bytes()
        if settings.client_key_file is not None
        else None,
        client_key_id=settings.client_key_id,
        client_authentication=settings.client_authentication,
        algorithm=settings.algorithm,
        scopes=settings.scopes,
        max_age=settings.max_age,
        prompt=settings.prompt,
        leeway=settings.leeway,
        timeout=settings.timeout,
        logout_tokens=settings.logout_tokens,
        audiences=frozenset(settings.audiences),
        userinfo=settings.userinfo,
        pushes_requests=settings.pushed_authorization_requests,
        logout_method=settings.logout_method,
        logout_hint=settings.logout_hint,
    )


def claim_rules(settings: OpenIdProvider, portals: Portals) -> ClaimRules:
    absent = settings.verified_when_absent
    return ClaimRules(
        names=ClaimNames(**dataclasses.asdict(settings.claims)),
        levels=settings.levels,
        leeway=settings.leeway,
        when_absent=VerifiedWhenAbsent(
            email=is_rekonos_own(settings.issuer) if absent.email is None else absent.email,
            phone_number=absent.phone_number,
        ),
        step_up_by=step_up_by(settings),
        provider_demand=ProviderDemands(portals.by_host.values()),
    )


def step_up_by(settings: OpenIdProvider) -> StepUpBy:
    """Which sign-ins at the provider are a fresh proof."""
    stated = settings.step_up_by
    if isinstance(stated, dict):
        return StepUpBy(amr=frozenset(stated.get("amr", ())), acr=frozenset(stated.get("acr", ())))
    return StepUpBy(every=is_rekonos_own(settings.issuer) if stated is None else stated == "always")


def all_addresses(settings: Settings) -> tuple[Address, ...]:
    """Every address on which the gateway listens."""
    certificates = () if settings.acnlb is None else (certificate_address(settings, settings.acnlb),)
    return (*addresses(settings), management_address(settings), *certificates)


def addresses(settings: Settings) -> tuple[Address, ...]:
    """Where browsers and front proxies connect."""
    return tuple(_address(settings, "server.listen", text) for text in settings.server.listen)


def management_address(settings: Settings) -> Address:
    return _address(settings, "server.management", settings.server.management)


def certificate_address(settings: Settings, acnlb: Acnlb) -> Address:
    """Where certificates are shown, or forwarded to by the terminator that has seen them."""
    return _address(settings, "acnlb.listen", acnlb.listen)


def _address(settings: Settings, key: str, text: str) -> Address:
    if text.startswith("unix:"):
        server = settings.server
        path = Path(text.removeprefix("unix:"))
        return Address(
            key=key,
            unix_path=path,
            unix_mode=int(server.unix_socket_mode, 8),
            unix_group=server.unix_socket_group,
        )
    host, _, port = text.rpartition(":")
    return Address(key=key, host=host.strip("[]"), port=int(port))


def server_tls(settings: Settings, now: datetime) -> ssl.SSLContext | None:
    """Raises OSError or ValueError for a certificate that cannot be used at this time."""
    tls = settings.server.tls
    if tls is None:
        return None
    refuse_expired("server.tls", tls, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    except ssl.SSLError:
        raise Unusable(
            f"server.tls: {tls.certificate_file} and {tls.key_file} are no certificate and its key"
        ) from None
    return context


def store_tls(settings: Store) -> StoreTls | None:
    """None where no file is named: what the URL says is then enough."""
    files = StoreTls(
        ca_file=settings.ca_file,
        certificate_file=settings.client_cert_file,
        key_file=settings.client_key_file,
    )
    return None if files == StoreTls() else files


def refuse_expired(key: str, tls: Tls, now: datetime) -> None:
    """A start is the moment at which somebody looks: no browser would accept an expired certificate. Raises
    OSError or ValueError."""
    leaf = x509.load_pem_x509_certificates(Path(tls.certificate_file).read_bytes())[0]
    ends_at = leaf.not_valid_after_utc
    if ends_at < now:
        raise Unusable(
            f"{key}.certificate_file: {tls.certificate_file} expired at {ends_at:%Y-%m-%d %H:%M} UTC; no "
            "browser accepts it"
        )


def site(known: Portal, settings: PortalSettings, pool: Callable[[Upstream, bool], UpstreamPool]) -> Site:
    where = upstream(settings)
    scheme = known.origin.partition(":")[0]
    names = header_names(settings)
    return Site(
        portal=known,
        pool=pool(where, settings.upstream_reuse != "never"),
        filter=RequestFilter(
            value for name, value in dataclasses.asdict(names).items() if name != "encoding" and value
        ),
        host_for_upstream=b"" if settings.preserve_host else where.authority,
        forwarded=b"X-Forwarded-Proto: %s\r\nX-Forwarded-Host: %s\r\n"
        % (scheme.encode(), known.host.encode()),
        websocket_origins=frozenset(
            origin.encode() for origin in (known.origin, *settings.websocket_origins)
        ),
        scheme_for_upstream=b"http" if where.tls is None else b"https",
    )


def sign_in_demand(settings: Settings, known: Portal) -> SignInDemand:
    own = settings.portals[known.portal_id]
    return SignInDemand(
        portal_id=known.portal_id,
        origin=known.origin,
        required_claims=known.required_claims,
        level=own.level,
        idle_for=own.idle or settings.sessions.idle,
        expires_after=settings.sessions.absolute,
        members=known.members,
        route_levels={route.name: route.requirement.level for route in known.routes},
    )


def links(settings: Settings) -> Links:
    rekono = settings.rekono
    return Links(
        dashboard_url=rekono.dashboard_url, register_url=rekono.register_url, help_url=rekono.help_url
    )


def header_names(settings: PortalSettings) -> HeaderNames:
    """The preset's names, but for those that are set."""
    own = {
        name: value
        for name, value in dataclasses.asdict(settings.headers).items()
        if name != "preset" and value is not None
    }
    return dataclasses.replace(PRESETS[settings.headers.preset], **own)


def hsts(settings: Hsts | None) -> str | None:
    """The value of `Strict-Transport-Security` (RFC 6797 §6.1); None where it is not sent."""
    if settings is None:
        return None
    return f"max-age={settings.max_age // timedelta(seconds=1)}" + (
        "; includeSubDomains" if settings.include_subdomains else ""
    )


def rates(settings: Settings) -> Rates:
    most = settings.server.limits.per_minute
    return Rates(
        {
            "sign_ins": most.sign_ins,
            "callbacks": most.callbacks,
            "logout_tokens": most.logout_tokens,
            "codes": most.codes,
        }
    )


def limits(settings: Settings) -> Limits:
    sizes, times = settings.server.limits, settings.server.timeouts
    return Limits(
        head_size=sizes.head_size,
        target_size=sizes.target_size,
        header_count=sizes.header_count,
        body_size=sizes.body_size,
        body_rate=sizes.body_rate,
        connections=sizes.connections,
        head_for=times.head.total_seconds(),
        idle_for=times.idle.total_seconds(),
        body_for=times.body.total_seconds(),
        first_byte_for=times.first_byte.total_seconds(),
    )


def key_files(settings: Settings) -> KeyFiles:
    keys = settings.assertions
    return KeyFiles(
        current=Path(keys.current_key_file),
        upcoming=Path(keys.next_key_file) if keys.next_key_file is not None else None,
        retiring=Path(keys.retiring_key_file) if keys.retiring_key_file is not None else None,
    )


def record_keys(settings: Settings) -> tuple[bytes, ...]:
    return tuple(key_of(key.get_secret_value()) for key in settings.sessions.keys)

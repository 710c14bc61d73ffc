"""PURE: the configuration file of oauth2-proxy → settings.

The file is TOML. Names, defaults and meanings are those of its documentation
(https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview), version 7.15. Values are read as
leniently as oauth2-proxy reads them: `"false"` is a switch, and one text is a list.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any, Final

from authproxy.cli.imports import common
from authproxy.cli.imports.common import PORTAL
from authproxy.cli.imports.draft import CannotRead, Draft, Fate
from authproxy.cli.imports.path_patterns import paths_of
from authproxy.cli.imports.rules import Rule, Rules, Server

_AT: Final = ("portals", PORTAL)
_KEY: Final = re.compile(r"[ \t]*[\"']?([A-Za-z0-9_-]+)[\"']?[ \t]*=")
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~.-]+)*/?")
_OIDC: Final = frozenset(
    {"oidc", "keycloak-oidc", "adfs", "entra-id", "azure", "gitlab", "cidaas", "keycloak"}
)
_GOOGLE: Final = "https://accounts.google.com"
_LOGGING: Final = "logs are set up under `telemetry`, and never contain tokens"
_PAGES: Final = "the pages have the look of `pages`"
_COOKIE: Final = "the session cookie is always `__Host-`, Secure, HttpOnly and SameSite=Lax, for one host"
_DISCOVERY: Final = "endpoints and keys come from the provider's discovery, whose issuer must be right"
_UNCHECKED: Final = "nothing switches this check off; name the authority in `ca_file`"
_OTHER_STORE: Final = "name the store in `store`"


def _each(names: str, fate: Fate, words: str) -> dict[str, tuple[Fate, str]]:
    return dict.fromkeys(names.split(), (fate, words))


_FIXED: Final[dict[str, tuple[Fate, str]]] = {
    **_each(
        "auth_logging auth_logging_format errors_to_info_log exclude_logging_paths "
        "logging_compress logging_filename logging_local_time logging_max_age logging_max_backups "
        "logging_max_size request_logging request_logging_format silence_ping_logging "
        "standard_logging standard_logging_format show_debug_on_error",
        "meaningless",
        _LOGGING,
    ),
    **_each(
        "banner custom_sign_in_logo custom_templates_dir footer provider_display_name skip_provider_button",
        "meaningless",
        _PAGES,
    ),
    **_each(
        "cookie_csrf_expire cookie_csrf_per_request cookie_csrf_per_request_limit "
        "cookie_csrf_samesite cookie_domains cookie_httponly cookie_name cookie_path "
        "cookie_samesite cookie_secure session_cookie_minimal",
        "meaningless",
        _COOKIE,
    ),
    **_each(
        "login_url redeem_url profile_url validate_url oidc_jwks_url skip_oidc_discovery "
        "oidc_public_key_files",
        "lost",
        _DISCOVERY,
    ),
    **_each(
        "redis_ca_path redis_cluster_connection_urls redis_connection_idle_timeout "
        "redis_sentinel_connection_urls redis_sentinel_master_name redis_sentinel_password "
        "redis_use_cluster redis_use_sentinel",
        "lost",
        _OTHER_STORE,
    ),
    **_each(
        "display_htpasswd_form htpasswd_file htpasswd_user_groups basic_auth_password set_basic_auth",
        "lost",
        "nobody signs in by a password of the gateway",
    ),
    **_each(
        "pass_access_token pass_authorization_header set_authorization_header",
        "lost",
        "the provider's tokens never reach a portal; it gets a signed assertion instead",
    ),
    **_each(
        "metrics_secure_address metrics_tls_cert_file metrics_tls_key_file",
        "lost",
        "the management listener has no TLS: keep it off the network",
    ),
    "allow_query_semicolons": ("meaningless", "queries reach the portal as they came"),
    "api_routes": ("meaningless", "scripts get 401 and people a page, everywhere, by what the browser says"),
    "approval_prompt": ("meaningless", "of Google's earlier protocol"),
    "auth_request_response_mode": ("meaningless", "the answer comes as a query, once, bound to the browser"),
    "backend_logout_url": (
        "lost",
        "the browser is sent to the provider's end of session (`rekono.logout_method`)",
    ),
    "bearer_token_login_fallback": ("meaningless", "a program never gets a page to sign in"),
    "cookie_refresh": ("lost", "see `rekono.recheck_every`, which asks whether the account still stands"),
    "cookie_secret": ("meaningless", "sessions lie in the store; their keys are made anew"),
    "cookie_secret_file": ("meaningless", "sessions lie in the store; their keys are made anew"),
    "disable_keep_alives": ("lost", "see `upstream_reuse: never`"),
    "encode_state": ("meaningless", "`state` is always sealed"),
    "flush_interval": ("meaningless", "what a portal sends goes on at once"),
    "force_https": ("meaningless", "a portal has one address, and it is https"),
    "force_json_errors": ("meaningless", "scripts get `application/problem+json`"),
    "gcp_healthchecks": ("meaningless", "/healthz and /readyz are on the management listener"),
    "insecure_oidc_allow_unverified_email": (
        "lost",
        "see `rekono.verified_when_absent`; `false` always counts",
    ),
    "insecure_oidc_skip_issuer_verification": ("lost", "the issuer is always checked"),
    "insecure_oidc_skip_nonce": ("meaningless", "the nonce is always checked"),
    "jwt_key": ("lost", "see `rekono.client_authentication: private_key_jwt`"),
    "jwt_key_file": ("lost", "see `rekono.client_authentication: private_key_jwt`"),
    "oidc_audience_claims": ("lost", "the audience is `aud`"),
    "oidc_groups_claim": ("lost", common.ROLES_ARE_IN_THE_REGISTER),
    "oidc_roles_claim": ("lost", common.ROLES_ARE_IN_THE_REGISTER),
    "ping_path": ("meaningless", "/healthz is on the management listener"),
    "ping_user_agent": ("meaningless", "no request is let through for its User-Agent"),
    "prefer_email_to_user": ("lost", "see `headers`, which name what each header contains"),
    "proxy_prefix": ("meaningless", "our pages are below /.authproxy/"),
    "pubjwk_url": ("lost", "of one provider only"),
    "ready_path": ("meaningless", "/readyz is on the management listener"),
    "real_client_ip_header": (
        "meaningless",
        "the client's address comes in X-Forwarded-For of a trusted proxy",
    ),
    "redis_insecure_skip_tls_verify": ("lost", _UNCHECKED),
    "relative_redirect_url": ("meaningless", "redirects are absolute, from the portal's url"),
    "request_id_header": ("meaningless", "it is X-Request-Id"),
    "session_store_type": ("meaningless", "sessions always lie in the store"),
    "set_xauthrequest": ("meaningless", "deploy/nginx sets the portal's headers from the answer"),
    "signature_key": ("lost", "the portal can verify the signed assertion instead"),
    "skip_auth_strip_headers": (
        "meaningless",
        "a client's identity headers are removed always and everywhere",
    ),
    "skip_claims_from_profile_url": ("lost", "see `rekono.userinfo: off`"),
    "ssl_insecure_skip_verify": ("lost", _UNCHECKED),
    "ssl_upstream_insecure_skip_verify": ("lost", _UNCHECKED),
    "tls_cipher_suites": ("meaningless", "TLS 1.2 and 1.3, with forward secrecy"),
    "tls_min_version": ("meaningless", "TLS 1.2 and 1.3, with forward secrecy"),
    "trusted_ips": (
        "lost",
        "an address never takes the place of a session; see `networks`, which narrow access",
    ),
    "use_system_trust_store": ("meaningless", "the system's authorities count, unless `ca_file` is set"),
    "whitelist_domains": ("meaningless", "after a sign-in people come back to the portal they came from"),
}


def draft_of(text: str) -> Draft:
    """The settings that a file says. Raises CannotRead."""
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CannotRead(f"is no configuration file of oauth2-proxy: {_where(error)}") from None
    if not values:
        raise CannotRead("says nothing: it is empty, or every line of it is a comment")
    draft = common.begin("oauth2-proxy")
    reading = _Reading(draft, {name.replace("-", "_"): value for name, value in values.items()}, _lines(text))
    reading.carry_all()
    common.finish(draft, reading.rules, "oauth2-proxy")
    return draft


def _where(error: Exception) -> str:
    # The message of the parser may repeat what it read.
    at = re.search(r"\(at (?:line \d+, column \d+|end of document)\)$", str(error))
    return f"it is not TOML {at[0]}" if at else "it is not TOML"


def _lines(text: str) -> dict[str, int]:
    """The line of each key; 0 is never asked for, because only keys that were read are."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := _KEY.match(line):
            lines.setdefault(match[1].replace("-", "_"), number)
    return lines


class _Reading:
    """One file. A method `_name` carries over the key of that name."""

    def __init__(self, draft: Draft, values: dict[str, Any], lines: dict[str, int]) -> None:
        self._draft = draft
        self._values = values
        self._lines = lines
        self.rules = Rules()

    def carry_all(self) -> None:
        self._provider()
        for name, value in self._values.items():
            if name in _FIXED:
                fate, words = _FIXED[name]
                if fate == "lost" and _is_off(value):
                    fate, words = "meaningless", "it is off"
                self._note(name, fate, words)
            elif handler := _CARRIED.get(name):
                self._note(name, *handler(self, name, value))
            elif name != "provider":
                self._note(name, "lost", "this is no key of oauth2-proxy that the import knows")

    def _note(self, name: str, fate: Fate, words: str) -> None:
        self._draft.note(self._lines.get(name, 0), name, fate, words)

    def _from(self, name: str) -> str:
        return f"{name}, line {self._lines.get(name, 0)}"

    def _say(self, path: tuple[str, ...], value: object, name: str) -> tuple[Fate, str]:
        self._draft.say(path, value, self._from(name))
        return "carried", ".".join(path)

    def _provider(self) -> None:
        named = str(self._values.get("provider", "google"))
        if named == "google":
            self._draft.say(("rekono", "issuer"), _GOOGLE, "the provider is Google")
        if "provider" in self._values:
            is_known = named == "google" or named in _OIDC
            self._note(
                "provider",
                "carried" if is_known else "lost",
                "rekono.issuer"
                if is_known
                else "it is no OpenID provider; the gateway knows no other protocol",
            )
        self._draft.say(("rekono", "scopes"), ["openid", "email", "profile"], "the default of oauth2-proxy")

    # Keys that are carried over. Each method says what became of it.

    def issuer(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("rekono", "issuer"), str(value), name)

    def client_id(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("rekono", "client_id"), str(value), name)

    def client_secret(self, name: str, value: Any) -> tuple[Fate, str]:
        del value
        common.client_secret(self._draft, f"{self._from(name)}: the secret is not repeated here")
        return "carried", "rekono.client_secret_file names a file; put the secret there"

    def client_secret_file(self, name: str, value: Any) -> tuple[Fate, str]:
        common.client_secret(self._draft, self._from(name), str(value))
        return "carried", "rekono.client_secret_file"

    def scope(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("rekono", "scopes"), str(value).split(), name)

    def prompt(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("rekono", "prompt"), str(value), name)

    def acr_values(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("rekono", "parameters", "acr_values"), str(value), name)

    def audiences(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("rekono", "audiences"), _list(value), name)

    def email_claim(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("rekono", "claims", "email"), [str(value)], name)

    def algorithms(self, name: str, value: Any) -> tuple[Fate, str]:
        algorithms = _list(value)
        if len(algorithms) != 1:
            return "lost", "exactly one algorithm is accepted: set `rekono.algorithm`"
        return self._say(("rekono", "algorithm"), algorithms[0], name)

    def pkce(self, name: str, value: Any) -> tuple[Fate, str]:
        del name, value
        return "meaningless", "PKCE with S256 is always used"

    def authorities(self, name: str, value: Any) -> tuple[Fate, str]:
        files = _list(value)
        if len(files) != 1:
            return "lost", "put the certificates into one file: `rekono.ca_file`"
        return self._say(("rekono", "ca_file"), files[0], name)

    def redirect_url(self, name: str, value: Any) -> tuple[Fate, str]:
        origin = common.origin_of(str(value))
        if origin is None:
            return "lost", "it is not absolute; set the portal's `url`"
        return self._say((*_AT, "url"), origin, name)

    def http_address(self, name: str, value: Any) -> tuple[Fate, str]:
        address = str(value).removeprefix("http://").replace("unix://", "unix:").partition(",")[0]
        if address.startswith("fd:"):
            return "lost", "sockets of systemd are not taken over; set `server.listen`"
        if address in {"", "-"}:
            return "meaningless", "it is switched off"
        return self._say(("server", "listen"), [_with_host(address)], name)

    def https_address(self, name: str, value: Any) -> tuple[Fate, str]:
        if not {"tls_cert_file", "tls_key_file"} <= self._values.keys():
            return "meaningless", "without a certificate oauth2-proxy does not listen there"
        return self._say(("server", "listen"), [_with_host(str(value).removeprefix("https://"))], name)

    def certificate(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("server", "tls", "certificate_file"), str(value), name)

    def key(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say(("server", "tls", "key_file"), str(value), name)

    def management(self, name: str, value: Any) -> tuple[Fate, str]:
        address = str(value).removeprefix("http://")
        if not address:
            return "meaningless", "it is switched off"
        return self._say(("server", "management"), _with_host(address), name)

    def behind_a_proxy(self, name: str, value: Any) -> tuple[Fate, str]:
        if not _switch(value):
            return "meaningless", "nobody is trusted unless `server.trusted_proxies` says so"
        if "trusted_proxy_ips" not in self._values:
            self._draft.gaps.append("server.trusted_proxies: the addresses of the proxies in front")
        del name
        return "carried", "server.trusted_proxies; nobody is trusted without it"

    def proxies(self, name: str, value: Any) -> tuple[Fate, str]:
        named = _list(value)
        narrow = [each for each in named if not each.endswith("/0")]
        if len(narrow) != len(named):
            return "lost", "it trusts every address; name the proxies in `server.trusted_proxies`"
        return self._say(("server", "trusted_proxies"), narrow, name)

    def redis(self, name: str, value: Any) -> tuple[Fate, str]:
        url = str(value)
        scheme, separator, rest = url.partition("://")
        credentials, at, host = rest.rpartition("@")
        if not separator or scheme not in {"redis", "rediss", "unix"}:
            return "lost", _OTHER_STORE
        if at:
            user, _, password = credentials.partition(":")
            if user:
                self._draft.say(("store", "username"), user)
            if password:
                self.password(name)
        self._draft.say(("store", "url"), f"{scheme}://{host}", self._from(name))
        return "carried", "store.url" + (", without its password" if at else "")

    def password(self, name: str, value: Any = None) -> tuple[Fate, str]:
        del value
        file = self._draft.needs_file("store-password", "write the store's password into it; mode 0600")
        return self._say(("store", "password_file"), file, name)

    def lifetime(self, name: str, value: Any) -> tuple[Fate, str]:
        return common.session_time(self._draft, "absolute", str(value), self._from(name))

    def domains(self, name: str, value: Any) -> tuple[Fate, str]:
        if "*" in _list(value):
            return "carried", "everybody whom the provider signs in may enter"
        return self._only_the_register(name, "addresses of some domains are no rule here")

    def emails(self, name: str, value: Any) -> tuple[Fate, str]:
        del value
        return self._only_the_register(name, "the list becomes the register")

    def _only_the_register(self, name: str, why: str) -> tuple[Fate, str]:
        self._draft.say(
            (*_AT, "members"),
            "register",
            f"{self._from(name)}: {why}; enter people with `authproxy people import`",
        )
        return "lost", f"{why}: nobody enters until the register has people (`members: register`)"

    def groups(self, name: str, value: Any) -> tuple[Fate, str]:
        roles = [common.role_of(each) for each in _list(value)]
        if not roles:
            return "meaningless", "the list is empty"
        self._draft.say((*_AT, "members"), "register", common.ROLES_ARE_IN_THE_REGISTER)
        self.rules.everywhere["roles"] = list(dict.fromkeys(roles))
        self.rules.why_everywhere = self._from(name)
        return "carried", f"`roles` of every route; {common.ROLES_ARE_IN_THE_REGISTER}"

    def open_paths(self, name: str, value: Any) -> tuple[Fate, str]:
        lost: list[int] = []
        for number, said in enumerate(_list(value), 1):
            method, separator, expression = said.partition("=")
            is_method = bool(separator) and re.fullmatch(r"[A-Z]*!?", method) is not None
            if not is_method:
                method, expression = "", said
            paths = None if method.endswith("!") else paths_of(expression)
            if paths is None:
                lost.append(number)
                continue
            self.rules.rules += [
                Rule(
                    path=each.path,
                    methods=(method,) if method else (),
                    keys={"access": "public"},
                    comment=f"{self._from(name)}, number {number}",
                    is_exact=each.is_exact,
                )
                for each in paths
            ]
        if lost:
            which = ", ".join(map(str, lost))
            return "lost", f"number {which} of the list: no path says exactly this, so it needs a session now"
        return "carried", f"portals.{PORTAL}.routes with `access: public`"

    def preflights(self, name: str, value: Any) -> tuple[Fate, str]:
        if not _switch(value):
            return "meaningless", "it is off"
        return self._say((*_AT, "preflight"), "pass", name)

    def bearer_tokens(self, name: str, value: Any) -> tuple[Fate, str]:
        del name
        if not _switch(value):
            return "meaningless", "it is off"
        return "lost", "see `machines`, and `machines` of the routes that programs may enter"

    def upstreams(self, name: str, value: Any) -> tuple[Fate, str]:
        lost: list[int] = []
        for number, url in enumerate(_list(value), 1):
            comment = f"{self._from(name)}, number {number}"
            origin, path = common.origin_of(url), common.path_of(url) or "/"
            if url.startswith("unix:///"):
                origin, path = "unix:" + url.removeprefix("unix://").partition("#")[0], "/"
            if origin is None or not _PLAIN_PATH.fullmatch(path):
                lost.append(number)
            elif path == "/":
                self._draft.say((*_AT, "upstream"), origin, comment)
            else:
                self.rules.servers.append(Server(path=path.rstrip("/"), upstream=origin, comment=comment))
        if lost:
            which = ", ".join(map(str, lost))
            return "lost", f"number {which}: no server by http; files and fixed answers are not served"
        return "carried", f"portals.{PORTAL}.upstream and routes; each server gets the whole path"

    def host(self, name: str, value: Any) -> tuple[Fate, str]:
        return self._say((*_AT, "preserve_host"), _switch(value), name)

    def timeout(self, name: str, value: Any) -> tuple[Fate, str]:
        seconds = common.span_of(str(value))
        if seconds is None:
            return "lost", f"set `portals.{PORTAL}.timeouts.first_byte`"
        return self._say((*_AT, "timeouts", "first_byte"), f"{seconds}s", name)

    def websockets(self, name: str, value: Any) -> tuple[Fate, str]:
        del name
        if _switch(value):
            return "meaningless", "WebSockets pass, from the portal's own pages"
        return "lost", "WebSockets pass, from the portal's own pages"

    def headers(self, name: str, value: Any) -> tuple[Fate, str]:
        if not _switch(value):
            return (
                "lost",
                f"the portal gets the headers of `portals.{PORTAL}.headers`; empty names leave them out",
            )
        return self._say((*_AT, "headers"), {"preset": "oauth2-proxy"}, name)


_Handler = Callable[[_Reading, str, Any], tuple[Fate, str]]
_CARRIED: Final[dict[str, _Handler]] = {
    "acr_values": _Reading.acr_values,
    "allowed_groups": _Reading.groups,
    "authenticated_emails_file": _Reading.emails,
    "client_id": _Reading.client_id,
    "client_secret": _Reading.client_secret,
    "client_secret_file": _Reading.client_secret_file,
    "code_challenge_method": _Reading.pkce,
    "cookie_expire": _Reading.lifetime,
    "email_domains": _Reading.domains,
    "extra_jwt_issuers": lambda reading, name, value: reading.bearer_tokens(name, bool(value)),
    "http_address": _Reading.http_address,
    "https_address": _Reading.https_address,
    "metrics_address": _Reading.management,
    "oidc_email_claim": _Reading.email_claim,
    "oidc_enabled_signing_algs": _Reading.algorithms,
    "oidc_extra_audiences": _Reading.audiences,
    "oidc_issuer_url": _Reading.issuer,
    "pass_basic_auth": _Reading.headers,
    "pass_host_header": _Reading.host,
    "pass_user_headers": _Reading.headers,
    "prompt": _Reading.prompt,
    "provider_ca_files": _Reading.authorities,
    "proxy_websockets": _Reading.websockets,
    "redirect_url": _Reading.redirect_url,
    "redis_connection_url": _Reading.redis,
    "redis_password": _Reading.password,
    "reverse_proxy": _Reading.behind_a_proxy,
    "scope": _Reading.scope,
    "skip_auth_preflight": _Reading.preflights,
    "skip_auth_regex": _Reading.open_paths,
    "skip_auth_routes": _Reading.open_paths,
    "skip_jwt_bearer_tokens": _Reading.bearer_tokens,
    "tls_cert_file": _Reading.certificate,
    "tls_key_file": _Reading.key,
    "trusted_proxy_ips": _Reading.proxies,
    "upstream_timeout": _Reading.timeout,
    "upstreams": _Reading.upstreams,
}


def _switch(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() in {"1", "t", "true"}


def _is_off(value: Any) -> bool:
    return str(value).strip().lower() in {"0", "f", "false"}


def _list(value: Any) -> list[str]:
    each = value if isinstance(value, list) else str(value).split(",")
    return [text for item in each if (text := str(item).strip())]


def _with_host(address: str) -> str:
    return f"{common.EVERYWHERE}{address}" if address.startswith(":") else address

"""PURE: an Apache configuration with mod_auth_openidc → settings.

Directives of the module are those of its reference (auth_openidc.conf, version 2.4.20); `<Location>`,
`ProxyPass` and `Require` those of Apache 2.4. Apache merges all sections that cover a path in the order of
the file, and the last statement counts. A route stands alone, so each gets what its sections say together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from authproxy.access import provider_demand
from authproxy.cli.imports import apache_requirements, common
from authproxy.cli.imports.apache_configuration import Directive, parse
from authproxy.cli.imports.apache_requirements import Keys
from authproxy.cli.imports.common import PORTAL
from authproxy.cli.imports.draft import CannotRead, Draft, Fate
from authproxy.cli.imports.path_patterns import paths_of
from authproxy.cli.imports.rules import Rule, Rules, Server, below, covers

_AT: Final = ("portals", PORTAL)
_DISCOVERY: Final = "/.well-known/openid-configuration"
_TO_DECIDE: Final = "TO BE DECIDED"
"""The path of a route that cannot be said. check-config stops at it."""
_TRANSPARENT: Final = frozenset({"ifmodule", "ifdefine", "ifversion"})
_ENDPOINTS: Final = "endpoints and keys come from the provider's discovery, whose issuer must be right"
_COOKIE: Final = "the session cookie is always `__Host-`, Secure, HttpOnly and SameSite=Lax, for one host"
_TOKENS: Final = "the provider's tokens never reach a portal; it gets a signed assertion instead"
_PROGRAMS: Final = "see `machines`, and `machines` of the routes that programs may enter"
_OF_APACHE: Final = "of Apache itself"


def _each(names: str, fate: Fate, words: str) -> dict[str, tuple[Fate, str]]:
    return dict.fromkeys(names.split(), (fate, words))


_FIXED: Final[dict[str, tuple[Fate, str]]] = {
    **_each(
        "oidccookie oidccookiedomain oidccookiehttponly oidccookiepath oidccookiesamesite "
        "oidcsessioncookiechunksize oidcsessiontype oidcsessioncachefallbacktocookie "
        "oidcstatecookieprefix oidcstateinputheaders oidcstatemaxnumberofcookies oidcstatetimeout",
        "meaningless",
        _COOKIE,
    ),
    **_each(
        "oidccachedir oidccacheencrypt oidccachefilecleaninterval oidccacheshmentrysizemax "
        "oidccacheshmmax oidccachetype oidcmemcacheconnectionshmax oidcmemcacheconnectionsmin "
        "oidcmemcacheconnectionssmax oidcmemcacheconnectionsttl oidcmemcacheservers "
        "oidcrediscacheconnecttimeout oidcrediscachetimeout",
        "meaningless",
        "sessions lie in the store, encrypted",
    ),
    **_each(
        "oidcproviderauthorizationendpoint oidcproviderjwksuri oidcprovidersignedjwksuri "
        "oidcprovidertokenendpoint oidcproviderendsessionendpoint oidcproviderchecksessioniframe "
        "oidcproviderrevocationendpoint oidcproviderpushedauthorizationrequestendpoint "
        "oidcproviderverifycertfiles oidcproviderbackchannellogoutsupported "
        "oidcprovidermetadatarefreshinterval oidcjwksrefreshinterval",
        "meaningless",
        _ENDPOINTS,
    ),
    **_each(
        "oidcpassaccesstoken oidcpassrefreshtoken oidcpassidtokenas oidcpassuserinfoas",
        "lost",
        _TOKENS,
    ),
    **_each(
        "oidcclaimdelimiter oidcauthnheader oidcremoteuserclaim oidcclaimprefix oidcpassclaimsas "
        "requestheader",
        "lost",
        "see `headers` for the names that the portal gets, and `set` for fixed ones",
    ),
    **_each(
        "oidcmetadatadir oidcdiscoverurl oidcdiscoverissuersallowed "
        "oidcproviderregistrationendpointjson oidcclientname oidcclientcontact",
        "lost",
        "there is one provider, and it is registered by hand",
    ),
    **_each(
        "oidcrefreshaccesstokenbeforeexpiry oidcuserinforefreshinterval",
        "lost",
        "see `rekono.recheck_every`, which asks whether the account still stands",
    ),
    **_each(
        "oidcblacklistedclaims oidcwhitelistedclaims oidcfilterclaimsexpr oidcuserinfoclaimsexpr",
        "meaningless",
        "the portal gets the headers of `headers`, and no other claim",
    ),
    **_each(
        "oidchttptimeoutlong oidchttptimeoutshort",
        "lost",
        "see `rekono.timeout`",
    ),
    **_each(
        "oidcsslvalidateserver oidcvalidateissuer",
        "meaningless",
        "certificates and issuer are always checked",
    ),
    **_each(
        "authname customlog directoryindex documentroot errorlog group hostnamelookups keepalive "
        "listen loadmodule logformat loglevel maxkeepaliverequests pidfile protocols "
        "proxyerroroverride proxyrequests proxyvia serveradmin serverroot serversignature "
        "servertokens setenv sslciphersuite sslengine sslhonorcipherorder sslprotocol "
        "sslproxyengine sslsessioncache sslsessiontickets sslstaplingcache sslusestapling "
        "traceenable user",
        "meaningless",
        _OF_APACHE,
    ),
    **_each(
        "oidcidtokenencryptedresponsealg oidcidtokenencryptedresponseenc oidcuserinfoencryptedresponsealg "
        "oidcuserinfoencryptedresponseenc oidcclientjwksuri",
        "lost",
        "ID tokens and userinfo are not encrypted",
    ),
    **_each(
        "oidcclienttokenendpointcert oidcclienttokenendpointkey oidcclienttokenendpointkeypassword "
        "oidccertboundaccesstokens oidcdpopmode",
        "lost",
        "see `rekono.client_authentication`",
    ),
    **_each(
        "oidcproviderauthrequestmethod oidcrequestobject oidcprovidertokenendpointparams "
        "oidclogoutrequestparams oidcprofile",
        "lost",
        "see `rekono.pushed_authorization_requests`, `rekono.parameters` and `rekono.logout_method`",
    ),
    "oidcdebugmasksecrets": ("meaningless", "logs never contain secrets"),
    "oidcuserinfosignedresponsealg": ("meaningless", "signed userinfo is read"),
    "oidcuserinfotokenmethod": ("meaningless", "the access token is sent in the header"),
    "oidcpathauthrequestparams": ("lost", "say it in a route: `rekono_parameters`"),
    "include": ("lost", "included files are not read: import them too"),
    "includeoptional": ("lost", "included files are not read: import them too"),
    "oidccryptopassphrase": ("meaningless", "sessions lie in the store; their keys are made anew"),
    "oidcdefaulturl": ("lost", "people come back to the page that they came for"),
    "oidcdefaultloggedouturl": ("lost", "after a sign-out our page says what has ended"),
    "oidcidtokeniatslack": ("lost", "see `rekono.leeway`"),
    "oidcinfohook": ("meaningless", "/.authproxy/session says who is signed in, as JSON too"),
    "oidclogoutxframeoptions": ("meaningless", "our pages may not be framed"),
    "oidcmetricsdata": ("meaningless", "/metrics is on the management listener"),
    "oidcmetricspublish": ("meaningless", "/metrics is on the management listener"),
    "oidcoutgoingproxy": ("lost", "the provider is asked directly"),
    "oidcpkcemethod": ("meaningless", "PKCE with S256 is always used"),
    "oidcpasscookies": ("meaningless", "the portal's cookies pass"),
    "oidcpathscope": ("lost", "the scopes are the same everywhere: `rekono.scopes`"),
    "oidcpreservepost": ("meaningless", "a form waits for its person"),
    "oidcpreserveposttemplates": ("meaningless", "a form waits for its person"),
    "oidcpublickeyfiles": ("lost", "ID tokens are not encrypted"),
    "oidcredirecturlsallowed": (
        "meaningless",
        "after a sign-in people come back to the portal they came from",
    ),
    "oidcresponsemode": ("meaningless", "the answer comes as a query, once, bound to the browser"),
    "oidcresponsetype": ("meaningless", "the authorization code flow is always used"),
    "oidcstripcookies": ("meaningless", "our own cookies never reach a portal"),
    "oidctraceparent": ("meaningless", "every request has `traceparent`"),
    "oidcunauthaction": ("lost", "say it in the routes: `access`"),
    "oidcunautzaction": ("meaningless", "a person who may not enter reads why; scripts get 403"),
    "proxypassreverse": ("carried", "redirects to the server's own address get the public one"),
    "proxypassreversecookiedomain": ("carried", "the server's own name in cookies becomes the public one"),
    "proxypassreversecookiepath": ("lost", "paths are the same on both sides"),
    "proxytimeout": ("lost", f"see `portals.{PORTAL}.timeouts`"),
    "serveralias": ("lost", "a portal has one address"),
}
_REFUSES: Final = re.compile(r"f|forbidden|g|gone|r=4..|redirect=4..")
"""Flags of RewriteRule."""
_REWRITES: Final = re.compile(
    r"rewrite|redirect|alias|header|errordocument|substitute|setenvif|filter|satisfy|order|allow|deny"
)


@dataclass(slots=True)
class _Section:
    """What is said for a path: of one section, or of all that cover it."""

    path: str
    line: int
    is_exact: bool = False
    required: list[Directive] = field(default_factory=list)
    authenticates: bool | None = None
    lets_pass: bool | None = None
    is_closed: bool = False
    """Whether something keeps people out that is not read."""
    is_hidden: bool = False
    """Whether the server never gets such requests."""
    parameters: dict[str, str] = field(default_factory=dict)


def draft_of(text: str) -> Draft:
    """The settings that a file says. Raises CannotRead."""
    directives = parse(text)
    draft = common.begin("mod_auth_openidc")
    draft.say(("rekono", "client_authentication"), "client_secret_basic", "the default of mod_auth_openidc")
    draft.say(("rekono", "scopes"), ["openid"], "the default of mod_auth_openidc")
    reading = _Reading(draft)
    reading.read(directives)
    if not reading.has_read_something:
        raise CannotRead("has no directive of mod_auth_openidc and no <Location>")
    common.finish(draft, reading.rules(), "mod_auth_openidc")
    return draft


class _Reading:
    """One file. Methods that carry a directive over say what became of it."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._sections: list[_Section] = []
        self._servers: list[Server] = []
        self._host = ""
        self._has_tls = False
        self.has_read_something = False

    def read(self, directives: Iterable[Directive]) -> None:
        hosts = [each for each in directives if each.name == "virtualhost"]
        with_portal = [each for each in hosts if _has_portal(each.inside or ())]
        for each in directives:
            if each.name == "virtualhost" and each not in with_portal[:1]:
                words = (
                    "one virtual host is imported; import this one by itself"
                    if each in with_portal
                    else "nothing in it is about the portal"
                )
                self._note(each, "lost" if each in with_portal else "meaningless", words)
            else:
                self._read_one(each)
        if self._host:
            scheme = "https" if self._has_tls else "http"
            if "url" not in self._draft.tree["portals"][PORTAL]:
                self._draft.say((*_AT, "url"), f"{scheme}://{self._host}", "ServerName")

    def rules(self) -> Rules:
        """The routes. Each has what all sections that cover it say together."""
        rules = Rules(servers=self._servers)
        named: dict[str, int] = {}
        for section in self._sections:
            named.setdefault(section.path, section.line)
            if section.is_exact:
                named.setdefault(below(section.path), section.line)
        for path, line in named.items():
            together = _Section(path=path, line=line)
            for section in self._sections:
                if section.path == path or (not section.is_exact and covers(section.path, path)):
                    _merge(together, section)
            keys = _keys_of(together)
            if path != "/" or keys:
                comment = _comment(f"line {together.line}", together, keys)
                rules.rules.append(Rule(path=path, keys=keys, comment=comment))
        return rules

    def _note(self, directive: Directive, fate: Fate, words: str) -> None:
        name = directive.spelt if directive.inside is None else f"<{directive.spelt}>"
        self._draft.note(directive.line, name, fate, words)

    def _read_one(self, directive: Directive) -> None:
        name = directive.name
        if name in _TRANSPARENT or name == "virtualhost":
            if name == "virtualhost":
                self._has_tls = self._has_tls or any(each.endswith(":443") for each in directive.arguments)
                self._note(directive, "carried", "the portal")
            else:
                self._note(directive, "carried", "its condition is taken as true")
            for each in directive.inside or ():
                self._read_one(each)
        elif name in {"location", "locationmatch"}:
            self.has_read_something = True
            self._location(directive)
        elif name in {"directory", "directorymatch", "files", "filesmatch"}:
            self._note(directive, "meaningless", "files of Apache itself are not served")
        elif directive.inside is not None and not _narrows(directive):
            self._note(directive, "meaningless", "it keeps nobody out")
        else:
            self.has_read_something = self.has_read_something or name.startswith("oidc")
            self._plain(directive, None)

    def _plain(self, directive: Directive, section: _Section | None) -> None:
        name = directive.name
        if _narrows(directive):
            self._sections.append(_Section(path=_TO_DECIDE, line=directive.line, is_closed=True))
            self._note(
                directive, "lost", "it narrows access in a way that no key says: check-config stops at it"
            )
        elif name in _FIXED:
            self._note(directive, *_FIXED[name])
        elif name.startswith("oidcoauth"):
            self._note(directive, "lost", _PROGRAMS)
        elif name == "proxypass":
            self._note(directive, *self._proxy_pass(directive, section))
        elif handler := _CARRIED.get(name):
            value = directive.arguments[0] if directive.arguments else ""
            self._note(directive, *handler(self, directive, value))
        elif _REWRITES.search(name):
            self._note(
                directive, "lost", "the gateway rewrites and redirects nothing; the portal's server may"
            )
        elif name.startswith("ssl"):
            self._note(directive, "meaningless", _OF_APACHE)
        else:
            self._note(directive, "lost", "the import does not know this directive")

    # Sections of paths.

    def _location(self, directive: Directive) -> None:
        arguments = directive.arguments
        is_pattern = directive.name == "locationmatch" or arguments[:1] == ("~",)
        expression = arguments[-1] if arguments else ""
        if "${" in expression:
            found = None
        elif is_pattern:
            covered = paths_of(expression)
            found = None if covered is None else [(each.path, each.is_exact) for each in covered]
        else:
            is_path = re.fullmatch(r"/[A-Za-z0-9._~/-]*", expression) is not None
            found = [(expression.rstrip("/") or "/", False)] if is_path else None
        if found is not None and any("*" in path or "//" in path for path, _ in found):
            found = None
        said = _Section(path="/", line=directive.line)
        for each in directive.inside or ():
            self._in_location(each, said, found[0][0] if found else None)
        if found is not None:
            for path, is_exact in found:
                section = _Section(path=path, line=directive.line, is_exact=is_exact)
                _merge(section, said)
                self._sections.append(section)
            self._note(directive, "carried", f"portals.{PORTAL}.routes")
        elif set(_keys_of(said)) <= {"access"} and _keys_of(said).get("access") != "deny":
            self._note(directive, "lost", "no path says this; there a session is enough, as elsewhere")
        else:
            self._sections.append(_Section(path=_TO_DECIDE, line=directive.line, is_closed=True))
            self._note(
                directive, "lost", "no path says this, and it narrows access: check-config stops at it"
            )

    def _in_location(self, directive: Directive, said: _Section, path: str | None) -> None:
        name, arguments = directive.name, directive.arguments
        first = arguments[0] if arguments else ""
        if name in _TRANSPARENT:
            for each in directive.inside or ():
                self._in_location(each, said, path)
        elif name == "require" or name in apache_requirements.SECTIONS:
            said.required.append(directive)
            is_known = apache_requirements.keys_of([directive]) is not None
            words = "of the route" if is_known else "no key of a route says this; nobody comes in by it"
            self._note(directive, "carried" if is_known else "lost", words)
        elif name == "authtype":
            said.authenticates = first.lower() in {"openid-connect", "auth-openidc"}
            said.is_closed = said.is_closed or not (said.authenticates or first.lower() == "none")
            self._note(
                directive,
                "carried" if said.authenticates else "lost",
                "people sign in at the provider"
                if said.authenticates
                else "nobody signs in another way: nobody comes in by it",
            )
        elif name in {"authmerging", "allow", "deny", "order", "satisfy"}:
            said_here = (name, *map(str.lower, arguments))
            if (
                said_here == ("allow", "from", "all")
                or name == "order"
                or said_here == ("authmerging", "off")
            ):
                self._note(directive, "meaningless", "every route says who may come in")
            else:
                said.is_closed = True
                self._note(directive, "lost", "this rule of access is not read: nobody comes in by it")
        elif name == "oidcunauthaction":
            said.lets_pass = first.lower() == "pass"
            self._note(
                directive,
                "carried" if said.lets_pass else "meaningless",
                "`access: public`: the portal learns who it is, if anybody is signed in"
                if said.lets_pass
                else "people get a page to sign in and scripts 401, everywhere",
            )
        elif name == "oidcpathauthrequestparams":
            found, refused = _parameters(first)
            said.parameters |= found
            self._note(directive, *_fate_of_parameters("rekono_parameters of the route", refused))
        elif directive.inside is not None:
            said.is_closed = True
            self._note(
                directive, "lost", "what depends on a condition is not carried over: nobody comes in by it"
            )
        else:
            self._plain(directive, _Section(path=path or "", line=directive.line))

    def _proxy_pass(self, directive: Directive, section: _Section | None) -> tuple[Fate, str]:
        arguments = list(directive.arguments)
        path = section.path if section is not None else arguments.pop(0) if arguments else ""
        url = arguments[0] if arguments else ""
        inner = common.path_of(url)
        origin = common.origin_of(url)
        if match := re.fullmatch(r"unix:(/[^|]+)\|https?://[^/]*(/.*)?", url):
            origin, inner = f"unix:{match[1]}", match[2] or "/"
        if url == "!" and re.fullmatch(r"/[A-Za-z0-9._~/-]*", path):
            where = path.rstrip("/") or "/"
            self._sections.append(_Section(path=where, line=directive.line, is_hidden=True))
            return "carried", "`access: deny`: the server never gets such requests"
        if url.startswith(("ws://", "wss://")):
            return "meaningless", "WebSockets pass to the server of their path"
        if not path.startswith("/") or origin is None or "$" in url:
            return "lost", "it names no server by http"
        if (inner or "/").rstrip("/") != path.rstrip("/"):
            return "lost", "the server would get another path than the browser asked for"
        if path.rstrip("/") == "":
            self._draft.say((*_AT, "upstream"), origin, f"ProxyPass, line {directive.line}")
        else:
            comment = f"ProxyPass, line {directive.line}"
            self._servers.append(Server(path=path.rstrip("/"), upstream=origin, comment=comment))
        return "carried", "upstream"

    # Directives that are carried over.

    def _say(self, path: tuple[str, ...], value: object, directive: Directive) -> tuple[Fate, str]:
        self._draft.say(path, value, f"{directive.spelt}, line {directive.line}")
        return "carried", ".".join(path)

    def server_name(self, directive: Directive, value: str) -> tuple[Fate, str]:
        del directive
        origin = common.origin_of(value if "://" in value else f"https://{value}")
        if origin is None:
            return "lost", f"set `portals.{PORTAL}.url`"
        self._host = origin.partition("://")[2]
        self._has_tls = self._has_tls or value.startswith("https://")
        return "carried", f"portals.{PORTAL}.url"

    def certificate(self, directive: Directive, value: str) -> tuple[Fate, str]:
        self._has_tls = True
        return self._say(("server", "tls", "certificate_file"), value, directive)

    def key(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say(("server", "tls", "key_file"), value, directive)

    def metadata(self, directive: Directive, value: str) -> tuple[Fate, str]:
        if not value.endswith(_DISCOVERY) or "${" in value:
            return "lost", "set `rekono.issuer`"
        return self._say(("rekono", "issuer"), value.removesuffix(_DISCOVERY), directive)

    def issuer(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say(("rekono", "issuer"), value, directive)

    def client_id(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say(("rekono", "client_id"), value, directive)

    def client_secret(self, directive: Directive, value: str) -> tuple[Fate, str]:
        del value
        where = f"{directive.spelt}, line {directive.line}: the secret is not repeated here"
        common.client_secret(self._draft, where)
        return "carried", "rekono.client_secret_file names a file; put the secret there"

    def client_authentication(self, directive: Directive, value: str) -> tuple[Fate, str]:
        method = value.partition(":")[0]
        if method not in {"client_secret_basic", "client_secret_post", "private_key_jwt"}:
            return "lost", "see `rekono.client_authentication`"
        return self._say(("rekono", "client_authentication"), method, directive)

    def private_key(self, directive: Directive, value: str) -> tuple[Fate, str]:
        key_id, separator, file = value.removeprefix("sig:").rpartition("#")
        if separator:
            self._draft.say(("rekono", "client_key_id"), key_id)
        return self._say(("rekono", "client_key_file"), file, directive)

    def scope(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say(("rekono", "scopes"), value.split(), directive)

    def redirect_uri(self, directive: Directive, value: str) -> tuple[Fate, str]:
        origin = common.origin_of(value)
        if origin is None:
            return "meaningless", "the redirect URI is below /.authproxy/ of the portal's url"
        return self._say((*_AT, "url"), origin, directive)

    def request_parameters(self, directive: Directive, value: str) -> tuple[Fate, str]:
        found, refused = _parameters(value)
        for name in tuple(found):
            if name == "prompt":
                self._say(("rekono", "prompt"), found.pop(name), directive)
            elif name == "max_age" and found[name].isdigit():
                self._say(("rekono", "max_age"), f"{found.pop(name)}s", directive)
        if found:
            self._say(("rekono", "parameters"), found, directive)
        return _fate_of_parameters("rekono.parameters", refused)

    def idle(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._session_time("idle", directive, value)

    def lifetime(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._session_time("absolute", directive, value)

    def _session_time(self, key: str, directive: Directive, value: str) -> tuple[Fate, str]:
        comment = f"{directive.spelt}, line {directive.line}"
        return common.session_time(self._draft, key, value, comment)

    def userinfo(self, directive: Directive, value: str) -> tuple[Fate, str]:
        if value:
            return "meaningless", _ENDPOINTS
        return self._say(("rekono", "userinfo"), "off", directive)

    def algorithm(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say(("rekono", "algorithm"), value, directive)

    def audiences(self, directive: Directive, value: str) -> tuple[Fate, str]:
        del value
        client_id = self._draft.tree["rekono"].get("client_id")
        others = [each for each in directive.arguments if each != client_id]
        return self._say(("rekono", "audiences"), others, directive)

    def authority(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say(("rekono", "ca_file"), value, directive)

    def redis(self, directive: Directive, value: str) -> tuple[Fate, str]:
        if not re.fullmatch(r"[A-Za-z0-9.\[\]:-]+", value):
            return "lost", "name the store in `store`"
        return self._say(("store", "url"), f"redis://{value}", directive)

    def redis_user(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say(("store", "username"), value, directive)

    def redis_password(self, directive: Directive, value: str) -> tuple[Fate, str]:
        del value
        file = self._draft.needs_file("store-password", "write the store's password into it; mode 0600")
        return self._say(("store", "password_file"), file, directive)

    def redis_database(self, directive: Directive, value: str) -> tuple[Fate, str]:
        url = self._draft.tree["store"].get("url")
        if url is None or not value.isdigit():
            return "lost", "write the number behind `store.url`"
        return self._say(("store", "url"), f"{url}/{value}", directive)

    def preserve_host(self, directive: Directive, value: str) -> tuple[Fate, str]:
        return self._say((*_AT, "preserve_host"), value.lower() == "on", directive)

    def forwarded(self, directive: Directive, value: str) -> tuple[Fate, str]:
        del directive, value
        self._draft.gaps.append("server.trusted_proxies: the addresses of the proxies in front")
        return "carried", "server.trusted_proxies; nobody is trusted without it"


_Handler = Callable[[_Reading, Directive, str], tuple[Fate, str]]
_CARRIED: Final[dict[str, _Handler]] = {
    "oidcauthrequestparams": _Reading.request_parameters,
    "oidccabundlepath": _Reading.authority,
    "oidcclientid": _Reading.client_id,
    "oidcclientsecret": _Reading.client_secret,
    "oidcidtokenaudvalues": _Reading.audiences,
    "oidcidtokensignedresponsealg": _Reading.algorithm,
    "oidcprivatekeyfiles": _Reading.private_key,
    "oidcproviderissuer": _Reading.issuer,
    "oidcprovidermetadataurl": _Reading.metadata,
    "oidcprovidertokenendpointauth": _Reading.client_authentication,
    "oidcprovideruserinfoendpoint": _Reading.userinfo,
    "oidcredirecturi": _Reading.redirect_uri,
    "oidcrediscachedatabase": _Reading.redis_database,
    "oidcrediscachepassword": _Reading.redis_password,
    "oidcrediscacheserver": _Reading.redis,
    "oidcrediscacheusername": _Reading.redis_user,
    "oidcscope": _Reading.scope,
    "oidcsessioninactivitytimeout": _Reading.idle,
    "oidcsessionmaxduration": _Reading.lifetime,
    "oidcxforwardedheaders": _Reading.forwarded,
    "proxypreservehost": _Reading.preserve_host,
    "servername": _Reading.server_name,
    "sslcertificatefile": _Reading.certificate,
    "sslcertificatekeyfile": _Reading.key,
}


def _narrows(directive: Directive) -> bool:
    """Whether it keeps somebody out, outside of the sections of paths that are read."""
    name, said = directive.name, tuple(argument.lower() for argument in directive.arguments)
    if directive.inside is not None:
        return name == "requirenone" or any(map(_narrows, directive.inside))
    match name:
        case "require":
            return said != ("all", "granted")
        case "deny" | "sslrequire":
            return True
        case "sslverifyclient":
            return said != ("none",)
        case "redirect" | "redirectmatch":
            return said[:1] in {("403",), ("404",), ("410",), ("gone",)}
        case "rewriterule":
            flags = said[-1].strip("[]").split(",") if said else []
            return any(_REFUSES.fullmatch(flag.strip()) for flag in flags)
        case _:
            return False


def _has_portal(directives: Iterable[Directive]) -> bool:
    return any(
        each.name.startswith("oidc")
        or each.name in {"location", "locationmatch", "proxypass"}
        or _has_portal(each.inside or ())
        for each in directives
    )


def _merge(into: _Section, section: _Section) -> None:
    """The later statement counts; requirements replace each other as a whole (`AuthMerging Off`)."""
    if section.required:
        into.required, into.line = section.required, section.line
    if section.authenticates is not None:
        into.authenticates = section.authenticates
    if section.lets_pass is not None:
        into.lets_pass = section.lets_pass
    into.is_closed = into.is_closed or section.is_closed
    into.is_hidden = into.is_hidden or section.is_hidden
    into.parameters = into.parameters | section.parameters


def _keys_of(section: _Section) -> Keys:
    keys = apache_requirements.keys_of(section.required) if section.required else {}
    if keys is None or section.is_closed or section.is_hidden:
        return {"access": "deny"}
    if section.lets_pass and keys == {}:
        keys = {"access": "public"}
    if section.parameters and "access" not in keys:
        keys = keys | {"rekono_parameters": dict(section.parameters)}
    return keys


def _comment(line: str, section: _Section, keys: Keys) -> str:
    is_unread = section.is_closed or apache_requirements.keys_of(section.required) is None
    if section.required and is_unread and not section.is_hidden:
        return f"{line}: no key says what it demands, so it is closed until you decide"
    if "roles" in keys:
        return f"{line}; {common.ROLES_ARE_IN_THE_REGISTER}"
    return line


def _parameters(text: str) -> tuple[dict[str, str], list[str]]:
    """The parameters that can be sent, and the names of the others."""
    found: dict[str, str] = {}
    refused: list[str] = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        try:
            if name not in {"prompt", "max_age"}:
                provider_demand.check(name, value)
        except provider_demand.NotAskable:
            refused.append(name)
        else:
            if value == "#":  # the parameter of that name in the request
                refused.append(name)
            else:
                found[name] = value
    return found, refused


def _fate_of_parameters(where: str, refused: list[str]) -> tuple[Fate, str]:
    if refused:
        # Only names are repeated. Text that is no list of parameters may be anything.
        names = [
            name if re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name) else "something else" for name in refused
        ]
        return "lost", f"{', '.join(names)} cannot be set; the others are in {where}"
    return "carried", where

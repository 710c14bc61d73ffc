"""`authproxy import`: settings that say what another configuration says, and what became of each statement."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authproxy.bootstrap.portals import portal_of
from authproxy.cli import main
from authproxy.cli.imports import common, mod_auth_openidc, oauth2_proxy
from authproxy.cli.imports.draft import CannotRead
from authproxy.identity.member import ROLE
from authproxy.settings.sources import read
from tests.support.machine import MACHINE

SECRETS = ("a-client-secret-of-good-length", "cookie-secret-0123456789abcdef01", "store-password-8")


def imported(product: str, folder: Path, text: str):
    """The settings as YAML says them, their text, and the report."""
    file = folder / "other.conf"
    file.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["import", product, str(file)])
    assert result.exit_code == 0, result.output
    for secret in SECRETS:
        assert secret not in result.stdout + result.stderr
    return yaml.safe_load(result.stdout), result.stdout, result.stderr.replace(f"{file}:", "")


def portal(product: str, folder: Path, text: str):
    return imported(product, folder, text)[0]["portals"]["portal"]


def loaded(folder: Path, text: str):
    """The settings, after the operator has made the files that the report names."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    random = base64.b64encode(os.urandom(32))
    secret = SECRETS[0].encode()
    for name, content in {
        "session-keys": random,
        "audit-key": random,
        "client-secret": secret,
        "store-password": secret,
        "assertion-current.pem": pem,
    }.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    (folder / "authproxy.yaml").write_text(text, encoding="utf-8")
    return read(folder / "authproxy.yaml", {}, machine=MACHINE)


def errors(reading) -> list[str]:
    return [str(finding) for finding in reading.findings if finding.severity == "error"]


def decided_at(reading, path: str, method: str = "GET"):
    """Who may come in there, and the server if it is not the portal's."""
    route = portal_of("portal", reading.settings.portals["portal"], ("rekono",)).route(path, method)
    demanded = route.requirement
    roles = sorted(role for group in demanded.roles for role in group)
    networks = sorted(str(network) for group in demanded.networks for network in group)
    return route.access, *roles, *networks, *([route.upstream] if route.upstream else [])


OAUTH2_PROXY = f"""
http_address = "127.0.0.1:4180"
reverse_proxy = "true"
trusted_proxy_ips = ["127.0.0.1"]
provider = "keycloak-oidc"
oidc_issuer_url = "https://login.example/realms/bank"
client_id = "portal"
client_secret = "{SECRETS[0]}"   # a secret
cookie_secret = "{SECRETS[1]}"
cookie_expire = "8h"
redirect_url = "https://portal.bank.si/oauth2/callback"
email_domains = "*"
whitelist_domains = ".bank.si"
upstreams = ["http://127.0.0.1:8080/", "http://127.0.0.1:8081/reports/"]
upstream_timeout = "2m"
pass_host_header = false
skip_auth_routes = ["GET=^/health$", "^/assets/", "^/reports/open", "^/(css|js)/"]
skip_auth_preflight = true
allowed_groups = ["ops"]
redis_connection_url = "redis://gate:{SECRETS[2]}@127.0.0.1:6379/1"
"""


def test_what_is_off_in_oauth2_proxy_is_not_called_lost(tmp_path):
    off = 'pass_access_token = false\nssl_insecure_skip_verify = "false"\nset_authorization_header = true\n'
    _, _, report = imported("oauth2-proxy", tmp_path, OAUTH2_PROXY + off)
    assert "pass_access_token: no meaning here: it is off" in report
    assert "ssl_insecure_skip_verify: no meaning here: it is off" in report
    assert "set_authorization_header: NOT CARRIED" in report


def test_a_configuration_of_oauth2_proxy_loads_and_decides_as_it_did(tmp_path):
    _, text, report = imported("oauth2-proxy", tmp_path, OAUTH2_PROXY)
    assert "NOT CARRIED" not in report
    reading = loaded(tmp_path, text)
    assert errors(reading) == []
    settings, of_portal = reading.settings, reading.settings.portals["portal"]
    assert (of_portal.url, of_portal.upstream) == ("https://portal.bank.si", "http://127.0.0.1:8080")
    assert (of_portal.preserve_host, of_portal.preflight) == (False, "pass")
    assert of_portal.timeouts.first_byte.total_seconds() == 120
    assert (settings.server.listen, settings.server.trusted_proxies) == (("127.0.0.1:4180",), ("127.0.0.1",))
    assert settings.rekono.issuer == "https://login.example/realms/bank"
    assert (settings.store.url, settings.store.username) == ("redis://127.0.0.1:6379/1", "gate")
    assert settings.sessions.absolute.total_seconds() == 8 * 3600
    reports = "http://127.0.0.1:8081"
    for path, decided in {
        "/": ("required", "ops"),
        "/health": ("public",),
        "/health/deep": ("required", "ops"),
        "/assets/x.css": ("public",),
        "/assets": ("public",),
        "/assetsx": ("required", "ops"),
        "/css/x": ("public",),
        "/reports/2026": ("required", "ops", reports),
        "/reports/open/1": ("public", reports),
    }.items():
        assert decided_at(reading, path) == decided, path
    assert decided_at(reading, "/health", "POST") == ("required", "ops")


def test_every_statement_of_a_file_has_a_line_in_the_report(tmp_path):
    _, _, report = imported("oauth2-proxy", tmp_path, OAUTH2_PROXY)
    names = re.findall(r"^\d+: (\w+): ", report, re.MULTILINE)
    assert names == re.findall(r"^(\w+) =", OAUTH2_PROXY, re.MULTILINE)
    assert f"{len(names)} statements, 0 not carried" in report
    assert "make client-secret: " in report


NAMES = """
acr_values allow_query_semicolons allowed_groups api_routes approval_prompt auth-request-response-mode auth_logging
auth_logging_format authenticated_emails_file backend_logout_url banner basic_auth_password client_id client_secret
bearer_token_login_fallback client_secret_file code_challenge_method cookie_csrf_expire cookie_csrf_per_request
cookie_csrf_per_request_limit cookie_csrf_samesite cookie_domains cookie_expire cookie_httponly cookie_name
cookie_path cookie_refresh cookie_samesite cookie_secret cookie_secret_file cookie_secure custom_sign_in_logo
custom_templates_dir disable_keep_alives display_htpasswd_form email_domains encode_state errors_to_info_log
exclude_logging_paths extra_jwt_issuers flush_interval footer force_https force_json_errors gcp_healthchecks
htpasswd_file htpasswd_user_groups http_address https_address insecure_oidc_allow_unverified_email
insecure_oidc_skip_issuer_verification insecure_oidc_skip_nonce jwt_key jwt_key_file logging_compress
logging_filename logging_local_time logging_max_age logging_max_backups logging_max_size login_url metrics_address
metrics_secure_address metrics_tls_cert_file metrics_tls_key_file oidc_audience_claims oidc_email_claim
oidc_enabled_signing_algs oidc_extra_audiences oidc_groups_claim oidc_issuer_url oidc_jwks_url oidc_public_key_files
pass_access_token pass_authorization_header pass_basic_auth pass_host_header pass_user_headers ping_path
ping_user_agent prefer_email_to_user profile_url prompt provider provider_ca_files provider_display_name
proxy_prefix proxy_websockets pubjwk_url ready_path real_client_ip_header redeem_url redirect_url redis_ca_path
redis_cluster_connection_urls redis_connection_idle_timeout redis_connection_url redis_insecure_skip_tls_verify
redis_password redis_sentinel_connection_urls redis_sentinel_master_name redis_sentinel_password redis_use_cluster
redis_use_sentinel relative_redirect_url request_id_header request_logging request_logging_format reverse_proxy
scope session_cookie_minimal session_store_type set_authorization_header set_basic_auth set_xauthrequest
show_debug_on_error signature_key silence_ping_logging skip_auth_preflight skip_auth_regex skip_auth_routes
skip_auth_strip_headers skip_claims_from_profile_url skip_jwt_bearer_tokens skip_oidc_discovery skip_provider_button
ssl_insecure_skip_verify ssl_upstream_insecure_skip_verify standard_logging standard_logging_format tls_cert_file
tls_cipher_suites tls_key_file tls_min_version trusted_ips trusted_proxy_ips upstream_timeout upstreams
use_system_trust_store validate_url whitelist_domains
"""
DOCUMENTED = NAMES.split()
"""The names in the documentation of oauth2-proxy, version 7.15."""


@pytest.mark.parametrize("value", ['""', '"x"', "true", "[]", '["x"]', "7"])
def test_all_documented_keys_of_oauth2_proxy_are_known_whatever_their_value_is(tmp_path, value):
    _, _, report = imported("oauth2-proxy", tmp_path, "".join(f"{name} = {value}\n" for name in DOCUMENTED))
    assert "that the import knows" not in report
    assert f"{len(DOCUMENTED)} statements" in report


@pytest.mark.parametrize(
    ("text", "fate"),
    [
        ('provider = "github"', "NOT CARRIED"),
        ('provider = "google"', "carried"),
        ('trusted_ips = ["10.0.0.0/8"]', "NOT CARRIED"),
        ('trusted_proxy_ips = "0.0.0.0/0"', "NOT CARRIED"),
        ('skip_auth_routes = "!=^/x"', "NOT CARRIED"),
        ('skip_auth_routes = "\\\\.css$"', "NOT CARRIED"),
        ('skip_auth_regex = "^/a=b"', "NOT CARRIED"),
        ('upstreams = "static://202"', "NOT CARRIED"),
        ('upstreams = "http://a/b%2f"', "NOT CARRIED"),
        ('upstreams = "unix:///run/app.sock"', "carried"),
        ('http_address = "fd:3"', "NOT CARRIED"),
        ('http_address = ":4180"', "carried"),
        ('http_address = "-"', "no meaning here"),
        ('https_address = ":443"', "no meaning here"),
        ('redirect_url = "/oauth2/callback"', "NOT CARRIED"),
        ('redirect_url = "https://a:99999/"', "NOT CARRIED"),
        ('redis_connection_url = "rediss://127.0.0.1"', "carried"),
        ('redis_connection_url = "redis://only-a-user@127.0.0.1"', "carried"),
        (f'redis_connection_url = "redis://:{SECRETS[2]}@127.0.0.1"', "carried"),
        ('redis_connection_url = "memcached://x"', "NOT CARRIED"),
        ('oidc_enabled_signing_algs = ["RS256", "ES256"]', "NOT CARRIED"),
        ('oidc_enabled_signing_algs = ["ES256"]', "carried"),
        ('provider_ca_files = ["a.pem", "b.pem"]', "NOT CARRIED"),
        ('provider_ca_files = ["a.pem"]', "carried"),
        ('upstream_timeout = "soon"', "NOT CARRIED"),
        ('cookie_expire = "0"', "NOT CARRIED"),
        ("reverse_proxy = false", "no meaning here"),
        ("reverse_proxy = true", "carried"),
        ("skip_auth_preflight = false", "no meaning here"),
        ("skip_jwt_bearer_tokens = false", "no meaning here"),
        ("skip_jwt_bearer_tokens = true", "NOT CARRIED"),
        ("proxy_websockets = false", "NOT CARRIED"),
        ("proxy_websockets = true", "no meaning here"),
        ("pass_user_headers = false", "NOT CARRIED"),
        ("pass_user_headers = true", "carried"),
        ("allowed_groups = []", "no meaning here"),
        ('metrics_address = ""', "no meaning here"),
        ('metrics_address = "127.0.0.1:44180"', "carried"),
        ("some_key = 1", "NOT CARRIED"),
        ('scope = "openid email"', "carried"),
        ('prompt = "login"', "carried"),
        ('acr_values = "high"', "carried"),
        ('oidc_extra_audiences = ["a"]', "carried"),
        ('oidc_email_claim = "mail"', "carried"),
        ('client_secret_file = "/run/secret"', "carried"),
        (f'redis_password = "{SECRETS[2]}"', "carried"),
        ('code_challenge_method = "S256"', "no meaning here"),
    ],
)
def test_what_becomes_of_a_statement_of_oauth2_proxy(tmp_path, text, fate):
    _, _, report = imported("oauth2-proxy", tmp_path, text)
    name = text.partition(" ")[0]
    assert re.search(rf"^1: {name}: {fate}: ", report, re.MULTILINE), report


@pytest.mark.parametrize(
    "text",
    [
        'email_domains = ["bank.si"]',
        'authenticated_emails_file = "/etc/emails"',
        'allowed_groups = "ops"',
    ],
)
def test_what_narrows_access_in_another_way_lets_nobody_in_until_the_register_has_people(tmp_path, text):
    assert portal("oauth2-proxy", tmp_path, text)["members"] == "register"


def test_certificates_of_the_gateway_are_taken_over_together(tmp_path):
    text = 'https_address = ":443"\ntls_cert_file = "/etc/tls/a.pem"\ntls_key_file = "/etc/tls/a.key"\n'
    server = imported("oauth2-proxy", tmp_path, text)[0]["server"]
    assert server == {
        "listen": ["0.0.0.0:443"],
        "tls": {"certificate_file": "/etc/tls/a.pem", "key_file": "/etc/tls/a.key"},
    }


def test_what_a_file_does_not_say_is_to_be_filled_in(tmp_path):
    _, text, report = imported("oauth2-proxy", tmp_path, 'cookie_name = "x"\nprovider = "oidc"\n')
    for gap in ("portals.portal.url", "portals.portal.upstream", "rekono.issuer", "rekono.client_id"):
        assert f"fill in: {gap}" in report
        assert f"# To fill in: {gap}" in text


def test_a_gateway_that_passes_requests_on_is_asked_by_no_proxy(tmp_path):
    tree, _, report = imported("oauth2-proxy", tmp_path, 'upstreams = ["http://10.0.0.5:9001/"]\n')
    assert tree["server"]["subrequests"] == []
    assert "server.subrequests" not in report
    tree, _, report = imported("oauth2-proxy", tmp_path, 'cookie_name = "x"\n')
    assert "subrequests" not in tree["server"]
    assert "fill in: server.subrequests" in report


APACHE = f"""
LoadModule auth_openidc_module modules/mod_auth_openidc.so
OIDCProviderMetadataURL https://login.example/realms/bank/.well-known/openid-configuration
OIDCClientID portal
OIDCClientSecret "{SECRETS[0]}"
OIDCCryptoPassphrase {SECRETS[1]}
OIDCRedirectURI https://portal.bank.si/secure/redirect_uri
OIDCScope "openid email"
OIDCSessionInactivityTimeout 300
OIDCRedisCacheServer 127.0.0.1:6379
OIDCRedisCacheDatabase 1
OIDCRedisCachePassword {SECRETS[2]}
<VirtualHost *:80>
    ServerName portal.bank.si
    Redirect permanent / https://portal.bank.si/
</VirtualHost>
<VirtualHost *:443>
    ServerName portal.bank.si
    ProxyPreserveHost On
    ProxyPass /api http://127.0.0.1:9090/api
    ProxyPass / http://127.0.0.1:8080/
    ProxyPassReverse / http://127.0.0.1:8080/
    <Location />
        AuthType openid-connect
        Require valid-user
    </Location>
    <Location /api>
        OIDCUnAuthAction 401
        Require claim roles:api roles:admin
    </Location>
    <Location /api/open>
        Require all granted
    </Location>
    <Location "/status">
        OIDCUnAuthAction pass
    </Location>
    <Location /internal>
        Require all denied
    </Location>
    <LocationMatch "^/robots\\.txt$">
        Require all granted
    </LocationMatch>
    <Location /payments>
        <RequireAll>
            Require claim department:finance
            Require ip 10.0.0.0/8
        </RequireAll>
        OIDCPathAuthRequestParams acr_values=high
    </Location>
    <Location /odd>
        Require expr "%{{TIME_HOUR}} -gt 8"
    </Location>
</VirtualHost>
"""


def test_a_configuration_of_mod_auth_openidc_loads_and_decides_as_it_did(tmp_path):
    _, text, report = imported("mod_auth_openidc", tmp_path, APACHE)
    assert re.findall(r"^\d+: (\S+): NOT CARRIED", report, re.MULTILINE) == ["Require"]
    reading = loaded(tmp_path, text)
    assert errors(reading) == []
    settings, of_portal = reading.settings, reading.settings.portals["portal"]
    assert (of_portal.url, of_portal.upstream) == ("https://portal.bank.si", "http://127.0.0.1:8080")
    assert settings.rekono.issuer == "https://login.example/realms/bank"
    assert settings.rekono.scopes == ("openid", "email")
    assert settings.rekono.client_authentication == "client_secret_basic"
    assert (settings.sessions.idle.total_seconds(), settings.store.url) == (300, "redis://127.0.0.1:6379/1")
    api = "http://127.0.0.1:9090"
    for path, decided in {
        "/": ("required",),
        "/x": ("required",),
        "/api/1": ("required", "admin", "api", api),
        "/api/open/1": ("public", api),
        "/apis": ("required",),
        "/status": ("public",),
        "/internal/x": ("deny",),
        "/robots.txt": ("public",),
        "/robots.txt/x": ("required",),
        "/payments/1": ("required", "department.finance", "10.0.0.0/8"),
        "/odd": ("deny",),
    }.items():
        assert decided_at(reading, path) == decided, path


def test_every_directive_of_apache_has_a_line_in_the_report(tmp_path):
    _, _, report = imported("mod_auth_openidc", tmp_path, APACHE)
    in_report = {int(line) for line in re.findall(r"^(\d+): ", report, re.MULTILINE)}
    lines = APACHE.split("\n")
    # The first virtual host and <RequireAll> are judged as a whole.
    inside = set(range(lines.index("<VirtualHost *:80>") + 2, lines.index("<VirtualHost *:443>")))
    inside |= {number for number, line in enumerate(lines, 1) if line.startswith(" " * 12)}
    said = {
        number
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.strip().startswith("</") and number not in inside
    }
    assert said == in_report


DIRECTIVES = """
AuthNHeader AuthRequestParams BlackListedClaims CABundlePath CacheDir CacheEncrypt CacheFileCleanInterval
CacheShmEntrySizeMax CacheShmMax CacheType CertBoundAccessTokens ClaimDelimiter ClaimPrefix ClientContact ClientID
ClientJwksUri ClientName ClientSecret ClientTokenEndpointCert ClientTokenEndpointKey ClientTokenEndpointKeyPassword
Cookie CookieDomain CookieHTTPOnly CookiePath CookieSameSite CryptoPassphrase DPoPMode DebugMaskSecrets
DefaultLoggedOutURL DefaultURL DiscoverIssuersAllowed DiscoverURL FilterClaimsExpr HTTPTimeoutLong HTTPTimeoutShort
IDTokenAudValues IDTokenEncryptedResponseAlg IDTokenEncryptedResponseEnc IDTokenIatSlack IDTokenSignedResponseAlg
InfoHook JWKSRefreshInterval LogoutRequestParams LogoutXFrameOptions MemCacheConnectionsHMax MemCacheConnectionsMin
MemCacheConnectionsSMax MemCacheConnectionsTTL MemCacheServers MetadataDir MetricsData MetricsPublish
OAuthAcceptTokenAs OAuthClientID OAuthClientSecret OAuthIntrospectionEndpoint OAuthVerifyJwksUri OutgoingProxy
PKCEMethod PassAccessToken PassClaimsAs PassCookies PassIDTokenAs PassRefreshToken PassUserInfoAs
PathAuthRequestParams PathScope PreservePost PreservePostTemplates PrivateKeyFiles Profile
ProviderAuthRequestMethod ProviderAuthorizationEndpoint ProviderBackChannelLogoutSupported
ProviderCheckSessionIFrame ProviderEndSessionEndpoint ProviderIssuer ProviderJwksUri
ProviderMetadataRefreshInterval ProviderMetadataURL ProviderPushedAuthorizationRequestEndpoint
ProviderRegistrationEndpointJson ProviderRevocationEndpoint ProviderSignedJwksUri ProviderTokenEndpoint
ProviderTokenEndpointAuth ProviderTokenEndpointParams ProviderUserInfoEndpoint ProviderVerifyCertFiles
PublicKeyFiles RedirectURI RedirectURLsAllowed RedisCacheConnectTimeout RedisCacheDatabase RedisCachePassword
RedisCacheServer RedisCacheTimeout RedisCacheUsername RefreshAccessTokenBeforeExpiry RemoteUserClaim RequestObject
ResponseMode ResponseType SSLValidateServer Scope SessionCacheFallbackToCookie SessionCookieChunkSize
SessionInactivityTimeout SessionMaxDuration SessionType StateCookiePrefix StateInputHeaders
StateMaxNumberOfCookies StateTimeout StripCookies TraceParent UnAuthAction UnAutzAction UserInfoClaimsExpr
UserInfoEncryptedResponseAlg UserInfoEncryptedResponseEnc UserInfoRefreshInterval UserInfoSignedResponseAlg
UserInfoTokenMethod ValidateIssuer WhiteListedClaims XForwardedHeaders
"""
"""The directives in the reference of mod_auth_openidc, version 2.4.20, without `OIDC`."""


@pytest.mark.parametrize("value", ["", "x", '"" b', "12"])
def test_all_documented_directives_of_the_module_are_known_whatever_their_value_is(tmp_path, value):
    text = "".join(f"OIDC{name} {value}\n" for name in DIRECTIVES.split())
    _, _, report = imported("mod_auth_openidc", tmp_path, text)
    assert "does not know" not in report
    assert f"{len(DIRECTIVES.split())} statements" in report


def test_a_later_section_of_apache_counts_more_than_an_earlier_one(tmp_path):
    text = (
        "<Location /a/b>\nRequire all granted\n</Location>\n"
        "<Location /a>\nRequire claim roles:x\n</Location>\n"
        "<Location /a/c>\nOIDCUnAuthAction pass\n</Location>\n"
    )
    found = portal("mod_auth_openidc", tmp_path, text)["routes"]
    assert [(route["path"], route.get("roles"), route.get("access")) for route in found] == [
        ("/a/b", ["x"], None),
        ("/a/c", ["x"], None),
        ("/a", ["x"], None),
    ]


def test_a_server_below_a_section_of_apache_is_for_those_whom_the_section_lets_in(tmp_path):
    text = (
        "ProxyPass /admin/reports http://b:1/admin/reports\nProxyPass / http://b:2/\n"
        "<Location />\nRequire claim roles:clerk\n</Location>\n"
        "<Location /admin>\nRequire claim roles:boss\n</Location>\n"
    )
    found = portal("mod_auth_openidc", tmp_path, text)["routes"]
    assert [(route["path"], route.get("roles")) for route in found] == [
        ("/admin/reports", ["boss"]),
        ("/admin", ["boss"]),
        ("/", ["clerk"]),
    ]


def test_a_rule_that_narrows_access_and_cannot_be_said_stops_the_check(tmp_path):
    text = '<LocationMatch "\\.bak$">\nRequire all denied\n</LocationMatch>\n'
    _, written, report = imported("mod_auth_openidc", tmp_path, text)
    assert "check-config stops at it" in report
    assert any("TO BE DECIDED" in error for error in errors(loaded(tmp_path, written)))


@pytest.mark.parametrize(
    "text",
    [
        "<Proxy *>\nRequire ip 10.0.0.0/8\n</Proxy>",
        "RewriteRule ^/x - [F]",
        "RedirectMatch gone ^/x",
        "SSLVerifyClient require",
        '<If "%{REQUEST_URI} =~ m#x#">\nRequire all denied\n</If>',
        '<LocationMatch "x">\nAuthType Basic\nRequire valid-user\n</LocationMatch>',
    ],
)
def test_whatever_else_keeps_people_out_stops_the_check(tmp_path, text):
    _, written, _ = imported("mod_auth_openidc", tmp_path, f"{text}\n<Location />\n</Location>\n")
    assert any("TO BE DECIDED" in error for error in errors(loaded(tmp_path, written)))


def test_what_no_server_got_gets_nowhere(tmp_path):
    text = "ProxyPass /app http://b:1/app\nProxyPass /app/inner !\n<Location /x>\nRequire all granted\n</Location>\n"
    of_portal = portal("mod_auth_openidc", tmp_path, text)
    assert of_portal["upstream"] == "http://b:1"
    assert [(route["path"], route.get("access", "required")) for route in of_portal["routes"]] == [
        ("/app/inner", "deny"),
        ("/x", "deny"),
        ("/app", "required"),
        ("/", "deny"),
    ]
    text = 'upstreams = ["http://b:1/app/"]\nallowed_groups = ["ops"]\n'
    of_portal = portal("oauth2-proxy", tmp_path, text)
    assert of_portal["routes"] == [
        {"path": "/app", "roles": ["ops"], "upstream": "http://b:1"},
        {"path": "/", "access": "deny"},
    ]


def test_a_rule_that_opens_and_cannot_be_said_opens_nothing(tmp_path):
    text = (
        '<LocationMatch "\\.css$">\nRequire all granted\n</LocationMatch>\n'
        '<Location ~ "[a-z]">\n</Location>\n<Location>\n</Location>\n<Location /${X}>\n</Location>\n<Location //a>\n</Location>\n'
    )
    assert "routes" not in portal("mod_auth_openidc", tmp_path, text)


@pytest.mark.parametrize(
    ("text", "fate"),
    [
        ("OIDCProviderMetadataURL https://x/other", "NOT CARRIED"),
        ("OIDCProviderMetadataURL ${URL}/.well-known/openid-configuration", "NOT CARRIED"),
        ("OIDCProviderIssuer https://x/", "carried"),
        ("OIDCProviderTokenEndpointAuth client_secret_jwt", "NOT CARRIED"),
        ("OIDCProviderTokenEndpointAuth private_key_jwt:ES256", "carried"),
        ("OIDCPrivateKeyFiles sig:k1#/etc/key.pem", "carried"),
        ("OIDCPrivateKeyFiles /etc/key.pem", "carried"),
        ("OIDCRedirectURI /secure/redirect_uri", "no meaning here"),
        ("OIDCAuthRequestParams prompt=login&max_age=60&kc_idp_hint=b", "carried"),
        ("OIDCAuthRequestParams prompt=login", "carried"),
        ("OIDCAuthRequestParams scope=x&a=#&max_age=soon", "NOT CARRIED"),
        (f"OIDCAuthRequestParams scope=x&{SECRETS[0]}\x01", "NOT CARRIED"),
        ("OIDCOAuthVerifyNothing On", "NOT CARRIED"),
        ("OIDCSessionInactivityTimeout x", "NOT CARRIED"),
        ("OIDCSessionMaxDuration 0", "NOT CARRIED"),
        ("OIDCSessionMaxDuration 3600", "carried"),
        ('OIDCProviderUserInfoEndpoint ""', "carried"),
        ("OIDCProviderUserInfoEndpoint https://x", "no meaning here"),
        ("OIDCIDTokenSignedResponseAlg ES256", "carried"),
        ("OIDCIDTokenAudValues a b", "carried"),
        ("OIDCCABundlePath /etc/ca.pem", "carried"),
        ("OIDCRedisCacheServer a,b", "NOT CARRIED"),
        ("OIDCRedisCacheUsername gate", "carried"),
        ("OIDCRedisCacheDatabase 1", "NOT CARRIED"),
        ("OIDCXForwardedHeaders X-Forwarded-Host", "carried"),
        ("OIDCSomethingNew On", "NOT CARRIED"),
        ("OIDCClientID x\nRewriteRule ^/a /b [P]", "carried"),
        ("OIDCClientID", "carried"),
    ],
)
def test_what_becomes_of_a_directive_of_the_module(tmp_path, text, fate):
    _, _, report = imported("mod_auth_openidc", tmp_path, text)
    assert re.search(rf"^1: {text.split()[0]}: {fate}: ", report, re.MULTILINE), report


@pytest.mark.parametrize(
    ("text", "fate"),
    [
        ("ProxyPass /a http://b:1/a", "carried"),
        ("ProxyPass /a http://b:1/other", "NOT CARRIED"),
        ("ProxyPass /a !", "carried"),
        ("ProxyPass a !", "NOT CARRIED"),
        ("<Proxy *>\nRequire all granted\n</Proxy>", "no meaning here"),
        ("<Proxy *>\nRequire ip 10.0.0.0/8\n</Proxy>", "NOT CARRIED"),
        ("<If true>\n<RequireNone>\n</RequireNone>\n</If>", "NOT CARRIED"),
        ("Deny from all", "NOT CARRIED"),
        ("SSLVerifyClient require", "NOT CARRIED"),
        ("SSLRequire true", "NOT CARRIED"),
        ("Redirect 403 /x", "NOT CARRIED"),
        ("RewriteRule ^/x - [NC,F]", "NOT CARRIED"),
        ("RewriteRule ^/x /y [L]", "NOT CARRIED"),
        ("RewriteRule", "NOT CARRIED"),
        ("ProxyPass", "NOT CARRIED"),
        ("ProxyPass /a ws://b:1/a", "no meaning here"),
        ("ProxyPass / unix:/run/a.sock|http://localhost/", "carried"),
        ("ProxyPass / unix:/run/a.sock|http://localhost", "carried"),
        ("ProxyPassMatch ^/a http://b", "NOT CARRIED"),
        ("Header set X y", "NOT CARRIED"),
        ("SSLCertificateFile /etc/a.pem", "carried"),
        ("SSLCertificateKeyFile /etc/a.key", "carried"),
        ("SSLVerifyClient none", "no meaning here"),
        ("ServerName a_b!", "NOT CARRIED"),
        ("ServerName https://a.bank.si", "carried"),
        ("Include other.conf", "NOT CARRIED"),
        ("<Directory /var/www>\nRequire all granted\n</Directory>", "no meaning here"),
        ("<If true>\n</If>", "no meaning here"),
        ("<IfModule x>\nListen 80\n</IfModule>", "carried"),
        ("<VirtualHost *:80>\n</VirtualHost>", "no meaning here"),
    ],
)
def test_what_becomes_of_a_statement_of_apache_itself(tmp_path, text, fate):
    _, _, report = imported("mod_auth_openidc", tmp_path, f"{text}\n<Location />\n</Location>\n")
    name = text.split()[0] + ">" if text.startswith("<") else text.split()[0]
    assert re.search(rf"^1: {re.escape(name)}: {fate}: ", report, re.MULTILINE), report


@pytest.mark.parametrize(
    ("inside", "keys"),
    [
        ("AuthType Basic\nRequire valid-user", {"access": "deny"}),
        ("AuthType oauth20\nRequire valid-user", {"access": "deny"}),
        ("AuthType None\nRequire all granted", {"access": "public"}),
        ("AuthType openid-connect\nRequire valid-user\nDeny from 10.0.0.0/8", {"access": "deny"}),
        ("Order allow,deny\nAllow from all\nAuthMerging Off\nRequire valid-user", {}),
        ("Allow from 10.0.0.0/8\nRequire valid-user", {"access": "deny"}),
        ("Satisfy Any\nRequire valid-user", {"access": "deny"}),
        ("AuthMerging And\nRequire claim roles:a", {"access": "deny"}),
        ("Require valid-user\n<Limit GET>\nRequire all denied\n</Limit>", {"access": "deny"}),
        ("<LimitExcept GET>\nRequire valid-user\n</LimitExcept>", {"access": "deny"}),
        ("<IfModule x>\nRequire all denied\n</IfModule>", {"access": "deny"}),
        ("<RequireAll>\n</RequireAll>", {"access": "deny"}),
        ("ProxyPass http://b:1/x", {"upstream": "http://b:1"}),
        ("OIDCUnAuthAction pass\nRequire claim roles:a", {"roles": ["a"]}),
        ("OIDCPathAuthRequestParams acr_values=high", {"rekono_parameters": {"acr_values": "high"}}),
    ],
)
def test_what_becomes_of_a_location(tmp_path, inside, keys):
    text = f"ProxyPass / http://a:1/\n<Location /x>\n{inside}\n</Location>\n"
    assert portal("mod_auth_openidc", tmp_path, text)["routes"] == [{"path": "/x"} | keys]


def test_of_several_virtual_hosts_the_first_with_a_portal_is_imported(tmp_path):
    host = "<VirtualHost *:{port}>\nServerName {name}\n<Location />\n</Location>\n</VirtualHost>\n"
    text = host.format(port=8443, name="a.bank.si:8443") + host.format(port=443, name="b.bank.si")
    found, _, report = imported("mod_auth_openidc", tmp_path, text)
    assert found["portals"]["portal"]["url"] == "http://a.bank.si:8443"
    assert "6: <VirtualHost>: NOT CARRIED: one virtual host is imported" in report


@pytest.mark.parametrize(
    ("product", "content", "problem"),
    [
        ("oauth2-proxy", b"a = [", "is no configuration file of oauth2-proxy: it is not TOML"),
        ("oauth2-proxy", b"client_secret = 'zebra", "it is not TOML (at "),
        ("oauth2-proxy", b"a = " + b"[" * 5000, "it is not TOML"),
        ("oauth2-proxy", b"\xff", "is not text in UTF-8"),
        ("oauth2-proxy", b"# a = 1\n", "says nothing"),
        ("oauth2-proxy", b"#" * (1024 * 1024 + 1), "is larger than 1 MiB"),
        ("mod_auth_openidc", b"Listen 80\n", "has no directive of mod_auth_openidc"),
        ("mod_auth_openidc", b"<Location /zebra>", "line 1: the section that begins here does not end"),
    ],
)
def test_what_is_no_configuration_is_refused_in_one_line_that_repeats_nothing(
    tmp_path, product, content, problem
):
    file = tmp_path / "other.conf"
    file.write_bytes(content)
    result = CliRunner().invoke(main, ["import", product, str(file)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert problem in result.stderr
    assert "zebra" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_missing_file_and_an_existing_output_are_one_line_each(tmp_path):
    runner = CliRunner()
    assert "cannot be read" in runner.invoke(main, ["import", "oauth2-proxy", str(tmp_path / "none")]).stderr
    file, output = tmp_path / "a.cfg", tmp_path / "out.yaml"
    file.write_text('client_id = "x"\n')
    result = runner.invoke(main, ["import", "oauth2-proxy", str(file), "-o", str(output)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "client_id: x" in output.read_text()
    again = runner.invoke(main, ["import", "oauth2-proxy", str(file), "-o", str(output)])
    assert again.exit_code == 1
    assert "cannot be written: File exists" in again.stderr


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("168h0m0s", 604_800),
        ("90", 90),
        ("1h30m", 5400),
        ("5m", 300),
        ("0", None),
        ("", None),
        ("soon", None),
    ],
)
def test_a_span_of_time_in_the_spellings_of_others(text, seconds):
    assert common.span_of(text) == seconds


def test_times_of_sessions_stay_within_the_bounds_that_there_are(tmp_path):
    for text, told in (("168h0m0s", "86400s"), ("1m", "300s"), ("8h", "28800s")):
        found, _, report = imported("oauth2-proxy", tmp_path, f'cookie_expire = "{text}"\n')
        assert found["sessions"]["absolute"] == told
        assert ("so " + told in report) is (text != "8h")


def test_a_name_that_can_be_a_role_is_one_and_others_stay_different():
    assert common.role_of("Bank_Admin.1") == "Bank_Admin.1"
    names = ["a b", "a:b", "a  b", "č", "š", "", "x" * 65, "x" * 66]
    roles = [common.role_of(name) for name in names]
    assert len(set(roles)) == len(names)
    assert all(ROLE.fullmatch(role) for role in roles), roles


@pytest.mark.parametrize("draft_of", [oauth2_proxy.draft_of, mod_auth_openidc.draft_of])
def test_what_cannot_be_read_is_an_exception_without_the_text(draft_of):
    with pytest.raises(CannotRead) as refused:
        draft_of("<secret = [")
    assert "secret" not in str(refused.value)


def test_hostile_names_and_values_control_neither_the_terminal_nor_the_settings(tmp_path):
    text = '"x\\u001b[31m" = 1\nclient_id = "a\\nevil: true\\u2028"\n'
    found, written, report = imported("oauth2-proxy", tmp_path, text)
    assert found["rekono"]["client_id"] == "a\nevil: true\u2028"
    assert "evil" not in found
    assert "\x1b" not in written + report

"""PURE: names of header fields by which some product learns identity, origin or method of a request, in folded form (`headers.folded`).

A client must not speak under them. The edge removes whole families; a front proxy that can only remove names one by one removes the known
members of each. `deploy/nginx/cleared.py` writes them down for nginx.
"""

from __future__ import annotations

from typing import Final

FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "x-auth-": (
        "subject", "name", "email", "tax-number", "method", "level", "step-up", "assertion", "roles", "groups", "token", "user", "userid",
        "username", "user-id", "user-email", "user-name", "role", "expiresin", "audience", "request-user", "request-email",
        "request-groups", "request-preferred-username", "request-access-token", "request-redirect",
    ),
    "x-authproxy-": ("client", "client-is-nobody", "levels", "person", "portal", "reason", "return-to", "status"),
    "x-forwarded-": (
        "for", "proto", "host", "port", "prefix", "path", "uri", "url", "method", "server", "scheme", "protocol", "ssl", "by", "user",
        "email", "groups", "preferred-username", "access-token", "client-cert", "client-cert-chain", "client-ip", "remote-user",
        "authenticated-user", "tls-client-cert", "tls-client-cert-info",
    ),
    "x-original-": ("url", "uri", "host", "method", "proto", "for", "remote-addr", "forwarded-for", "forwarded-host", "forwarded-proto"),
    "x-idproxy-": ("assertion", "user", "subject", "email"),
    "remote-": ("user", "name", "email", "groups", "group", "addr", "host", "port", "ident"),
    "x-remote-": ("user", "name", "email", "groups", "group", "addr", "ip", "uid", "user-id", "extra-scopes"),
    "x-authentik-": (
        "username", "name", "email", "groups", "uid", "jwt", "entitlements", "meta-app", "meta-jwks", "meta-outpost", "meta-provider",
        "meta-version", "auth-callback",
    ),
    "x-authenticated-": ("user", "email", "groups", "userid", "scope"),
    "x-pomerium-": (
        "jwt-assertion", "claim-sub", "claim-user", "claim-name", "claim-email", "claim-groups", "authorization", "idp-access-token",
        "idp-identity-token", "authenticated-user-email", "authenticated-user-id", "authenticated-user-groups",
    ),
    "x-vouch-": (
        "user", "success", "token", "error", "idp-accesstoken", "idp-idtoken", "idp-claims-sub", "idp-claims-name", "idp-claims-email",
        "idp-claims-groups", "idp-claims-given-name", "idp-claims-family-name",
    ),
    "x-token-": ("subject", "user-name", "user-email", "user-roles", "roles", "email", "name"),
    "cf-access-": ("authenticated-user-email", "jwt-assertion", "client-id", "client-secret", "token"),
    "cf-connecting-": ("ip", "ipv6", "o2o"),
    "x-goog-authenticated-": ("user-email", "user-id"),
    "x-goog-iap-": ("jwt-assertion",),
    "x-amzn-oidc-": ("data", "identity", "accesstoken"),
    "x-amzn-ava-": ("user-context",),
    "x-amzn-mtls-": (
        "clientcert", "clientcert-leaf", "clientcert-subject", "clientcert-issuer", "clientcert-serial-number", "clientcert-validity",
    ),
    "x-ms-client-principal": ("", "-id", "-name", "-idp"),
    "x-ms-token-": ("aad-access-token", "aad-id-token", "aad-refresh-token", "aad-expires-on"),
    "ssl-client-": (
        "cert", "cert-chain-0", "verify", "s-dn", "i-dn", "s-dn-cn", "s-dn-email", "i-dn-cn", "m-serial", "m-version", "v-start", "v-end",
        "v-remain", "fingerprint", "serial", "subject-dn", "issuer-dn", "san-dns-0", "san-email-0",
    ),
    "x-ssl-": (
        "cert", "client-cert", "client-verify", "client-s-dn", "client-i-dn", "client-dn", "client-cn", "client-serial", "client-sha1",
        "client-fingerprint", "client-notbefore", "client-notafter", "client-has-cert", "client-not-before", "client-not-after",
        "client-der", "client-subject-dn", "client-issuer-dn", "issuer", "subject", "user", "protocol", "cipher", "verified",
    ),
    "tls-client-": ("cert", "cert-chain", "verify", "s-dn", "i-dn", "serial", "subject", "issuer"),
    "x-client-cert": (
        "", "-chain", "-dn", "-cn", "-subject", "-issuer", "-serial", "-fingerprint", "-verify", "-hash", "-present", "ificate",
    ),
    "client-cert": ("", "-chain", "-dn", "-subject", "-verify", "-fingerprint", "-serial", "ificate"),
    "oidc-": (
        "claim-sub", "claim-name", "claim-email", "claim-preferred-username", "claim-given-name", "claim-family-name", "claim-groups",
        "claim-roles", "claim-iss", "claim-aud", "claim-exp", "claim-acr", "claim-amr", "access-token", "access-token-expires", "id-token",
        "id-token-payload", "userinfo-json", "userinfo-jwt", "refresh-token",
    ),
    "lm-remote-": ("user", "name", "custom"),
    "headername": ("", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    "headervalue": ("", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    "x-webauth-": ("user", "email", "name", "groups", "role"),
    "wl-proxy-": ("client-cert", "client-ip", "client-keysize", "client-port", "client-secretkeysize", "client-verify", "ssl"),
    "sm-": ("user", "userdn", "usergroups", "universalid", "authtype", "authreason", "authdirname", "serversessionid", "serversessionspec",
            "serveridentityspec", "transactionid", "realm", "realmoid", "timetoexpire"),
    "iv-": ("user", "user-l", "groups", "creds", "remote-address", "server-name"),
}  # fmt: skip
"""Prefixes, and what stands behind them in names that products use."""

NAMES: Final = (
    "forwarded", "x-forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "proxy-client-ip", "x-rewrite-url",
    "x-http-method", "x-http-method-override", "x-method-override", "x-arr-clientcert", "x-client-verify", "x-client-dn", "gap-signature",
    "auth-user", "auth-mail", "auth-cn", "auth-groups", "x-user", "proxy", "x-request-id", "traceparent", "tracestate", "x-url-scheme",
    "front-end-https",
    # The private headers of WebSphere's plug-in, which begin with a dollar sign.
    "wsat", "wscc", "wscs", "wsis", "wspr", "wsra", "wsrh", "wsru", "wssc", "wssi", "wssn", "wssp",
)  # fmt: skip


def known() -> tuple[str, ...]:
    """Every name of its own and every known member of a family, in order."""
    return tuple(sorted({*NAMES, *(prefix + member for prefix, members in FAMILIES.items() for member in members)}))

"""Names of header fields under which products learn who somebody is or where a request came from, as their documents write them."""

IDENTITY_NAMES = [
    "X-Auth-Subject", "X-Auth-Name", "X-Auth-Email", "X-Auth-Tax-Number", "X-Auth-Method", "X-Auth-Level", "X-Auth-Step-Up",
    "X-Auth-Assertion", "X-Authproxy-Portal", "X-Authproxy-Status", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Groups",
    "X-Auth-Request-Access-Token", "X-Auth-Request-Redirect", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "GAP-Signature", "Remote-User", "Remote-Groups", "Remote-Name",
    "Remote-Email", "X-Remote-User", "X-Remote-Group", "X-authentik-username", "X-authentik-groups", "X-authentik-jwt",
    "X-authentik-meta-app", "X-Authenticated-User", "X-Pomerium-Claim-Email", "X-Pomerium-Jwt-Assertion", "Auth-User", "Auth-Mail",
    "Auth-Cn", "Auth-Groups", "Lm-Remote-User", "HeaderName1", "HeaderValue1", "OIDC_CLAIM_sub", "OIDC_CLAIM_email", "OIDC_access_token",
    "OIDC_access_token_expires", "OIDC_id_token_payload", "REMOTE_USER", "X-User", "X-Vouch-User", "X-Vouch-Success",
    "X-Vouch-IdP-Claims-Name", "X-Vouch-IdP-AccessToken", "X-Vouch-IdP-IdToken", "X-Token-Subject", "X-Token-User-Email",
    "X-Token-User-Roles", "X-Auth-Userid", "X-Auth-Username", "X-Auth-Token", "X-Auth-Roles", "Cf-Access-Authenticated-User-Email",
    "Cf-Access-Jwt-Assertion", "X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id", "X-Goog-IAP-JWT-Assertion",
    "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Ava-User-Context", "SSL_CLIENT_CERT",
    "SSL_CLIENT_VERIFY", "SSL_CLIENT_S_DN", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-SSL-Client-S-DN", "X-Client-Cert",
    "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-Forwarded-Client-Cert", "Client-Cert", "Client-Cert-Chain",
    "X-ARR-ClientCert", "X-IdProxy-Assertion", "X-WebAuth-User", "WL-Proxy-Client-Cert", "WL-Proxy-SSL", "WL-Proxy-Client-IP", "$WSRU", "$WSCC",
    "$WSAT", "SM_USER", "SM-User", "SM_USERDN", "Iv-User", "Iv-Groups", "Iv-Creds", "X-MS-Client-Principal", "X-MS-Client-Principal-Name",
    "X-MS-Token-AAD-Id-Token", "X-AMZN-MTLS-Clientcert", "X-Amzn-Mtls-Clientcert-Subject", "X-Client-Verify", "X-Client-DN", "TLS-Client-Cert",
]  # fmt: skip
FORWARDING_NAMES = [
    "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri",
    "X-Forwarded-Method", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Original-URL", "X-Original-URI",
    "X-Original-Method", "X-Original-Host", "X-Rewrite-URL", "X-Real-IP", "Forwarded", "X-Client-IP", "X-Cluster-Client-IP",
    "True-Client-IP", "CF-Connecting-IP", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "Proxy", "X-Request-Id",
    "traceparent", "tracestate", "X-Url-Scheme", "Front-End-Https", "Proxy-Client-IP", "X-Forwarded",
]  # fmt: skip

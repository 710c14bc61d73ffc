"""PURE: the line to change, by front proxy and finding. The files are those of `deploy/`, which say in their
comments what each line is for."""

from __future__ import annotations

from typing import Final

GENERAL: Final[dict[str, str]] = {
    "portal_reachable": "Bind the portal's server to the loopback address or to a network that only the "
    "proxy "
    "is in, or let a firewall close its port; and let the portal verify X-Auth-Assertion (deploy/portals).",
    "unprotected_path": "Let the proxy ask the gateway about every path of the portal; parts that "
    "everybody may "
    "see are routes with `access: public` in the gateway's settings.",
    "host_confusion": "Let the proxy refuse requests whose request line and Host name two hosts, and hosts "
    "that "
    "it does not serve, before anything else.",
    "missing_host": "Let the proxy refuse requests without a Host that it serves; take "
    "`server.default_portal` "
    "out of the gateway's settings.",
    "forged_identity": "Let the proxy remove the names of `deploy/` in every spelling before it sets the "
    "gateway's; do not let names with underscores or dots through.",
    "forged_forwarding": "Let the proxy overwrite X-Forwarded-For with the address of its own peer, and "
    "remove "
    "X-Real-IP, Forwarded and their kin; list nobody but the proxy in `server.trusted_proxies`.",
    "connection_named": "Let the proxy remove `Connection` of the client before it sets the gateway's "
    "headers.",
    "trailers": "Let the proxy drop trailers of requests, or refuse them.",
    "path_confusion": "Let the proxy pass the path on exactly as it is in the question: no rewriting, no "
    "prefix taken away, no normalising after the question.",
    "method_confusion": "Let the question carry the method of the request, and let the proxy refuse methods "
    "that it does not know.",
    "method_override": "Let the proxy remove X-HTTP-Method-Override, X-HTTP-Method and X-Method-Override.",
    "upgrade_unasked": "Let the proxy ask before an upgrade, pass on `websocket` only, and only from pages "
    "of "
    "the portal.",
    "subrequest_from_outside": "Let the proxy answer 404 for everything below `/.authproxy/auth`, in every "
    "spelling, before it passes `/.authproxy/` on to the gateway.",
    "question_forged": "Let the proxy set every header of the question itself, from the request line and "
    "Host.",
    "portal_own_paths": "Let the proxy send everything below `/.authproxy/` to the gateway, before all "
    "other rules.",
    "error_status": "Let the proxy pass the gateway's refusals on with their status, body and headers.",
    "fails_open": "Let the proxy answer 503 if its question fails or is answered 5xx, and nothing else.",
    "cookie_flags": "Let the proxy pass Set-Cookie of the gateway's pages on unchanged.",
    "cached_pages": "Keep caches away from the portal's host, or let them keep only what is the same for "
    "everybody.",
    "cached_decisions": "Do not cache the answers to questions; if you must, the key has the cookie, "
    "`Authorization`, host, method and path.",
    "plain_http": "Let plain HTTP answer with a redirect (301) to https:// and the same host, and nothing "
    "else.",
    "tls_version": "Allow TLS 1.2 and 1.3 only.",
    "certificate_end": "Renew the certificate, for every host of the portals, and have that watched.",
    "hsts": "Let either the gateway (`server.hsts`) or the proxy send Strict-Transport-Security, for half a "
    "year or more, not both.",
    "clock": "Let both machines set their clocks from the same time servers (chrony, systemd-timesyncd).",
    "keys": "Set `assertions.next_key_file`, run `authproxy keys rotate` once a year, and let "
    "`/.authproxy/jwks.json` through.",
    "store": "deploy/README.md says what each check means and what to do.",
    "proxy_version": "Update the proxy, or find in its distribution's list of changes that the fault is "
    "mended.",
    "request_framing": "Update the proxy, and let it refuse requests with two lengths.",
    "large_upload": "Raise the proxy's limit of request bodies, and let it stream them.",
}
ADVICE: Final[dict[str, dict[str, str]]] = {
    "nginx": {
        "unprotected_path": "Take `auth_request off` out of every location that leads to the portal, and "
        "`include authproxy/server.conf;` in its `server { }`.",
        "host_confusion": "`proxy_set_header Host $authproxy_authority;` in headers.conf, and the same in "
        "`X-Original-URL $scheme://$authproxy_authority$request_uri` of question.conf.",
        "missing_host": "`X-Original-URL $scheme://$authproxy_authority$request_uri` in question.conf, "
        "which is empty without a host.",
        "forged_identity": "`include authproxy/headers.conf;` in every location with a `proxy_set_header` "
        "of its "
        "own; `underscores_in_headers off;` and `ignore_invalid_headers on;` in http.conf; `cleared.conf` "
        "complete.",
        "forged_forwarding": "`proxy_set_header X-Forwarded-For $remote_addr;` in headers.conf, "
        "question.conf and for "
        "`/.authproxy/` in server.conf, not `$proxy_add_x_forwarded_for`; `set_real_ip_from` for real "
        "proxies only.",
        "connection_named": "`proxy_set_header Connection $authproxy_connection;` in headers.conf.",
        "trailers": "Take `proxy_pass_trailers on;` out.",
        "path_confusion": "`proxy_pass http://portal;` without a path, not even a slash; no `rewrite` "
        "before it; "
        "`$request_uri` and not `$uri` in question.conf; `merge_slashes off;` in http.conf.",
        "method_confusion": "`proxy_set_header X-Original-Method $request_method;` in question.conf.",
        "method_override": "`include authproxy/cleared.conf;` in headers.conf, and headers.conf in this "
        "location.",
        "upgrade_unasked": "`proxy_set_header Upgrade $authproxy_upgrade;` in headers.conf, not "
        "`$http_upgrade`, and "
        "`auth_request` for the location of the WebSocket.",
        "subrequest_from_outside": "`internal;` in `location = /.authproxy/auth/nginx`, and in server.conf "
        "`if ($request_uri ~* …) { return 404; }` and `location ^~ /.authproxy/auth { return 404; }`.",
        "question_forged": "`proxy_pass_request_headers off;` in question.conf, and X-Original-URL and "
        "X-Original-Method from `$request_uri` and `$request_method`.",
        "portal_own_paths": "`location ^~ /.authproxy/` of server.conf, with `proxy_pass http://authproxy;`.",
        "error_status": "`error_page 401 =401 …; error_page 403 =403 …; error_page 500 =503 …` in "
        "server.conf: no "
        "`=200`, and no 403 that leads to the sign-in; `proxy_intercept_errors off;`.",
        "fails_open": "`error_page 500 =503 $authproxy_on_500;` in server.conf, and no `error_page` that "
        "leads to the portal; no `satisfy any;`.",
        "cookie_flags": "Take `proxy_cookie_flags`, `proxy_cookie_path` and `proxy_hide_header Set-Cookie` "
        "out of `location ^~ /.authproxy/`.",
        "cached_pages": "Take `proxy_cache` out of locations whose answers depend on the person, and "
        "`proxy_ignore_headers Cache-Control Set-Cookie` altogether.",
        "cached_decisions": "`proxy_cache off;` in question.conf, or the key of cached.conf, with the "
        "cookie.",
        "plain_http": "`server { listen 80; return 301 https://$host$request_uri; }` and nothing else on "
        "port 80.",
        "tls_version": "`ssl_protocols TLSv1.2 TLSv1.3;` in the `default_server` of the address",
        "hsts": "Take `add_header Strict-Transport-Security` out, or set `server.hsts: off` in the "
        "gateway's settings.",
        "large_upload": "`client_max_body_size` in the `server { }`, and `proxy_request_buffering off;`.",
    },
    "caddy": {
        "unprotected_path": "Nothing but `import authproxy_portal { … }` in the site: a `handle` or "
        "`reverse_proxy` beside it asks nobody.",
        "host_confusion": "`strict_sni_host on` in the global options, and one site for each host.",
        "forged_identity": "`import authproxy_cleared` before `forward_auth`: `copy_headers` removes only "
        "the names that it sets.",
        "forged_forwarding": "No `trusted_proxies` in `servers`, and `request_header -x-forwarded-*` in "
        "authproxy_cleared.",
        "connection_named": "`request_header @authproxy_plain -Connection` before `forward_auth`.",
        "path_confusion": "No `uri`, `rewrite`, `handle_path` or `header_up X-Forwarded-Uri` around "
        "`forward_auth`.",
        "method_confusion": "No `header_up X-Forwarded-Method` and no `method` in `forward_auth`.",
        "method_override": "`import authproxy_cleared` before `forward_auth`.",
        "upgrade_unasked": "No `handle` for WebSockets beside `import authproxy_portal`.",
        "subrequest_from_outside": "The answer 404 for `/.authproxy/auth` and `/.authproxy/auth/*` in "
        "authproxy.caddyfile, before the gateway's pages.",
        "question_forged": "No `trusted_proxies` in `servers`, and `import authproxy_cleared` before "
        "`forward_auth`.",
        "portal_own_paths": "The `handle` of `/.authproxy/*` in authproxy.caddyfile, before the portal.",
        "error_status": "No `handle_response` in `forward_auth`: refusals go to the client as they are.",
        "fails_open": "No `handle_response` for 5xx in `forward_auth`: what it handles goes on to the "
        "portal.",
        "cached_pages": "No cache handler in front of `authproxy_portal`.",
        "cached_decisions": "No cache handler around `forward_auth`.",
        "plain_http": "Let Caddy redirect by itself: no `auto_https disable_redirects`, and no site at "
        "`http://`.",
        "tls_version": "No `protocols tls1.0` in `tls`: Caddy begins with 1.2.",
        "large_upload": "`request_body max_size` of the site.",
    },
    "traefik": {
        "unprotected_path": "`middlewares: [authproxy]` in every router of the portal, on every entry point.",
        "host_confusion": "One `Host(…)` in each router's rule, and no router without one.",
        "forged_identity": "`authResponseHeadersRegex` of the middleware complete, and "
        "`aliasHeadersStrategy: delete` at the entry point.",
        "forged_forwarding": "No `forwardedHeaders.insecure` at the entry point, and `trustForwardHeader: "
        "false` in the middleware.",
        "connection_named": "Update Traefik; `forwardedHeaders.connection` stays empty.",
        "path_confusion": "No `stripPrefix`, `replacePath` or `addPrefix` in the chain of a router of the "
        "portal.",
        "method_confusion": "No `customRequestHeaders` with X-Forwarded-Method in the chain.",
        "method_override": "`authResponseHeadersRegex` of the middleware complete.",
        "upgrade_unasked": "`middlewares: [authproxy]` in the router of WebSockets too, and "
        "`authproxy-no-upgrade` in the others.",
        "subrequest_from_outside": "The router of `/.authproxy/auth`, which leads nowhere, with a higher "
        "priority than the one of the gateway's pages.",
        "question_forged": "`trustForwardHeader: false` in the middleware, and no "
        "`forwardedHeaders.insecure`.",
        "portal_own_paths": "The router of `/.authproxy/` with a higher priority than those of the portal.",
        "error_status": "No `errors` middleware for 401 and 403 around `authproxy`, and no `authSigninURL`.",
        "fails_open": "No `errors` middleware that leads to the portal, and no failover service around the "
        "question.",
        "cached_pages": "No cache plugin in the chain.",
        "cached_decisions": "No cache plugin in the chain.",
        "plain_http": "`redirections.entryPoint` with `to: https` at the entry point of port 80, and no "
        "other router there.",
        "tls_version": "`minVersion: VersionTLS12` in `tls.options.default`.",
        "large_upload": "No `buffering` middleware with a small `maxRequestBodyBytes`.",
    },
    "envoy": {
        "unprotected_path": "No `ExtAuthzPerRoute` with `disabled: true` but on the two routes of "
        "`/.authproxy/`.",
        "host_confusion": "`domains` of each virtual host with its own names only, and no `*`.",
        "forged_identity": "`early_header_mutation_extensions` complete, and "
        "`headers_with_underscores_action: DROP_HEADER`.",
        "forged_forwarding": "`use_remote_address: true` and `skip_xff_append: true`, and X-Forwarded-For "
        "with OVERWRITE_IF_EXISTS_OR_ADD.",
        "connection_named": '`headers:replace("connection", "upgrade")` in the script authproxy.cookies, and '
        "`early_header_mutation_extensions` complete: Envoy itself removes what Connection names otherwise.",
        "trailers": "`enable_trailers: false` in `http_protocol_options`, and the removal of trailers for "
        "HTTP/2.",
        "path_confusion": "`normalize_path: false`, `merge_slashes: false`, "
        "`path_with_escaped_slashes_action: "
        "KEEP_UNCHANGED`, no `prefix_rewrite` or `regex_rewrite` in the portal's routes, and `:path` in the "
        "script authproxy.cookies, which refuses other bytes than visible ASCII.",
        "method_confusion": "No header mutation of `:method` before or after ext_authz.",
        "method_override": "`early_header_mutation_extensions` complete.",
        "upgrade_unasked": "`upgrade_configs: [{upgrade_type: websocket}]` without filters of its own, and "
        "no `disabled: true` on its route.",
        "subrequest_from_outside": "The route of `/.authproxy/auth` with `direct_response` 404, before the "
        "one of the gateway's pages.",
        "question_forged": "`early_header_mutation_extensions` complete, and `path_prefix: "
        "/.authproxy/auth/envoy`.",
        "portal_own_paths": "The route of `/.authproxy/` before that of the portal.",
        "error_status": "No `local_reply_config` mapper for 401 and 403, and Location and WWW-Authenticate "
        "in "
        "`allowed_client_headers` if it is set.",
        "fails_open": "`failure_mode_allow: false` and `status_on_error: {code: ServiceUnavailable}`.",
        "cached_pages": "No cache filter.",
        "cached_decisions": "No cache filter before ext_authz.",
        "plain_http": "`redirect: {https_redirect: true}` as the only route of the listener at port 80.",
        "tls_version": "`tls_minimum_protocol_version: TLSv1_2` in `tls_params`.",
        "request_framing": "The filter `authproxy.capsules`, before all others.",
        "large_upload": "No `with_request_body` in ext_authz, and no buffer filter.",
    },
    "haproxy": {
        "unprotected_path": "`http-request lua.authproxy unless own_page` without a further condition, and "
        "`use_backend … if allowed …`, with no `default_backend`.",
        "host_confusion": "`http-request return status 421 unless { ssl_fc_sni,lower,strcmp(txn.host) eq 0 "
        "}`, and "
        "`set-uri %[pathq]` for whole addresses.",
        "missing_host": "`http-request return status 421 unless { ssl_fc_sni,lower,strcmp(txn.host) eq 0 }`",
        "forged_identity": "The lines `http-request del-header … -m reg`, complete, before `lua.authproxy`.",
        "forged_forwarding": "`http-request set-header X-Forwarded-For %[src]`, not `option forwardfor`, "
        "which adds a "
        "second one, and `del-header` before it.",
        "connection_named": "`http-request del-header '^(connection|upgrade|…)$' -m reg` before "
        "`lua.authproxy`.",
        "trailers": "`http-request return status 411` for bodies without a length, or from 3.2 on `option "
        "http-drop-request-trailers`.",
        "path_confusion": "No `set-path`, `replace-path`, `set-uri` or `normalize-uri` but `set-uri "
        "%[pathq]` for whole addresses.",
        "method_confusion": "No `http-request set-method`, and the method of the request in the question "
        "of authproxy.lua.",
        "method_override": "The lines `http-request del-header … -m reg`, complete.",
        "upgrade_unasked": "`http-request del-header '^(connection|upgrade|…)$' -m reg`, and Upgrade only "
        "where `txn.upgrade` is found.",
        "subrequest_from_outside": "`http-request return status 404 if { path_beg -i /.authproxy/auth } …` "
        "before `use_backend authproxy`.",
        "question_forged": "The lines `http-request del-header … -m reg` before `lua.authproxy`.",
        "portal_own_paths": "`use_backend authproxy if own_page` before the portals.",
        "error_status": "No `http-response set-status` and no `errorfile` for 401 and 403; authproxy.lua "
        "passes refusals on.",
        "fails_open": "`use_backend … if allowed …` only: `txn.authproxy` is `allowed` after a 200 and at "
        "no other time.",
        "cookie_flags": "No `http-response replace-header Set-Cookie` and no `cookie … rewrite` in the "
        "backend authproxy.",
        "cached_pages": "No `http-request cache-use`.",
        "cached_decisions": "No cache in authproxy.lua or around it.",
        "plain_http": "`http-request redirect scheme https code 301` as the only line of the frontend at "
        "port 80.",
        "tls_version": "`ssl-min-ver TLSv1.2` in `bind`.",
        "large_upload": "No `http-request deny` by `req.body_size`, no `option http-buffer-request`, and "
        "`tune.maxrewrite 16384` in `global`, which keeps room for the identity beside the body.",
    },
}
"""By the kind of proxy."""


def of(finding_id: str, proxy: str) -> str:
    """What to change. For an unknown proxy, or a finding that does not depend on it, in general."""
    return ADVICE.get(proxy, {}).get(finding_id) or GENERAL.get(finding_id, "")

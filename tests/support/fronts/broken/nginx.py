"""Classic mistakes with nginx."""

from __future__ import annotations

from tests.support.fronts.broken import Broken

_LOCATION = "    location / {\n        # No path after the name"
_PASS = "        proxy_pass http://portal;\n        # Uploads"
_URL = "proxy_set_header X-Original-URL $scheme://$authproxy_authority$request_uri;"
_METHOD = "proxy_set_header X-Original-Method $request_method;"
_QUESTION = "    include authproxy/question.conf;\n    proxy_cache off;\n"
_UPSTREAM = "upstream portal {"
_PAGES = "    proxy_pass http://authproxy;\n    proxy_next_upstream error;\n"
_DEFAULT_SERVER = """\
server {
    listen 443 ssl default_server;
    listen 80 default_server;
    # nginx takes the versions of TLS that this server has for all servers at the address.
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_reject_handshake on;
    return 444;
}
"""

BROKEN = (
    Broken(
        name="question_from_outside",
        why="Whoever asks the location of the question directly gets the gateway's answer with the identity.",
        edits=(
            (
                "location = /.authproxy/auth/nginx {\n    internal;\n",
                "location = /.authproxy/auth/nginx {\n",
            ),
            ('if ($request_uri ~* "^/+\\.authproxy/+auth") {\n    return 404;\n}\n', ""),
        ),
        finds="subrequest_from_outside",
    ),
    Broken(
        name="questions_closed_by_nginx_reading_only",
        why="nginx chooses the location by the resolved path, and the gateway gets the raw one, which is a question.",
        edits=(('if ($request_uri ~* "^/+\\.authproxy/+auth") {\n    return 404;\n}\n', ""),),
        finds="subrequest_from_outside",
    ),
    Broken(
        name="static_files_without_a_question",
        why="Nobody is asked about names with a certain end, and the rest of such a path can be anything.",
        edits=(
            (
                _LOCATION,
                "    location ~* \\.(?:js|css|png)$ { auth_request off; proxy_pass http://portal; }\n"
                + _LOCATION,
            ),
        ),
        finds="unprotected_path",
    ),
    Broken(
        name="an_open_folder",
        why="nginx chooses the location by the decoded path, and passes on the raw one, which leads out of the folder.",
        edits=(
            (
                _LOCATION,
                "    location /odprto/ { auth_request off; proxy_pass http://portal; }\n" + _LOCATION,
            ),
        ),
        finds="path_confusion",
    ),
    Broken(
        name="status_before_the_question",
        why="`return` runs before auth_request, so that this location asks nobody.",
        edits=((_LOCATION, "    location = /status { return 200 ok; }\n" + _LOCATION),),
        finds="unprotected_path",
    ),
    Broken(
        name="an_address_instead_of_a_session",
        why="With `satisfy any` an address in the list is enough.",
        edits=(
            (
                _LOCATION,
                _LOCATION.replace(
                    "{", "{\n        satisfy any;\n        allow 127.0.0.0/8;\n        deny all;", 1
                ),
            ),
        ),
        finds="unprotected_path",
    ),
    Broken(
        name="headers_of_the_location_alone",
        why="One proxy_set_header in a location drops all others, also those that remove what a client must not say.",
        edits=((_PASS, "        proxy_set_header X-Real-IP $remote_addr;\n" + _PASS),),
        finds="forged_identity",
    ),
    Broken(
        name="underscores_in_headers",
        why="A portal behind CGI, WSGI or PHP reads X_Auth_Name as X-Auth-Name.",
        edits=(("underscores_in_headers off;", "underscores_in_headers on;"),),
        finds="forged_identity",
    ),
    Broken(
        name="clients_address_appended",
        why="Whoever reads the first address in the list reads what the client has written.",
        edits=(
            (
                "proxy_set_header X-Forwarded-For   $remote_addr;",
                "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            ),
        ),
        finds="forged_forwarding",
    ),
    Broken(
        name="a_path_after_the_portals_name",
        why="nginx then passes on the decoded and merged path, and not the one that was judged.",
        edits=((_PASS, _PASS.replace("http://portal;", "http://portal/;")),),
        finds="path_confusion",
    ),
    Broken(
        name="the_decoded_path_is_judged",
        why="The gateway judges $uri, and the portal gets the raw target.",
        edits=(
            (_URL, _URL.replace("$request_uri", "$judged")),
            (_PASS, "        set $judged $uri;\n" + _PASS),
        ),
        finds="path_confusion",
    ),
    Broken(
        name="always_get_in_the_question",
        why="The gateway judges GET whatever the method is, so reading is enough for writing.",
        edits=((_METHOD, "proxy_set_header X-Original-Method GET;"),),
        finds="method_confusion",
    ),
    Broken(
        name="the_clients_word_for_the_method",
        why="A client names the method that is judged.",
        edits=(
            (
                _UPSTREAM,
                "map $http_x_original_method $judged {\n    default $http_x_original_method;\n"
                '    "" $request_method;\n}\n' + _UPSTREAM,
            ),
            (_METHOD, "proxy_set_header X-Original-Method $judged;"),
        ),
        finds="question_forged",
    ),
    Broken(
        name="overrides_of_the_method_kept",
        why="A portal that believes X-HTTP-Method-Override does something else than what was judged.",
        edits=tuple(
            (f'proxy_set_header {name} "";\n', "")
            for name in ("x-http-method-override", "x-http-method", "x-method-override")
        ),
        finds="method_override",
    ),
    Broken(
        name="every_host_is_the_portal",
        why="nginx chooses the server by the host in the request line, and the session of another portal opens it.",
        edits=(
            (_DEFAULT_SERVER, ""),
            (
                '    default                   "";\n    "~*^([^|]+)\\|\\1(:\\d+)?$"  $http_host;',
                "    default $http_host;",
            ),
        ),
        finds="host_confusion",
    ),
    Broken(
        name="every_upgrade_passes",
        why="An upgrade to h2c is a tunnel around every rule, and foreign pages open WebSockets with the person's cookie.",
        edits=(
            (
                'map "$request_method|$http_upgrade|$http_origin|$scheme://$http_host" $authproxy_upgrade {\n    default                             "";',
                'map "$request_method|$http_upgrade|$http_origin|$scheme://$http_host" $authproxy_upgrade {\n    default $http_upgrade;',
            ),
        ),
        finds="upgrade_unasked",
    ),
    Broken(
        name="refusals_answered_as_success",
        why="A refusal with the status 200 is kept by caches and read by scripts as what they have asked for.",
        edits=(("error_page 401 =401", "error_page 401 =200"),),
        finds="error_status",
    ),
    Broken(
        name="a_sign_in_for_those_who_are_not_allowed",
        why="Whoever is signed in and not allowed is led to the sign-in, which leads back, without end.",
        edits=(
            (
                "error_page 403 =403 $authproxy_on_403;",
                "error_page 403 = @to_sign_in;\nlocation @to_sign_in { auth_request off; return 303 /.authproxy/login; }",
            ),
        ),
        finds="error_status",
    ),
    Broken(
        name="open_while_the_gateway_is_away",
        why="An error page that leads to the portal lets everybody in while the gateway cannot be asked.",
        edits=(
            (
                "error_page 500 =503 $authproxy_on_500;",
                "error_page 500 = @portal;\nlocation @portal { auth_request off; proxy_pass http://portal; }",
            ),
        ),
        finds="fails_open",
    ),
    Broken(
        name="answers_kept_by_address_only",
        why="Without the cookie in the key, the leave of one person lets in everybody.",
        edits=(
            (_UPSTREAM, "proxy_cache_path kept keys_zone=kept:1m;\n" + _UPSTREAM),
            (
                _QUESTION,
                _QUESTION.replace(
                    "proxy_cache off;",
                    "proxy_cache kept;\n    proxy_cache_key $host$request_uri;\n    proxy_cache_valid any 1m;\n    proxy_ignore_headers Cache-Control Vary;",
                ),
            ),
        ),
        finds="cached_decisions",
    ),
    Broken(
        name="pages_of_the_portal_kept",
        why="Whoever may open an address gets the page that was made for somebody else.",
        edits=(
            (_UPSTREAM, "proxy_cache_path kept keys_zone=kept:1m;\n" + _UPSTREAM),
            (
                _PASS,
                "        proxy_cache kept;\n        proxy_cache_valid 200 1m;\n        proxy_ignore_headers Cache-Control Set-Cookie;\n"
                + _PASS,
            ),
        ),
        finds="cached_pages",
    ),
    Broken(
        name="our_own_paths_led_to_the_portal",
        why="The portal answers for the gateway, and gets what is written there: codes and cookies.",
        edits=(
            (
                "location ^~ /.authproxy/auth {",
                "location = /.authproxy/jwks.json { auth_request off; proxy_pass http://portal; }\nlocation ^~ /.authproxy/auth {",
            ),
        ),
        finds="portal_own_paths",
    ),
    Broken(
        name="small_uploads_only",
        why="Somebody signs in for a form, and it fails because of its size.",
        edits=(("client_max_body_size 100m;", "client_max_body_size 500k;"),),
        finds="large_upload",
    ),
    Broken(
        name="old_tls",
        why="What TLS 1.0 protects can be read and changed on the way.",
        edits=(
            (
                "    ssl_protocols TLSv1.2 TLSv1.3;\n",
                "    ssl_protocols TLSv1 TLSv1.1 TLSv1.2;\n    ssl_ciphers DEFAULT:@SECLEVEL=0;\n",
            ),
        ),
        finds="tls_version",
    ),
    Broken(
        name="cookies_without_their_attributes",
        why="A cookie without Secure goes over plain HTTP, and one without HttpOnly is read by any script of the portal.",
        edits=(
            (
                _PAGES,
                _PAGES + "    proxy_cookie_flags ~ nosecure nohttponly;\n",
            ),
        ),
        finds="cookie_flags",
    ),
    Broken(
        name="hsts_removed",
        why="A first request by plain HTTP can be answered by somebody else.",
        edits=(
            (
                _PAGES,
                _PAGES + "    proxy_hide_header Strict-Transport-Security;\n",
            ),
        ),
        finds="hsts",
    ),
)

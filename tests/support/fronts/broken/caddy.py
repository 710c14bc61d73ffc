"""Classic mistakes with Caddy."""

from __future__ import annotations

from tests.support.fronts.broken import Broken

_IMPORT = "\timport authproxy_portal {\n"
_COPIED = "\t\t\t\tcopy_headers X-Auth-Subject"

BROKEN = (
    Broken(
        name="only_copied_headers_removed",
        why="`copy_headers` removes the names that it sets, and a client writes all others itself.",
        edits=(
            (
                "\t\timport authproxy_cleared\n\n\t\t# `Connection`",
                "\t\t# `Connection`",
            ),
        ),
        finds="forged_identity",
    ),
    Broken(
        name="names_with_other_characters_kept",
        why="Servers for CGI, WSGI and PHP read X-Auth-Name- and X--Auth-Name as names of variables, too.",
        edits=(("\trequest_header `-*--*`\n\trequest_header `--*`\n\trequest_header `-*-`\n", ""),),
        finds="forged_identity",
    ),
    Broken(
        name="connection_kept",
        why="A client names the gateway's headers in Connection, and Caddy removes them before the portal.",
        edits=(("\t\trequest_header @authproxy_plain -Connection\n", ""),),
        finds="connection_named",
    ),
    Broken(
        name="static_files_beside_the_question",
        why="A `handle` of its own is in front of the `route`, and nobody is asked about its paths.",
        edits=(
            (
                _IMPORT,
                "\t@static path *.css *.js *.png /static/* /assets/*\n"
                "\thandle @static {\n\t\treverse_proxy 127.0.0.1:9001\n\t}\n" + _IMPORT,
            ),
        ),
        finds="unprotected_path",
    ),
    Broken(
        name="socket_beside_the_question",
        why="WebSockets have a way of their own to the portal, which asks nobody.",
        edits=(
            (
                _IMPORT,
                "\t@socket header Upgrade websocket\n"
                "\thandle @socket {\n\t\treverse_proxy 127.0.0.1:9001\n\t}\n" + _IMPORT,
            ),
        ),
        finds="upgrade_unasked",
    ),
    Broken(
        name="first_of_two_upgrades",
        why="Beside an Upgrade to websocket the portal gets one to h2c, which is a tunnel around every rule.",
        edits=(("\t\trequest_header @authproxy_socket Upgrade websocket\n", ""),),
        finds="upgrade_unasked",
    ),
    Broken(
        name="question_from_outside",
        why="Whoever asks the gateway's question through the pages describes another request than their own.",
        edits=(
            ("path /.authproxy/auth /.authproxy/auth/*\n", "path /nowhere\n"),
            (r"vars_regexp {http.request.uri} (?i)^/+\.authproxy/+auth", "path /nowhere"),
        ),
        finds="subrequest_from_outside",
    ),
    Broken(
        name="questions_closed_by_caddys_reading_only",
        why="Caddy compares the resolved path, and the gateway gets the raw one, which is a question.",
        edits=((r"vars_regexp {http.request.uri} (?i)^/+\.authproxy/+auth", "path /nowhere"),),
        finds="subrequest_from_outside",
    ),
    Broken(
        name="decoded_path_in_the_question",
        why="The gateway judges the decoded path, and the portal gets the raw one.",
        edits=((_COPIED, "\t\t\t\theader_up X-Forwarded-Uri {http.request.uri.path}\n" + _COPIED),),
        finds="path_confusion",
    ),
    Broken(
        name="always_get_in_the_question",
        why="The gateway judges GET whatever the method is, so reading is enough for writing.",
        edits=((_COPIED, "\t\t\t\theader_up X-Forwarded-Method GET\n" + _COPIED),),
        finds="method_confusion",
    ),
    Broken(
        name="clients_are_believed",
        why="With every address among the trusted proxies a client says where it comes from.",
        edits=(
            ("\tservers {\n", "\tservers {\n\t\ttrusted_proxies static 0.0.0.0/0\n"),
            ("\trequest_header -x-forwarded-*\n", ""),
        ),
        finds="forged_forwarding",
    ),
    Broken(
        name="refusals_lead_to_the_sign_in",
        why="Whoever may not enter is sent to sign in, comes back, and is sent again.",
        edits=(
            (
                _COPIED,
                "\t\t\t\t@refused status 403\n\t\t\t\thandle_response @refused {\n"
                "\t\t\t\t\tredir /.authproxy/login 302\n\t\t\t\t}\n" + _COPIED,
            ),
        ),
        finds="error_status",
    ),
    Broken(
        name="open_while_the_store_is_away",
        why="An answer of 503 is handled without ending the request, which goes on to the portal.",
        edits=(
            (
                _COPIED,
                "\t\t\t\t@away status 5xx\n\t\t\t\thandle_response @away {\n"
                "\t\t\t\t\tvars authproxy away\n\t\t\t\t}\n" + _COPIED,
            ),
        ),
        finds="fails_open",
    ),
)

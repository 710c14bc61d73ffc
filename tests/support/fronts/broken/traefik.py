"""Classic mistakes with Traefik."""

from __future__ import annotations

from tests.support.fronts.broken import Broken

_FIRST = "  routers:\n    acq:\n"
_CHAIN = "      middlewares: [authproxy-no-upgrade, authproxy]\n"
_MIDDLEWARES = "  middlewares:\n    # Asks the gateway about a request."

BROKEN = (
    Broken(
        name="clients_are_believed",
        why="With `insecure` a client says where it comes from, and the portal believes it.",
        edits=(
            ("    http3: {}\n", "    http3: {}\n    forwardedHeaders:\n      insecure: true\n"),
            ("        trustForwardHeader: false\n", "        trustForwardHeader: true\n"),
        ),
        finds="forged_forwarding",
    ),
    Broken(
        name="only_our_headers_removed",
        why="Portals that read Remote-User or SSL_CLIENT_S_DN get them from the client.",
        edits=(("authResponseHeadersRegex: '^(?:", "authResponseHeadersRegex: '^X-Auth-|^Nothing-(?:"),),
        finds="forged_identity",
    ),
    Broken(
        name="other_spellings_kept",
        why="Servers for CGI, WSGI and PHP read X_Auth_Name and X--Auth-Name as names of the same variable.",
        edits=(
            ("aliasHeadersStrategy: delete", "aliasHeadersStrategy: keep"),
            ("|[^A-Za-z0-9-]|--|^-|-$|^Http-'", "'"),
        ),
        finds="forged_identity",
    ),
    Broken(
        name="static_files_beside_the_question",
        why="A router without the middleware asks nobody about its paths.",
        edits=(
            (
                _FIRST,
                (
                    "  routers:\n    static:\n      entryPoints: [https]\n"
                    "      rule: >-\n        Host(`acq.example.si`) && (PathRegexp(`\\.(?:css|js|png)$`)"
                    " || PathPrefix(`/static/`) || PathPrefix(`/assets/`))\n"
                    "      service: acq\n      tls: {}\n    acq:\n"
                ),
            ),
        ),
        finds="unprotected_path",
    ),
    Broken(
        name="socket_beside_the_question",
        why="WebSockets have a way of their own to the portal, which asks nobody.",
        edits=(("      middlewares: [authproxy]\n", ""),),
        finds="upgrade_unasked",
    ),
    Broken(
        name="question_from_outside",
        why="Whoever asks the gateway's question through the pages describes another request than their own.",
        edits=(
            (
                "      middlewares: [authproxy-nobody]\n      service: noop@internal\n",
                "      service: authproxy\n",
            ),
        ),
        finds="subrequest_from_outside",
    ),
    Broken(
        name="another_path_after_the_question",
        why="Behind the question a prefix is taken off: one path is judged, and the portal gets another.",
        edits=(
            (_CHAIN, "      middlewares: [authproxy-no-upgrade, authproxy, shortened]\n"),
            (
                _MIDDLEWARES,
                (
                    "  middlewares:\n    shortened:\n      stripPrefixRegex:\n"
                    "        regex: ['^/[^/]+']\n    # Asks the gateway about a request."
                ),
            ),
        ),
        finds="path_confusion",
    ),
    Broken(
        name="refusals_become_pages",
        why="A refusal is shown as a page with status 200, so scripts and caches take it for the portal's own.",
        edits=(
            (_CHAIN, "      middlewares: [authproxy-no-upgrade, refused, authproxy]\n"),
            (
                _MIDDLEWARES,
                (
                    '  middlewares:\n    refused:\n      errors:\n        status: ["403"]\n'
                    '        statusRewrites:\n          "403": 200\n        service: authproxy-page\n'
                    "        query: /\n    # Asks the gateway about a request."
                ),
            ),
        ),
        finds="error_status",
    ),
    Broken(
        name="open_while_the_store_is_away",
        why="The page for 503 is fetched from the portal, so the portal answers without a question.",
        edits=(
            (_CHAIN, "      middlewares: [authproxy-no-upgrade, away, authproxy]\n"),
            (
                _MIDDLEWARES,
                (
                    '  middlewares:\n    away:\n      errors:\n        status: ["503"]\n'
                    '        statusRewrites:\n          "503": 200\n        service: acq@file\n'
                    "        query: /\n    # Asks the gateway about a request."
                ),
            ),
        ),
        finds="fails_open",
    ),
)

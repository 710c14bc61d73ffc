"""Classic mistakes with Envoy."""

from __future__ import annotations

from tests.support.fronts.broken import Broken

_BEFORE_LAST_ROUTES = (
    "                        # Browsers send cookies even if a foreign page opens a WebSocket."
)
_TO_PORTAL = "route: {cluster: acq, timeout: 0s, idle_timeout: 3600s}"
_FAMILIES = '"(http-)?('
_TRAILERS_TO_PORTAL = """    - name: acq
      type: STATIC
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http_protocol_options: {enable_trailers: true}}
"""

BROKEN = (
    Broken(
        name="open_while_the_gateway_is_away",
        why="`failure_mode_allow` lets everybody in whenever the gateway answers 5xx or not at all.",
        edits=(("failure_mode_allow: false", "failure_mode_allow: true"),),
        finds="fails_open",
    ),
    Broken(
        name="bytes_that_are_no_text_kept",
        why="Over HTTP/2 a path can have any bytes. Envoy writes `!` for them in the question, so another path is judged.",
        edits=(('ipairs({":path", "destination"})', 'ipairs({"destination"})'),),
        finds="path_confusion",
    ),
    Broken(
        name="outage_answered_as_refusal",
        why="Without `status_on_error` an outage is a 403, and people take themselves for shut out.",
        edits=(("status_on_error: {code: ServiceUnavailable}", "status_on_error: {code: Forbidden}"),),
        finds="fails_open",
    ),
    Broken(
        name="static_files_beside_the_question",
        why="The question is switched off for a route that chooses by the end of the path.",
        edits=(
            (
                _BEFORE_LAST_ROUTES,
                "                        - match: {safe_regex: {regex: '.*[.](css|js|png)'}}\n"
                "                          route: {cluster: acq}\n"
                "                          typed_per_filter_config: *unasked\n" + _BEFORE_LAST_ROUTES,
            ),
        ),
        finds="unprotected_path",
    ),
    Broken(
        name="sockets_beside_the_question",
        why="WebSockets have a route of their own, which asks nobody.",
        edits=(
            (
                _BEFORE_LAST_ROUTES,
                "                        - match: {prefix: /, headers: [{name: upgrade, present_match: true}]}\n"
                "                          route: {cluster: acq}\n"
                "                          typed_per_filter_config: *unasked\n" + _BEFORE_LAST_ROUTES,
            ),
        ),
        finds="upgrade_unasked",
    ),
    Broken(
        name="sockets_of_foreign_pages",
        why="A foreign page opens a WebSocket with the person's cookie, because nobody looks at Origin.",
        edits=(("direct_response: {status: 403}", _TO_PORTAL),),
        finds="upgrade_unasked",
    ),
    Broken(
        name="question_from_outside",
        why="Whoever asks the gateway's question through the pages describes another request than their own.",
        edits=(("- match: {prefix: /.authproxy/auth}", "- match: {prefix: /nowhere/}"),),
        finds="subrequest_from_outside",
    ),
    Broken(
        name="only_own_names_removed",
        why="A client writes the headers of other products, and those of ours that an answer leaves out.",
        edits=(
            (
                _FAMILIES,
                '"x-auth-(subject|name|email|tax-number|method|level|roles|step-up|assertion)|nothing-(',
            ),
        ),
        finds="forged_identity",
    ),
    Broken(
        name="names_with_other_characters_kept",
        why="Servers for CGI, WSGI and PHP read X_Auth_Name and X.Auth.Name as X-Auth-Name.",
        edits=(
            ("'[^:a-z0-9].*|[a-z0-9].*[^a-z0-9-].*|.*--.*|.*-'", "'nothing'"),
            ("headers_with_underscores_action: DROP_HEADER", "headers_with_underscores_action: ALLOW"),
        ),
        finds="forged_identity",
    ),
    Broken(
        name="forwarded_for_appended",
        why="The portal reads the first address of X-Forwarded-For, which the client has written.",
        edits=(
            (_FAMILIES, '"x-auth-.*|nothing-('),
            ("append_action: OVERWRITE_IF_EXISTS_OR_ADD", "append_action: APPEND_IF_EXISTS_OR_ADD"),
        ),
        finds="forged_forwarding",
    ),
    Broken(
        name="trailers_on",
        why="Headers after the body are part of no question, and some servers take them for headers.",
        edits=(
            ("enable_trailers: false", "enable_trailers: true"),
            ("    - name: acq\n      type: STATIC\n", _TRAILERS_TO_PORTAL),
        ),
        finds="trailers",
    ),
    Broken(
        name="rewritten_after_the_question",
        why="The portal gets another path than the one that was judged.",
        edits=(
            (
                _TO_PORTAL,
                _TO_PORTAL.replace(
                    "timeout: 0s", "timeout: 0s, regex_rewrite: {pattern: {regex: '//+'}, substitution: /}"
                ),
            ),
        ),
        finds="path_confusion",
    ),
    Broken(
        name="connection_of_sockets_kept",
        why="In a WebSocket handshake Connection names our headers, and a portal that is itself a proxy removes them.",
        edits=(
            (
                'if headers:get("upgrade") then headers:replace("connection", "upgrade") end\n',
                "-- Nothing is replaced.\n",
            ),
        ),
        finds="connection_named",
    ),
    Broken(
        name="refusals_lead_to_the_sign_in",
        why="Whoever may not enter is sent to sign in, comes back, and is sent again.",
        edits=(
            (
                "                  mappers:\n",
                (
                    "                  mappers:\n"
                    "                    - filter: {status_code_filter: {comparison: {op: EQ, value: {default_value: 403,"
                    " runtime_key: refused}}}}\n"
                    "                      status_code: 302\n"
                    "                      headers_to_add: [{header: {key: location, value: /.authproxy/login}}]\n"
                ),
            ),
        ),
        finds="error_status",
    ),
    Broken(
        name="uploads_kept_in_memory",
        why="A filter that keeps bodies refuses every file that is larger than its buffer.",
        edits=(
            (
                "                  - name: envoy.filters.http.ext_authz\n",
                (
                    "                  - name: envoy.filters.http.buffer\n"
                    "                    typed_config:\n"
                    '                      "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer\n'
                    "                      max_request_bytes: 65536\n"
                    "                  - name: envoy.filters.http.ext_authz\n"
                ),
            ),
        ),
        finds="large_upload",
    ),
    Broken(
        name="capsules_pass",
        why="Over HTTP/3 a second request stands behind the length of one with Capsule-Protocol, and is judged by nobody.",
        edits=(
            ("name: capsule-protocol, present_match: true", "name: nothing-of-the-kind, present_match: true"),
        ),
        finds="request_framing",
    ),
    Broken(
        name="hsts_removed",
        why="A first request by plain HTTP can be answered by somebody else.",
        edits=(
            (
                "response_headers_to_remove: [x-envoy-upstream-service-time]",
                "response_headers_to_remove: [strict-transport-security]",
            ),
        ),
        finds="hsts",
    ),
)

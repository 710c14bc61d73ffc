"""Classic mistakes with HAProxy."""

from __future__ import annotations

from tests.support.fronts.broken import Broken

_QUESTION = "    http-request lua.authproxy unless own_page\n"
_TO_PORTAL = "    use_backend acq if allowed { var(txn.host) -m str acq.example.si }\n"
_FAMILIES = "'^(http-)?("

BROKEN = (
    Broken(
        name="families_kept",
        why="A client writes the headers of other products, and those of ours that an answer leaves out.",
        edits=((_FAMILIES, "'^nothing-("),),
        finds="forged_identity",
    ),
    Broken(
        name="names_with_other_characters_kept",
        why="Servers for CGI, WSGI and PHP read X_Auth_Name and X.Auth.Name as X-Auth-Name.",
        edits=(("    http-request del-header '[^A-Za-z0-9-]|--|^-|-$' -m reg\n", ""),),
        finds="forged_identity",
    ),
    Broken(
        name="clients_are_believed",
        why="The question has the address that the client has written into X-Forwarded-For.",
        edits=(
            (_FAMILIES, "'^nothing-("),
            ("    http-request set-header X-Forwarded-For %[src]\n", ""),
            ("{ txn.sf:src() }", 'values_of(fields, "x-forwarded-for")'),
        ),
        finds="forged_forwarding",
    ),
    Broken(
        name="static_files_beside_the_question",
        why="Nobody is asked about paths with a certain end, and the rest of such a path can be anything.",
        edits=(
            (_QUESTION, "    http-request lua.authproxy unless own_page or { path_end .css .js .png }\n"),
            (_TO_PORTAL, "    use_backend acq if { path_end .css .js .png }\n" + _TO_PORTAL),
        ),
        finds="unprotected_path",
    ),
    Broken(
        name="sockets_beside_the_question",
        why="WebSockets have a way of their own to the portal, which asks nobody.",
        edits=(
            (_QUESTION, "    http-request lua.authproxy unless own_page or { var(txn.upgrade) -m found }\n"),
            (_TO_PORTAL, "    use_backend acq if { var(txn.upgrade) -m found }\n" + _TO_PORTAL),
        ),
        finds="upgrade_unasked",
    ),
    Broken(
        name="sockets_of_foreign_pages",
        why="A foreign page opens a WebSocket with the person's cookie, because nobody looks at Origin.",
        edits=(("{ req.hdr(origin) -m found } !{ req.hdr(origin)", "{ always_false } !{ req.hdr(origin)"),),
        finds="upgrade_unasked",
    ),
    Broken(
        name="open_while_the_store_is_away",
        why="The script takes every answer that is no refusal for a permission.",
        edits=(
            ("elseif answer.status == 200 then", "elseif answer.status == 200 or answer.status >= 500 then"),
        ),
        finds="fails_open",
    ),
    Broken(
        name="question_from_outside",
        why="Whoever asks the gateway's question through the pages describes another request than their own.",
        edits=(
            (
                "{ path_beg -i /.authproxy/auth } or { path,url_dec -m reg -i ^/+[.]authproxy/+auth }",
                "{ path_beg /nowhere/ }",
            ),
        ),
        finds="subrequest_from_outside",
    ),
    Broken(
        name="trailers_kept",
        why="Headers after the body are part of no question, and some servers take them for headers.",
        edits=(
            (
                "    http-request return status 411 unless",
                "    http-request return status 411 unless TRUE or",
            ),
        ),
        finds="trailers",
    ),
    Broken(
        name="refusals_answered_as_success",
        why="A refusal with the status 200 is kept by caches and read by scripts as what they have asked for.",
        edits=(("txn:reply({ status = answer.status, reason = answer.reason,", "txn:reply({ status = 200,"),),
        finds="error_status",
    ),
    Broken(
        name="always_get_in_the_question",
        why="The gateway judges GET whatever the method is, so reading is enough for writing.",
        edits=(("{ txn.sf:method() }", '{ "GET" }'),),
        finds="method_confusion",
    ),
    Broken(
        name="checks_of_a_load_balancer_beside_the_question",
        why="A load balancer asks without a host whether the portal lives, and so does everybody else.",
        edits=(
            (
                "{ ssl_fc_sni,lower,strcmp(txn.host) eq 0 }",
                "{ ssl_fc_sni,lower,strcmp(txn.host) eq 0 } or !{ req.hdr(host) -m found }",
            ),
            (_QUESTION, "    http-request lua.authproxy unless own_page or !{ req.hdr(host) -m found }\n"),
            (_TO_PORTAL, "    use_backend acq if !{ req.hdr(host) -m found }\n" + _TO_PORTAL),
        ),
        finds="missing_host",
    ),
    Broken(
        name="no_room_for_the_identity",
        why="The beginning of an upload fills the buffer, and what the gateway adds about the person finds no room.",
        edits=(("    tune.maxrewrite 16384\n", ""),),
        finds="large_upload",
    ),
    Broken(
        name="rewritten_after_the_question",
        why="The portal gets another path than the one that was judged.",
        edits=(
            (
                "backend acq\n",
                "backend acq\n    http-request replace-path (.*)//(.*) \\1/\\2\n",
            ),
        ),
        finds="path_confusion",
    ),
    Broken(
        name="hsts_removed",
        why="A first request by plain HTTP can be answered by somebody else.",
        edits=(
            (
                "backend authproxy\n",
                "backend authproxy\n    http-response del-header Strict-Transport-Security\n",
            ),
        ),
        finds="hsts",
    ),
)

"""PURE: forms that wait for a fresh proof of their person: which requests are kept, what sends one on, and as
what it goes to the portal.

The form of our confirmation page goes to the address of the kept one. It is told from the portal's own forms
by its type, its exact length and its only field; a request without a body costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from authproxy.access import request_senders
from authproxy.access.held_request import NAME_SIZE, RELEASE_FIELD, HeldRequest, is_name
from authproxy.edge.rules.request_head import RequestHead

RELEASE_SIZE: Final = len(RELEASE_FIELD) + 1 + NAME_SIZE
_RELEASE_FIELD: Final = RELEASE_FIELD.encode()
_FORM: Final = b"application/x-www-form-urlencoded"
# They speak of the body, or of the page that the kept form came from; a portal that compares them with its
# own origin must find it there.
_OF_THE_FORM: Final = frozenset(
    {b"content-type", b"content-encoding", b"content-language", b"origin", b"referer"}
)


def may_release(head: RequestHead) -> bool:
    """Whether a head can be that of the form on our confirmation page; what its body says decides."""
    if head.method != "POST" or head.content_length != RELEASE_SIZE:
        return False
    types = head.all(b"content-type")
    return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == _FORM


def released_name(body: bytes) -> str | None:
    """The name of the kept form that such a body sends on; None if it is a form of the portal's own."""
    field, _, value = body.partition(b"=")
    name = value.decode("latin-1") if field == _RELEASE_FIELD else ""
    return name if is_name(name) else None


def comes_from_portal(head: RequestHead, origin: str) -> bool:
    """Whether a page of the portal's own origin has sent a POST. What another site has made a browser send is
    neither kept nor sent on: it would leave our confirmation page as the portal's own. A request that does
    not tell where it comes from is not believed either."""
    return request_senders.comes_from(head.fields, origin) is True


def may_keep(head: RequestHead, origin: str, takes: Callable[[str, int], bool]) -> bool:
    """Whether a page load is a form that can be kept: its size is known, its page is one of the portal's, and
    `takes` accepts its content type and size."""
    length, types = head.content_length, head.all(b"content-type")
    if head.method != "POST" or length is None or len(types) != 1 or head.all(b"content-encoding"):
        return False
    return takes(types[0].decode("latin-1"), length) and comes_from_portal(head, origin)


def kept(head: RequestHead, target: str, body: bytes) -> HeldRequest:
    """What is kept of such a form. `target` is its canonical origin-form."""
    fields = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in head.fields
        if name.lower() in _OF_THE_FORM
    ]
    return HeldRequest(
        target=target,
        content_type=head.all(b"content-type")[0].decode("latin-1"),
        fields=tuple(fields),
        body=body,
    )


def released(head: RequestHead, form: HeldRequest) -> RequestHead:
    """The head of the kept form: that of the request which sends it on, but for what belongs to the form."""
    fields = [one for one in head.fields if one[0].lower() not in _OF_THE_FORM]
    fields += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in form.fields]
    made = RequestHead("POST", head.target, head.is_http_1_0, fields, host=head.host)
    made.cookies = head.cookies
    made.connection = head.connection
    made.content_length = len(form.body)
    made.keeps_alive = head.keeps_alive
    made.authenticates_connection = head.authenticates_connection
    return made

"""PURE: forms that wait for a fresh proof of their person: which requests are kept, which request releases
one, and with which head it goes to the portal.

Our confirmation page posts its form to the address of the kept one. It is told from the portal's own forms by
its type, its exact length and its only field. For a request without a body that costs one comparison.
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
# These fields are about the body, or about the page that the kept form came from. A portal may compare the
# latter with its own origin.
_OF_THE_FORM: Final = frozenset(
    {b"content-type", b"content-encoding", b"content-language", b"origin", b"referer"}
)


def may_release(head: RequestHead) -> bool:
    """Whether a head can be that of the form on our confirmation page. Then its body decides."""
    if head.method != "POST" or head.content_length != RELEASE_SIZE:
        return False
    types = head.all(b"content-type")
    return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == _FORM


def released_name(body: bytes) -> str | None:
    """The name of the kept form that such a body releases; None if it is one of the portal's own forms."""
    field, _, value = body.partition(b"=")
    name = value.decode("latin-1") if field == _RELEASE_FIELD else ""
    return name if is_name(name) else None


def comes_from_portal(head: RequestHead, origin: str) -> bool:
    """Whether a page of the portal's own origin has sent a POST.

    A form that another site has made the browser send is neither kept nor released: our confirmation page
    would send it as the portal's own. A request that does not say where it comes from is not believed
    either."""
    return request_senders.comes_from(head.fields, origin) is True


def may_keep(head: RequestHead, origin: str, takes: Callable[[str, int], bool]) -> bool:
    """Whether a page load is a form that can be kept: its size is known, its page is one of the portal's, and
    `takes` accepts its content type and size."""
    length, types = head.content_length, head.all(b"content-type")
    if head.method != "POST" or length is None or len(types) != 1 or head.all(b"content-encoding"):
        return False
    return takes(types[0].decode("latin-1"), length) and comes_from_portal(head, origin)


def kept(head: RequestHead, target: str, body: bytes) -> HeldRequest:
    """What the store keeps of such a form. `target` is its canonical origin-form."""
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
    """The head for the portal: that of the request which releases the form, except for the form's own
    fields."""
    fields = [field for field in head.fields if field[0].lower() not in _OF_THE_FORM]
    fields += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in form.fields]
    released_head = RequestHead("POST", head.target, head.is_http_1_0, fields, host=head.host)
    released_head.cookies = head.cookies
    released_head.connection = head.connection
    released_head.content_length = len(form.body)
    released_head.keeps_alive = head.keeps_alive
    released_head.authenticates_connection = head.authenticates_connection
    return released_head

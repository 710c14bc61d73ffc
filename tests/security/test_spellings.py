"""No spelling of a protected path is answered by a weaker rule than the path it stands for.

The portals are modelled here, without the code under test: each is a list of things that some server does to a
path before it looks for what to serve. Routes are compared here by a matcher of their own.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as some

from authproxy.access.policy import route_of
from authproxy.access.routes import MachineDemand, Portal, Requirement, Route, StepUp
from authproxy.access.target import RequestTarget, TargetRefused, canonical_host, parse
from authproxy.edge.rules.request_head import RequestHead
from authproxy.edge.rules.subrequest import NGINX, SubrequestRefused, original
from authproxy.identity.assurance import Level

HOST = "acq.example"


# What servers do to a path. Each takes and returns text; what it cannot serve is None.


def decode_once(path: str) -> str:
    return unquote_to_bytes(path).decode("utf-8", "surrogateescape")


def decode_twice(path: str) -> str:
    return decode_once(quote(decode_once(path), safe="/%;:~!$&'()*+,=@.", errors="surrogateescape"))


def behind_nginx_with_a_path(path: str) -> str:
    """`proxy_pass http://x/;`: decodes, merges slashes, resolves dots, and escapes only what it must."""
    decoded = without_dots(re.sub("/+", "/", decode_once(path.partition("?")[0])))
    return quote(decoded, safe="/;:~!$&'()*+,=@.|^[]\\", errors="surrogateescape")


def without_parameters(path: str) -> str:
    return re.sub(";[^/]*", "", path)


def cut_at_parameters(path: str) -> str:
    return path.partition(";")[0] or "/"


def cut_at_the_query(path: str) -> str:
    """Of a server that parses the decoded path as a URL once more."""
    return re.split("[?#]", path)[0] or "/"


def merged_slashes(path: str) -> str:
    return re.sub("/+", "/", path)


def backslashes(path: str) -> str:
    return path.replace("\\", "/")


def without_dots(path: str) -> str:
    found: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del found[-1:]
        elif segment != ".":
            found.append(segment)
    return "/" + "/".join(found)


def small(path: str) -> str:
    return path.lower()


def capitals_and_small(path: str) -> str:
    """Of a server that compares capitals."""
    return path.upper().lower().replace("i\u0307", "i")


def composed(path: str) -> str:
    return unicodedata.normalize("NFKC", path)


def of_the_code_page(path: str) -> str:
    """Of HTTP.sys in Slovenia, for a path that is no UTF-8."""
    octets = unquote_to_bytes(path)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1250", "replace")


def ntfs(path: str) -> str:
    names = [
        segment if segment in {".", ".."} else segment.partition(":")[0].rstrip(". ")
        for segment in path.split("/")
    ]
    return "/".join(names)


def long_names(path: str) -> str:
    return re.sub("(?i)/admini~1(?=/|$)", "/administration", path)


def asp_net(path: str) -> str:
    return re.sub(r"/\((?:[A-Za-z]\([^()/]*\))+\)", "", path)


EXACT = [
    [decode_once],
    [decode_once, without_dots],
    [without_parameters, decode_once, without_dots],
    [decode_once, without_parameters, without_dots],
    [decode_once, cut_at_parameters, without_dots],
    [decode_once, merged_slashes, without_dots],
    [without_parameters, decode_once, merged_slashes, without_dots],
    [behind_nginx_with_a_path, decode_once, without_parameters, without_dots],
    [behind_nginx_with_a_path, without_parameters, decode_once, merged_slashes, without_dots],
    [behind_nginx_with_a_path, cut_at_parameters, decode_once],
    [decode_once, cut_at_the_query, without_dots],
    [decode_once, cut_at_the_query, without_parameters, merged_slashes, without_dots],
]
TWICE = [
    [decode_twice, without_dots],
    [decode_twice, without_parameters, merged_slashes, without_dots],
    [behind_nginx_with_a_path, decode_twice, without_parameters, without_dots],
]
WITH_SLASHES = [
    [decode_once, backslashes, without_dots],
    [decode_once, backslashes, without_parameters, merged_slashes, without_dots],
]
WITHOUT_CASE = [[*steps, fold] for steps in EXACT for fold in (small, capitals_and_small)]
WINDOWS = [
    *([*(step for step in steps if step is not without_dots), *more, small] for steps in EXACT for more in (
        [ntfs, without_dots], [composed, backslashes, ntfs, without_dots], [composed, without_dots, ntfs],
        [asp_net, ntfs, without_dots], [ntfs, long_names, without_dots], [without_dots, ntfs, long_names],
        [composed, without_parameters, cut_at_the_query, ntfs, merged_slashes, without_dots],
    )),
    [decode_once, asp_net, without_parameters, backslashes, composed, ntfs, merged_slashes, without_dots, small],
]  # fmt: skip


def served(steps, path: str) -> str:
    for step in steps:
        path = step(path) or "/"
    return path


# Routes, and what they demand.

NAMES = ["admin", "administration", "public", "x", "Čaka", "a b", "m(5)", "v:1", "a!b"]
PATTERNS = some.lists(some.sampled_from([*NAMES, "*"]), min_size=1, max_size=3).map(
    lambda names: "/" + "/".join(name if name == "*" else quote(name, safe="!():*") for name in names)
)
DEMANDS = some.builds(
    lambda access, **demands: (access, Requirement(**demands)),
    access=some.sampled_from(["required", "required", "public", "deny"]),
    level=some.sampled_from([Level.LOW, Level.MEDIUM, Level.HIGH]),
    claims=some.sampled_from([(), ("email",), ("name", "email")]),
    step_up=some.sampled_from([None, StepUp()]),
    methods=some.sampled_from([("rekono",), ("rekono", "acnlb"), ("acnlb",)]),
    networks=some.sampled_from([(), (frozenset({"office"}),)]),
    roles=some.sampled_from([(), (frozenset({"clerk"}),), (frozenset({"clerk", "head"}),)]),
    machines=some.sampled_from(
        [None, MachineDemand(tokens=True), MachineDemand(keys=True, tokens=True, scopes=("a",))]
    ),
)


def covers(pattern: str, path: str, *, is_case_kept: bool) -> bool:
    wanted = [decode_once(segment) for segment in pattern.split("/")[1:]]
    found = path.split("/")[1:]
    if not is_case_kept:
        wanted, found = [name.lower() for name in wanted], [name.lower() for name in found]
    return len(found) >= len(wanted) and all(
        name == segment or (name == "*" and segment) for name, segment in zip(wanted, found, strict=False)
    )


def is_weaker(one: Route, other: Route) -> bool:
    """Whether the first might let something in that the second would not."""
    strictness = ["public", "required", "deny"]
    if one.access != other.access:
        return strictness.index(one.access) < strictness.index(other.access)
    demands, others = one.requirement, other.requirement
    if not set(others.networks) <= set(demands.networks):
        return one.access != "deny"
    if one.access != "required":
        return False
    return (
        demands.level < others.level
        or not set(demands.methods) <= set(others.methods)
        or not set(others.claims) <= set(demands.claims)
        or not set(others.roles) <= set(demands.roles)
        or (others.step_up is not None and demands.step_up is None)
        or lets_more_programs_in(demands.machines, others.machines)
    )


def lets_more_programs_in(one: MachineDemand | None, other: MachineDemand | None) -> bool:
    one, other = one or MachineDemand(), other or MachineDemand()
    return (
        (one.tokens and not other.tokens)
        or (one.keys and not other.keys)
        or ((one.tokens or one.keys) and not set(other.scopes) <= set(one.scopes))
    )


# Spellings.

PIECES = [
    "/", "//", ";", ";v=1", ";v=1/", "%3B", "%3b/", ".", "..", "/..", "/../", "/..;/", "/..%3B/", "/.%3B/", "%2e%2e",
    "/%2e%2e%3b/", "%2F", "%5C", "%252F", "%252e", "%253B", "%25", "%20", "%20/", " ", ". ", "./", "...", ":", "::$DATA",
    "%3A$i30", "~1", "ADMINI~1", "/ADMINI~1/", "%EF%BC%8F", "%EF%BC%BC", "%EF%BC%8E", "/%EF%BC%8E%EF%BC%8E/", "%E2%80%A5",
    "/..%20/", "/..%EF%BC%8F", "%EF%BC%9B", "%EF%BC%85", "%3F", "%3Fx=1", "%23", "/(S(a))", "(S(a))/", "%21", "!", "%28",
    "%29", "%2A", "|", "[", "%5B", "%C2%A0", "%E2%84%AA", "%C4%B1", "%C5%BF", "%00", "%C0%AE", "\\",
]  # fmt: skip


@some.composite
def spelled_and_protected(draw):
    """A path, spoilt at a few places, and routes of which one protects it."""
    names = draw(some.lists(some.sampled_from(NAMES), min_size=1, max_size=2))
    protected = "/" + "/".join(quote(name, safe="!():") for name in names)
    pattern = draw(some.sampled_from([protected, protected, re.sub("/[^/]*", "/*", protected, count=1)]))
    routes = [*draw(some.lists(some.tuples(PATTERNS, DEMANDS), max_size=2))]
    routes.insert(draw(some.integers(0, len(routes))), (pattern, draw(DEMANDS)))
    text = (
        draw(some.sampled_from(["", "", "/x", "/x/y"])) + protected + draw(some.sampled_from(["", "/secret"]))
    )
    for _ in range(draw(some.integers(1, 3))):
        at = draw(some.sampled_from([0, *(found.start() for found in re.finditer("/|$", text))]))
        if draw(some.booleans()):
            text = text[:at] + draw(some.sampled_from(PIECES)) + text[at:]
        else:
            at = draw(some.integers(0, len(text) - 1))
            text = text[:at] + draw(some.sampled_from(letters_like(text[at]))) + text[at + 1 :]
    return text if text.startswith("/") else "/" + text, routes


def letters_like(letter: str) -> list[str]:
    if not letter.isalnum():
        return [letter]
    octet = ord(letter)
    return [f"%{octet:02x}", f"%25{octet:02X}", letter.swapcase(), quote(chr(octet + 0xFEE0))]


def as_reverse_proxy(portal: Portal, path: str) -> RequestTarget | None:
    try:
        return parse(
            method="GET",
            target=path,
            host=HOST,
            accepts_encoded_slash=portal.accepts_encoded_slash,
            accepts_encoded_percent=portal.accepts_encoded_percent,
        )
    except TargetRefused:
        return None


def as_asked_by_nginx(portal: Portal, path: str) -> RequestTarget | None:
    fields = [
        (b"X-Original-URL", f"https://{HOST}{path}".encode("latin-1")),
        (b"X-Original-Method", b"GET"),
    ]
    head = RequestHead("GET", "/.authproxy/auth/nginx", False, fields)
    try:
        return original(head, NGINX, lambda raw, port: (canonical_host(raw.decode("latin-1"), port), portal))
    except SubrequestRefused:
        return None


def portal_with(routes, paths, *, slash, percent) -> Portal:
    made = [
        Route(name=f"{at} {pattern}", path=pattern, access=access, requirement=demand)
        for at, (pattern, (access, demand)) in enumerate(routes)
    ]
    made.append(Route(name="rest", path="/", requirement=Requirement(methods=("rekono", "acnlb"))))
    return Portal(
        portal_id="acq",
        origin=f"https://{HOST}",
        host=HOST,
        routes=tuple(made),
        paths=paths,
        accepts_encoded_slash=slash,
        accepts_encoded_percent=percent,
    )


def demand_is_never_weaker(mode, portal: Portal, portals, path: str) -> None:
    target = mode(portal, path)
    decided = route_of(portal, target) if target is not None else None
    if target is None or decided is None:
        return  # refused
    for steps in portals:
        found = served(steps, target.path)
        meant = next(
            route
            for route in portal.routes
            if route.path == "/" or covers(route.path, found, is_case_kept=portal.paths == "exact")
        )
        assert not is_weaker(decided, meant), (
            f"{target.path} is served as {found} by {[step.__name__ for step in steps]}"
        )


MODES = pytest.mark.parametrize("mode", [as_reverse_proxy, as_asked_by_nginx])
PORTALS = pytest.mark.parametrize(
    ("paths", "portals"), [("exact", EXACT), ("ignore_case", WITHOUT_CASE), ("windows", WINDOWS)]
)


STRONG = ("required", Requirement(level=Level.HIGH, methods=("rekono", "acnlb")))


@MODES
@PORTALS
@given(case=spelled_and_protected(), slash=some.booleans(), percent=some.booleans())
def test_no_spelling_is_answered_by_a_weaker_rule_than_the_path_that_is_served(
    mode, paths, portals, case, slash, percent
):
    path, routes = case
    portal = portal_with(routes, paths, slash=slash, percent=percent)
    served_by = [*portals, *(TWICE if percent else []), *(WITH_SLASHES if slash else [])]
    demand_is_never_weaker(mode, portal, served_by, path)


@PORTALS
def test_no_single_piece_at_any_place_leads_around_a_rule(paths, portals):
    # The first one is an exception: whatever is only read as it must not be let in by it.
    routes = [
        ("/admin/public", ("public", Requirement())),
        ("/admin", STRONG),
        ("/administration/x", STRONG),
    ]
    portal = portal_with(routes, paths, slash=False, percent=False)
    for piece in PIECES:
        for before, after in (
            ("", "/admin"), ("", "/admin/secret"), ("/", "admin"), ("/x", "/admin"), ("/x/y/", "admin/secret"),
            ("/ad", "min"), ("/ad", "min/secret"), ("/admin", ""), ("/admin", "/secret"), ("/admin/", "secret"),
            ("/", "/x"), ("/adm", "n"), ("/", "/admin"), ("/admin", "/public"), ("/admin/public/", "x"), ("/admin/", "/public"),
        ):  # fmt: skip
            demand_is_never_weaker(as_reverse_proxy, portal, portals, before + piece + after)


@MODES
@PORTALS
@pytest.mark.parametrize(
    "path", ["/x;y/admin/public%3Bz", "/x;/admin/public%3B", "/x;y/admin/public%3Bz/u;v"]
)
def test_an_exception_holds_only_for_what_every_server_takes_for_it(mode, paths, portals, path):
    """Tomcat drops `;y` and not `%3Bz`, so it serves something else than the exception."""
    portal = portal_with(
        [("/x/admin/public", ("public", Requirement())), ("/x/admin", STRONG)],
        paths,
        slash=False,
        percent=False,
    )
    demand_is_never_weaker(mode, portal, portals, path)


@pytest.mark.parametrize("path", ["/%C8aka/x", "/x/../%C8aka", "/%C8AKA.", "/%C8%61ka::$DATA"])
def test_a_name_in_the_code_page_of_the_server_is_not_answered_by_a_weaker_rule(path):
    portal = portal_with([("/%C4%8Caka", STRONG)], "windows", slash=False, percent=False)
    server = [of_the_code_page, ntfs, without_dots, small]
    demand_is_never_weaker(as_reverse_proxy, portal, [server], path)


@given(case=spelled_and_protected(), paths=some.sampled_from(["exact", "ignore_case", "windows"]))
def test_both_modes_find_the_same_target(case, paths):
    portal = portal_with(case[1], paths, slash=False, percent=False)
    assert as_reverse_proxy(portal, case[0]) == as_asked_by_nginx(portal, case[0])

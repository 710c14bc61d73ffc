"""Which of a portal's cookies reach it with whose requests, and which ones a sign-out removes."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from authproxy.access.personal_cookies import Marking, PersonalCookies
from authproxy.identity.person import Issuer, MemberId, Person, Subject

SECRET = b"s" * 32
LISTED = PersonalCookies(("JSESSIONID", "ASPSESSIONID*"), portal_id="acq", secret=SECRET)
CARRYING = PersonalCookies(("JSESSIONID",), portal_id="acq", secret=SECRET, carries_values=True)
NOBODY = LISTED.owner(None)


def person(subject: str, *, member: str | None = None, issuer: str = "https://idp.example") -> Person:
    return Person(
        issuer=Issuer(issuer), subject=Subject(subject), member=None if member is None else MemberId(member)
    )


ANA, BOR = LISTED.owner(person("ana")), LISTED.owner(person("bor"))


def set_by(*answers: bytes, owner=ANA, cookies=LISTED, path="/app/page") -> list[bytes]:
    """The lines that the gateway adds to an answer with these Set-Cookie values."""
    lines = Marking(cookies, owner, path).lines([(b"Set-Cookie", answer) for answer in answers])
    assert lines.endswith(b"\r\n") or not lines
    return lines.split(b"\r\n")[:-1]


def browser(*answers: bytes, owner=ANA, cookies=LISTED, path="/app/page") -> bytes:
    """What a browser sends that has got these answers, as a Cookie value."""
    marks = [
        line.removeprefix(b"Set-Cookie: ")
        for line in set_by(*answers, owner=owner, cookies=cookies, path=path)
    ]
    return b"; ".join(value.partition(b";")[0] for value in (*answers, *marks))


def portals_part(cookies: bytes) -> bytes:
    """Without the marks, which the edge removes with the gateway's other cookies."""
    return b"; ".join(pair for pair in cookies.split(b"; ") if not pair.startswith(b"__Host-authproxy"))


def test_a_cookie_comes_back_to_the_portal_with_requests_of_the_person_for_whom_it_was_set():
    sent = browser(b"JSESSIONID=a1; Path=/app; HttpOnly", b"look=blue")
    assert LISTED.kept(sent, ANA) == sent
    assert portals_part(sent) == b"JSESSIONID=a1; look=blue"


def test_it_does_not_with_requests_of_anybody_else():
    sent = browser(b"JSESSIONID=a1; Path=/", b"look=blue")
    for owner in (BOR, NOBODY, PersonalCookies((), portal_id="b2b", secret=SECRET).owner(person("ana"))):
        assert portals_part(LISTED.kept(sent, owner)) == b"look=blue"


def test_what_was_set_for_nobody_is_nobody_elses():
    sent = browser(b"JSESSIONID=public", owner=NOBODY)
    assert portals_part(LISTED.kept(sent, NOBODY)) == b"JSESSIONID=public"
    assert portals_part(LISTED.kept(sent, ANA)) == b""


def test_a_cookie_without_a_mark_is_nobodys():
    assert LISTED.kept(b"JSESSIONID=planted", ANA) == b""
    assert LISTED.kept(b"look=blue; JSESSIONID=planted;  b=2", ANA) == b"look=blue;  b=2"


def test_a_mark_is_good_for_one_value_of_one_name_only():
    mark = browser(b"JSESSIONID=a1").partition(b"; ")[2]
    assert LISTED.kept(b"JSESSIONID=a1; " + mark, ANA).startswith(b"JSESSIONID=a1")
    for other in (b"JSESSIONID=a2", b"ASPSESSIONIDX=a1", b"jsessionid=a1"):
        assert LISTED.kept(other + b"; " + mark, ANA) == mark


def test_of_two_cookies_of_one_name_only_those_of_the_person_pass():
    theirs = browser(b"JSESSIONID=old; Path=/app", owner=BOR)
    own = browser(b"JSESSIONID=new; Path=/")
    assert portals_part(LISTED.kept(theirs + b"; " + own, ANA)) == b"JSESSIONID=new"


def test_two_applications_of_one_server_keep_their_cookies_of_the_same_name():
    one, two = browser(b"JSESSIONID=one; Path=/one"), browser(b"JSESSIONID=two; Path=/two")
    marks = b"; ".join(pair for sent in (one, two) for pair in sent.split(b"; ")[1:])
    assert len({pair.partition(b"=")[0] for pair in marks.split(b"; ")}) == 2
    for value in (b"one", b"two"):
        sent = b"JSESSIONID=%s; %s" % (value, marks)
        assert LISTED.kept(sent, ANA) == sent


def test_other_cookies_pass_byte_for_byte():
    sent = b' a="1, 2" ;b=;; c = "x y"; =z; razporeditev=Wed, 22 Dec'
    assert LISTED.kept(sent, ANA) == sent
    assert LISTED.kept(b"", ANA) == b""


@pytest.mark.parametrize(
    "spelling",
    [
        b"jsessionid=x",
        b"JSESSIONI%44=x",
        b"JSESSIONID%00=x",
        b"%20JSESSIONID=x",
        b"+%09JSESSIONID=x",
        b"a=1, %20JSESSIONID=x",
        b"JSESSIONID[0]=x",
        b" JSESSIONID =x",
        b"AspSessionIdABC=x",
        b"a=1, JSESSIONID=x",
        b'a="b JSESSIONID=x"',
        b'a=b "JSESSIONID"=x',
        b"a=1,\tJSESSIONID =x",
    ],
)
def test_a_spelling_that_some_server_takes_for_the_name_needs_a_mark_too(spelling):
    assert LISTED.kept(b"first=1;" + spelling + b";last=2", ANA) == b"first=1;last=2"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_whatever_a_browser_sends_nothing_without_a_mark_reaches_the_portal_under_a_listed_name(a, b):
    kept = LISTED.kept(a + b";JSESSIONID=planted;" + b, ANA)
    assert b"JSESSIONID=planted" not in kept


def test_a_member_of_the_register_is_one_person_for_every_way_of_signing_in():
    first = LISTED.owner(person("ana", member="17"))
    assert first == LISTED.owner(person("CN=Ana", member="17", issuer="https://acnlb.example"))
    assert (
        len({first, ANA, BOR, NOBODY, LISTED.owner(person("17")), LISTED.owner(person("member\x0017"))}) == 6
    )
    assert LISTED.owner(person("ana", issuer="https://other.example")) != ANA


def test_people_are_others_at_another_portal_and_under_another_key():
    for cookies in (
        PersonalCookies((), portal_id="b2b", secret=SECRET),
        PersonalCookies((), portal_id="acq", secret=b"t" * 32),
    ):
        assert cookies.owner(person("ana")) != ANA


def test_a_mark_is_a_cookie_of_ours_that_lives_as_long_as_its_cookie():
    [line] = set_by(
        b"JSESSIONID=a1; Max-Age=60; path=/app; Expires=Wed, 22 Dec 2027 10:00:00 GMT; SameSite=None"
    )
    assert line.startswith(b"Set-Cookie: __Host-authproxy-mark-")
    assert line.endswith(
        b"; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60; Expires=Wed, 22 Dec 2027 10:00:00 GMT"
    )
    assert b"a1" not in line
    [gone] = set_by(b"JSESSIONID=; Path=/app; Max-Age=0")
    assert gone.endswith(b"; Max-Age=0")
    assert gone.partition(b"=")[0] == line.partition(b"=")[0]


def test_only_listed_cookies_are_marked():
    assert set_by(b"look=blue", b"__Host-authproxy=x", b"nameless", b"") == []
    assert Marking(LISTED, ANA, "/").lines([(b"Location", b"JSESSIONID=a")]) == b""
    assert len(set_by(b"JSESSIONID=a", b"ASPSESSIONIDQQ=b", b"look=blue")) == 2


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        (b"JSESSIONID=a; Path=/app", "/x", ("", "/app")),
        (b"JSESSIONID=a; Domain=.Bank.example; Path=/", "/x", ("bank.example", "/")),
        (b"JSESSIONID=a", "/app/page", ("", "/app")),
        (b"JSESSIONID=a; Path=app", "/app/", ("", "/app")),
        (b"JSESSIONID=a; Path", "/page", ("", "/")),
        (b"JSESSIONID=a; Path=/one; Path=/two", "/x", ("", "/two")),
    ],
)
def test_a_mark_tells_where_its_cookie_stands(text, path, place):
    [cookie] = LISTED.marked(browser(text, path=path))
    assert (cookie.name, cookie.value, cookie.domain, cookie.path) == ("JSESSIONID", None, *place)


def removed(cookies: bytes, listed=LISTED) -> set[tuple[str, str, str]]:
    """Name, domain and path of the cookies that a browser loses."""
    found = set()
    for text in listed.expired(cookies):
        [(name, morsel)] = SimpleCookie(text).items()
        assert (morsel["max-age"], morsel.value) == ("0", "")
        assert bool(morsel["secure"]) is listed._is_secure or name.startswith("__Host-")
        found.add((name, morsel["domain"], morsel["path"]))
    return found


def test_a_sign_out_removes_the_cookies_where_they_stand_and_their_marks():
    sent = browser(b"JSESSIONID=a; Path=/app", b"ASPSESSIONIDX=b; Domain=bank.example; Path=/", b"look=blue")
    gone = removed(sent)
    assert {
        ("JSESSIONID", "", "/app"),
        ("JSESSIONID", "", "/"),
        ("ASPSESSIONIDX", "bank.example", "/"),
        ("ASPSESSIONIDX", "", "/"),
    } < gone
    assert len([name for name, *_ in gone if name.startswith("__Host-authproxy-mark-")]) == 2
    assert not any(name == "look" for name, *_ in gone)


def test_a_sign_out_removes_listed_cookies_that_nobody_has_marked():
    assert removed(b"ASPSESSIONIDY=1; look=blue") == {("JSESSIONID", "", "/"), ("ASPSESSIONIDY", "", "/")}
    assert removed(b"__Host-authproxy-proxy-ASPSESSIONIDZ=m.v") == {
        ("JSESSIONID", "", "/"),
        ("ASPSESSIONIDZ", "", "/"),
        ("__Host-authproxy-proxy-ASPSESSIONIDZ", "", "/"),
    }
    plain = PersonalCookies(("sid",), portal_id="acq", secret=SECRET, is_secure=False)
    assert removed(b"", plain) == {("sid", "", "/")}


@pytest.mark.parametrize(
    "place",
    [
        "JSESSIONID\n\n/app\r\nX: y",
        "JSESSIONID\nbank.example; Path=/\n/",
        "JSESSIONID\n\n/;Domain=x",
        "look\n\n/",
        "JSESSION ID\n\n/",
        "JSESSIONID\n/",
        "JSESSIONID\n\n/\nv\nmore",
    ],
)
def test_a_browser_that_lies_in_a_mark_removes_nothing_else(place):
    from authproxy.access import personal_cookies

    mark = b"__Host-authproxy-mark-AAAAAAAAAAAA=" + b"m" * 30 + b"."
    lie = mark + personal_cookies._encoded(place.encode())
    assert removed(lie) == {("JSESSIONID", "", "/"), ("__Host-authproxy-mark-AAAAAAAAAAAA", "", "/")}
    for broken in (b"*", b"A", personal_cookies._encoded(b"\xff")):
        assert LISTED.marked(mark + broken) == []
    assert len(LISTED.expired(b"__Host-authproxy-mark-\xc4=x")) == 1


def test_a_flood_of_marks_becomes_no_flood_of_answers():
    sent = b"; ".join(
        browser(b"JSESSIONID=%d; Path=/%d" % (number, number)).partition(b"; ")[2] for number in range(200)
    )
    assert len(LISTED.expired(sent)) <= 128


def test_a_sign_in_removes_what_others_have_left_and_not_ones_own():
    left = browser(b"JSESSIONID=b; Path=/app", owner=BOR).partition(b"; ")[2]
    own = browser(b"JSESSIONID=a; Path=/", b"look=blue")
    sent = left + b"; " + own + b"; __Host-authproxy=t"
    gone = [text.partition(";")[0] for text in LISTED.left_by_others(sent, ANA)]
    assert gone == [left.partition(b"=")[0].decode() + "=", "JSESSIONID="]
    assert "JSESSIONID=; Max-Age=0; Path=/app; Secure; HttpOnly" in LISTED.left_by_others(sent, ANA)
    assert LISTED.left_by_others(own, ANA) == []
    assert LISTED.left_by_others(b"", ANA) == []


def test_a_sign_in_removes_what_a_front_proxy_has_marked_for_others():
    theirs, own = LISTED.proxy_mark(BOR), LISTED.proxy_mark(ANA)
    sent = b"__Host-authproxy-proxy-ASPSESSIONIDA=%s.b; __Host-authproxy-proxy-JSESSIONID=%s.a" % (
        theirs,
        own,
    )
    assert LISTED.left_by_others(sent, ANA) == [
        "__Host-authproxy-proxy-ASPSESSIONIDA=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
        "ASPSESSIONIDA=; Max-Age=0; Path=/; Secure; HttpOnly",
    ]


def test_a_flood_of_cookies_costs_little():
    sent = browser(b"JSESSIONID=a")
    flood = b"; ".join([b"JSESSIONID=%d" % number for number in range(2000)])
    assert b"JSESSIONID=a" not in LISTED.kept(flood + b"; " + sent, ANA)
    assert LISTED.kept(sent + b"; " + flood, ANA) == sent
    blanks = (
        b"a=x" + b" " * 200_000 + b"y"
    )  # would take minutes if every blank were looked at from every other
    assert LISTED.kept(blanks, ANA) == blanks
    marks = b"; ".join(
        b"__Host-authproxy-proxy-JSESSIONID=%s.%d" % (LISTED.proxy_mark(ANA), n) for n in range(99)
    )
    assert LISTED.kept(b"JSESSIONID=40; " + marks, ANA, marked_by_proxy=True) == marks


def test_the_portal_is_told_with_the_cookies_of_the_person_who_signs_out():
    sent = browser(b"JSESSIONID=in-app; Path=/app", cookies=CARRYING).partition(b"; ")[2]
    assert CARRYING.sent_to("/app/logout", sent, ANA) == "JSESSIONID=in-app"
    assert CARRYING.sent_to("/app", sent, ANA) == "JSESSIONID=in-app"
    assert CARRYING.sent_to("/appendix", sent, ANA) == ""
    assert CARRYING.sent_to("/app/logout", sent, BOR) == ""


def test_a_cookie_that_our_page_gets_too_is_told_once():
    sent = browser(b"JSESSIONID=a; Path=/", b"look=blue", cookies=CARRYING)
    assert CARRYING.sent_to("/logout", sent, ANA) == "JSESSIONID=a"
    assert LISTED.sent_to("/logout", sent, ANA) == "JSESSIONID=a"
    assert CARRYING.sent_to("/logout", b"JSESSIONID=planted; look=blue", ANA) == ""


def test_values_that_are_long_or_no_text_stay_out_of_marks():
    for value in (b"v" * 1025, b"\xe8\xb9", b"a\x01"):
        sent = browser(b"JSESSIONID=%s; Path=/app" % value, cookies=CARRYING)
        assert CARRYING.kept(sent, ANA) == sent
        assert CARRYING.sent_to("/app", sent.partition(b"; ")[2], ANA) == ""
    raw = browser(b"JSESSIONID=\xe8; Path=/", cookies=CARRYING)
    assert CARRYING.sent_to("/", raw, ANA) == ""
    deep = browser(b"JSESSIONID=a; Path=/" + b"p" * 600)
    assert LISTED.kept(deep, ANA) == deep
    assert LISTED.marked(deep) == []


def test_a_front_proxy_marks_with_what_the_gateway_has_told_it_of_the_person():
    mark = LISTED.proxy_mark(ANA)
    sent = b"JSESSIONID=a.b; __Host-authproxy-proxy-JSESSIONID=%s.a.b" % mark
    assert LISTED.kept(sent, ANA, marked_by_proxy=True) == sent
    assert portals_part(LISTED.kept(sent, BOR, marked_by_proxy=True)) == b""
    assert portals_part(LISTED.kept(sent.replace(b"=a.b;", b"=other;"), ANA, marked_by_proxy=True)) == b""
    # A person could write such a mark, so it is not believed where the gateway sees the answers itself.
    assert portals_part(LISTED.kept(sent, ANA)) == b""


def test_the_list_of_spellings_is_bounded_and_no_secret_is_shown():
    small = PersonalCookies(("sid",), portal_id="acq", secret=SECRET)
    for number in range(5000):
        assert not small.lists(b"x%d" % number)
    assert len(small._known) == 4096
    fresh = PersonalCookies(("sid",), portal_id="acq", secret=SECRET)
    assert not fresh.lists(b"x" * 65)
    assert fresh._known == {}
    assert small.lists(b"SID")
    assert repr(small) == "<PersonalCookies sid>"


class Shared(RuleBasedStateMachine):
    """One browser that several people use, one after the other, at a portal that sets cookies as it likes. The
    browser keeps cookies by name and path, and sends those whose path matches, in any order."""

    def __init__(self):
        super().__init__()
        self.kept = {}
        self.set_for = {}
        self.who = NOBODY
        self.counter = 0

    @rule(who=st.sampled_from([ANA, BOR, NOBODY]), tells=st.booleans())
    def somebody_else_comes(self, who, tells):
        if tells:
            self._take(LISTED.expired(self._sent("/.authproxy/logout")), "/.authproxy/logout")
        if who != NOBODY:
            self._take(LISTED.left_by_others(self._sent("/.authproxy/x"), who), "/.authproxy/x")
        self.who = who

    @rule(
        name=st.sampled_from(["JSESSIONID", "ASPSESSIONIDAB", "look"]),
        path=st.sampled_from(["/", "/app", "/app/deep", None]),
        asked=st.sampled_from(["/", "/app/x", "/app/deep/y"]),
        is_removed=st.booleans(),
    )
    def the_portal_sets_a_cookie(self, name, path, asked, is_removed):
        self.counter += 1
        value = f"v{self.counter}"
        self.set_for[value] = self.who
        text = f"{name}={value}" + (f"; Path={path}" if path else "") + ("; Max-Age=0" if is_removed else "")
        lines = LISTED.marks([(b"Set-Cookie", text.encode())], self.who, asked).decode().split("\r\n")[:-1]
        self._take([text, *(line.removeprefix("Set-Cookie: ") for line in lines)], asked)

    @rule(name=st.sampled_from(["JSESSIONID", "ASPSESSIONIDAB"]), path=st.sampled_from(["/", "/app"]))
    def another_site_plants_one(self, name, path):
        self._take([f"{name}=planted; Path={path}"], "/")

    @invariant()
    def nobody_sends_what_was_set_for_another(self):
        for path in ("/", "/app/x", "/app/deep/y"):
            sent = self._sent(path)
            passed = [
                pair.split("=")
                for pair in portals_part(LISTED.kept(sent, self.who)).decode().split("; ")
                if pair
            ]
            for name, value in passed:
                assert name == "look" or self.set_for.get(value) == self.who
            own = {
                value
                for (name, at), value in self.kept.items()
                if name != "look" and _covers(at, path) and self.set_for.get(value) == self.who
            }
            assert own <= {value for _, value in passed}

    def _take(self, texts, asked):
        for text in texts:
            pair, *attributes = text.split("; ")
            name, _, value = pair.partition("=")
            said = dict(attribute.partition("=")[::2] for attribute in attributes)
            key = name, said.get("Path", asked[: asked.rfind("/")] or "/")
            if said.get("Max-Age") == "0":
                self.kept.pop(key, None)
            else:
                self.kept[key] = value

    def _sent(self, path):
        return "; ".join(
            f"{name}={value}" for (name, at), value in self.kept.items() if _covers(at, path)
        ).encode()


def _covers(at, path):
    return path == at or path.startswith(at if at.endswith("/") else at + "/")


test_at_a_shared_browser_everybody_keeps_their_own_and_sends_nobody_elses = Shared.TestCase


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/app/list;jsessionid=A1", "/app/list"),
        ("/app/list;JSESSIONID=A1.node1/x", "/app/list/x"),
        ("/app;v=2;jsessionid=A1;w/list;jsessionid", "/app;v=2;w/list"),
        ("/app%3Bjsessionid=A1", "/app"),
        ("/app%253Bjsessionid%253DA1", "/app"),
        ("/app;%6Asessionid=A1", "/app"),
        ("/app;jsessionid%3DA1;v=2", "/app;v=2"),
        ("/;aspsessionidqq=A1", "/"),
        ("/app;jsessionidx=A1", "/app;jsessionidx=A1"),
        ("/app;v=jsessionid=A1", "/app;v=jsessionid=A1"),
        ("/jsessionid=A1", "/jsessionid=A1"),
        ("/app/list", "/app/list"),
    ],
)
def test_a_session_in_the_path_is_taken_out_of_it(path, left):
    assert LISTED.without_sessions(path) == left

"""Which addresses in an answer's head mean the portal, and that nothing else is changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.edge.rules.public_addresses import PublicAddresses, names_an_address, public_addresses

PUBLIC = b"https://acq.example"


def inner(
    authority: str = "127.0.0.1:9001", *, scheme: str = "http", origin: str = "https://acq.example"
) -> PublicAddresses:
    made = public_addresses(origin=origin, scheme=scheme, authority=authority, preserves_host=False)
    assert made is not None
    return made


def behind_tls(origin: str = "https://acq.example") -> PublicAddresses:
    made = public_addresses(origin=origin, scheme="http", authority="127.0.0.1:9001", preserves_host=True)
    assert made is not None
    return made


def value_of(addresses: PublicAddresses, name: bytes, value: bytes) -> bytes:
    """The changed value. Both ways of changing a head must give the same."""
    ((same_name, changed),) = addresses.in_fields([(name, value)])
    assert same_name == name
    line = b"%s: %s\r\n" % (name, value)
    assert addresses.in_lines(b"Server: x\r\n" + line) == b"Server: x\r\n%s: %s\r\n" % (name, changed)
    return changed


@pytest.mark.parametrize(
    ("said", "public"),
    [
        (b"http://127.0.0.1:9001/next?a=b#c", PUBLIC + b"/next?a=b#c"),
        (b"HTTP://127.0.0.1:9001/next", PUBLIC + b"/next"),
        (b"https://127.0.0.1:9001/next", PUBLIC + b"/next"),
        (b"//127.0.0.1:9001/next", PUBLIC + b"/next"),
        (b"http://127.0.0.1:9001", PUBLIC),
        (b"http://127.0.0.1:9001?x", PUBLIC + b"?x"),
        (b"http://127.0.0.1:9001#x", PUBLIC + b"#x"),
        (b"http://127.0.0.1:9001//evil.example/", PUBLIC + b"//evil.example/"),
        (b"http://127.0.0.1:9001/\\evil.example", PUBLIC + b"/\\evil.example"),
        (b"http://127.0.0.1:9001/\xc4\x8c", PUBLIC + b"/\xc4\x8c"),
        (b"http://acq.example/next", PUBLIC + b"/next"),
    ],
)
@pytest.mark.parametrize("name", [b"Location", b"location", b"LOCATION", b"Content-Location"])
def test_the_upstreams_own_address_becomes_the_public_one(name, said, public):
    assert value_of(inner(), name, said) == public


@pytest.mark.parametrize(
    ("authority", "scheme", "said"),
    [
        ("inner", "http", b"http://inner/x"),
        ("inner", "http", b"http://inner:80/x"),
        ("inner", "http", b"http://inner:/x"),
        ("inner", "http", b"http://INNER./x"),
        ("inner", "http", b"https://inner/x"),
        ("inner", "http", b"https://inner:80/x"),
        ("inner", "http", b"//inner:80/x"),
        ("inner", "https", b"https://inner:443/x"),
        ("inner", "https", b"http://inner:443/x"),
        ("inner", "https", b"//inner:443/x"),
        ("Inner:8443", "https", b"https://inner:8443/x"),
        ("inner:80", "http", b"http://inner/x"),
        ("[::1]:9001", "http", b"http://[::1]:9001/x"),
        ("[::1]", "http", b"http://[::1]/x"),
        ("[::1]", "http", b"http://[::1]:80/x"),
    ],
)
def test_every_spelling_of_the_upstreams_authority_is_its_own(authority, scheme, said):
    assert value_of(inner(authority, scheme=scheme), b"Location", said) == PUBLIC + b"/x"


@pytest.mark.parametrize(
    "said",
    [
        b"/next",
        b"next",
        b"?page=2",
        b"",
        b"   ",
        b"http://other.example/next",
        b"http://127.0.0.1:9002/next",
        b"http://127.0.0.1/next",
        b"https://127.0.0.1/next",
        b"//127.0.0.1/next",
        b"//acq.example/next",
        b"https://acq.example/next",
        b"http://acq.example:8080/next",
        b"ftp://127.0.0.1:9001/next",
        b"http:127.0.0.1:9001/next",
        b"http:/127.0.0.1:9001/next",
        b"http:\\\\127.0.0.1:9001/next",
        b"\\\\127.0.0.1:9001/next",
        b"/\\127.0.0.1:9001/next",
        b"http://127.0.0.1:9001\\next",
        b"http://127.0.0.1:9001\\@evil.example/",
        b"http://127.0.0.1:9001@evil.example/",
        b"http://user@127.0.0.1:9001/next",
        b"http://127.0.0.1:9001.evil.example/",
        b"http://127.0.0.1:9001:80/",
        b"http://127.0.0.1:99999/",
        b"http://127%2e0.0.1:9001/next",
        b"http://127.0.0.1:9001 /next",
        b"http://127.0.0.1:9001\t/next",
        b"http://127.0.0.1:9001'/next",
        b"http://127.0.0.1:9001;/next",
        b"x http://127.0.0.1:9001/next",
        b'"http://127.0.0.1:9001/next"',
    ],
)
def test_what_does_not_mean_the_upstream_is_left_as_it_is(said):
    assert value_of(inner(), b"Location", said) == said
    assert value_of(inner(), b"Content-Location", said) == said


def test_blanks_around_a_url_stay():
    assert value_of(inner(), b"Location", b" \thttp://127.0.0.1:9001/x \t") == b" \t" + PUBLIC + b"/x \t"
    assert value_of(inner(), b"Location", b"http://127.0.0.1:9001 ") == PUBLIC + b" "


@pytest.mark.parametrize(
    ("said", "public"),
    [
        (b"0; url=http://127.0.0.1:9001/x", b"0; url=%s/x" % PUBLIC),
        (b"5;URL=http://127.0.0.1:9001/x", b"5;URL=%s/x" % PUBLIC),
        (b" 1.5 , Url = http://127.0.0.1:9001/x ", b" 1.5 , Url = %s/x " % PUBLIC),
        (b"0 http://127.0.0.1:9001/x", b"0 %s/x" % PUBLIC),
        (b"0; http://127.0.0.1:9001", b"0; %s" % PUBLIC),
        (b"0; url='http://127.0.0.1:9001/x'", b"0; url='%s/x'" % PUBLIC),
        (b'0; url="http://127.0.0.1:9001"; more', b'0; url="%s"; more' % PUBLIC),
        (b'0; url="http://127.0.0.1:9001/x', b'0; url="%s/x' % PUBLIC),
        (b"0; url=http://127.0.0.1:9001'.evil.example/", b"0; url=http://127.0.0.1:9001'.evil.example/"),
        (b'0; url="http://127.0.0.1:9001\'"', b'0; url="http://127.0.0.1:9001\'"'),
        (b"0; url=/x", b"0; url=/x"),
        (b"0; url=http://other.example/x", b"0; url=http://other.example/x"),
        (b"0;", b"0;"),
        (b"0; ", b"0; "),
        (b"0", b"0"),
        (b"url=http://127.0.0.1:9001/x", b"url=http://127.0.0.1:9001/x"),
        (b"", b""),
    ],
)
def test_a_refresh_leads_to_the_public_address(said, public):
    assert value_of(inner(), b"Refresh", said) == public


@pytest.mark.parametrize(
    ("said", "public"),
    [
        (b"a=1; Domain=127.0.0.1; Path=/app", b"a=1; Domain=acq.example; Path=/app"),
        (b"a=1;domain=.127.0.0.1", b"a=1;domain=.acq.example"),
        (b"a=1; DOMAIN = 127.0.0.1 ;Secure", b"a=1; DOMAIN = acq.example ;Secure"),
        (b"a=1; Domain=x; Domain=127.0.0.1", b"a=1; Domain=x; Domain=acq.example"),
        (b"Domain=127.0.0.1", b"Domain=127.0.0.1"),
        (b"Domain=127.0.0.1; Path=/", b"Domain=127.0.0.1; Path=/"),
        (b"a=http://127.0.0.1:9001/; Path=/", b"a=http://127.0.0.1:9001/; Path=/"),
        (b"a=1; Domain=127.0.0.1:9001", b"a=1; Domain=127.0.0.1:9001"),
        (b"a=1; Domain=0.0.1", b"a=1; Domain=0.0.1"),
        (b"a=1; Domain=", b"a=1; Domain="),
        (b"a=1; Domain", b"a=1; Domain"),
        (b'a=1; Domain="127.0.0.1"', b'a=1; Domain="127.0.0.1"'),
        (b"a=1; Path=http://127.0.0.1:9001/", b"a=1; Path=http://127.0.0.1:9001/"),
    ],
)
def test_a_cookie_for_the_upstream_is_one_for_the_public_host(said, public):
    assert value_of(inner(), b"Set-Cookie", said) == public


def test_the_domain_of_a_cookie_has_no_port():
    addresses = inner("Inner.bank:8080", origin="http://acq.localhost:8080")
    assert value_of(addresses, b"Set-Cookie", b"a=1; Domain=inner.BANK") == b"a=1; Domain=acq.localhost"
    assert value_of(addresses, b"Location", b"http://inner.bank:8080/x") == b"http://acq.localhost:8080/x"


@pytest.mark.parametrize(
    ("said", "public"),
    [
        (b"http://acq.example/x", PUBLIC + b"/x"),
        (b"http://acq.example:80/x", PUBLIC + b"/x"),
        (b"http://acq.example:443/x", PUBLIC + b"/x"),
        (b"http://ACQ.example", PUBLIC),
        (b"https://acq.example/x", b"https://acq.example/x"),
        (b"//acq.example/x", b"//acq.example/x"),
        (b"http://acq.example:8080/x", b"http://acq.example:8080/x"),
        (b"http://127.0.0.1:9001/x", b"http://127.0.0.1:9001/x"),
        (b"http://acq.example@evil.example/", b"http://acq.example@evil.example/"),
    ],
)
def test_behind_our_tls_a_portal_that_knows_its_public_host_leads_to_https(said, public):
    assert value_of(behind_tls(), b"Location", said) == public
    assert value_of(behind_tls(), b"Refresh", b"0; url=" + said) == b"0; url=" + public


def test_a_public_port_of_its_own_belongs_to_the_address():
    addresses = behind_tls("https://acq.example:8443")
    assert value_of(addresses, b"Location", b"http://acq.example:8443/x") == b"https://acq.example:8443/x"
    assert value_of(addresses, b"Location", b"http://acq.example/x") == b"http://acq.example/x"


def test_behind_our_tls_cookies_of_a_portal_that_knows_its_public_host_are_right_already():
    cookie = b"a=1; Domain=127.0.0.1"
    assert value_of(behind_tls(), b"Set-Cookie", cookie) == cookie


@pytest.mark.parametrize(
    ("origin", "scheme"), [("https://acq.example", "https"), ("http://acq.localhost", "http")]
)
def test_nothing_is_to_do_where_the_portal_knows_host_and_scheme(origin, scheme):
    assert public_addresses(origin=origin, scheme=scheme, authority="inner", preserves_host=True) is None


def test_a_public_address_without_tls_never_takes_tls_away():
    addresses = inner(origin="http://acq.localhost")
    assert value_of(addresses, b"Location", b"https://acq.localhost/x") == b"https://acq.localhost/x"


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"Link", b"<http://127.0.0.1:9001/x>"), (b"X-Locat", b"http://127.0.0.1:9001/"), (b"Server", b"x")],
)
def test_other_fields_are_left_as_they_are(name, value):
    assert value_of(inner(), name, value) == value


def test_the_names_that_answers_are_searched_for():
    names = (b"location", b"content-location", b"refresh", b"set-cookie", b"link")
    assert [names_an_address(name) for name in names] == [True, True, True, False, False]


@given(
    name=st.sampled_from([b"Location", b"Content-Location", b"Refresh", b"Set-Cookie"]),
    value=st.lists(
        st.sampled_from(
            [
                b"http", b"https", b"HTTP", b":", b"/", b"//", b"\\", b"@", b"127.0.0.1", b":9001", b"acq.example",
                b"evil.example", b".", b"?", b"#", b"0;", b"url=", b"'", b'"', b";", b" ", b"\t", b"Domain=",
                b"a=1", b"%2f", b"\xc4", b"[::1]", b",",
            ]
        ),
        max_size=9,
    ).map(b"".join),
)  # fmt: skip
def test_no_value_leads_to_a_host_that_it_did_not_name(name, value):
    changed = value_of(inner(), name, value)
    if changed == value:
        return
    # What was changed was the upstream's or the public authority, and stands where one stood before.
    replaced = b"acq.example" if name == b"Set-Cookie" else PUBLIC
    at = changed.index(replaced)
    assert changed[:at] == value[:at]
    rest = changed[at + len(replaced) :]
    assert value.endswith(rest)
    before = value[at : len(value) - len(rest)].lower()
    assert before.rpartition(b"//")[2].rstrip(b".") in {
        b"127.0.0.1:9001", b"127.0.0.1", b"acq.example", b"acq.example:", b"acq.example:443",
    }  # fmt: skip
    assert rest[:1] in {b"", b"/", b"?", b"#", b" ", b"\t", b"'", b'"', b";"}

from __future__ import annotations

import pytest

from authproxy.access.header_names import folded
from authproxy.edge.rules.headers import RequestFilter, is_identity
from authproxy.edge.rules.identity_names import FAMILIES, NAMES, known
from tests.support.ordinary_names import ORDINARY_NAMES


def test_all_names_are_known_once_in_order_and_in_folded_form():
    names = known()
    assert list(names) == sorted(set(names))
    assert set(NAMES) <= set(names)
    assert all(prefix + member in names for prefix, members in FAMILIES.items() for member in members)
    assert all(folded(name.encode()).decode() == name.strip("-") for name in names)


def test_every_known_name_is_taken_for_identity():
    assert [name for name in known() if not is_identity(name.encode())] == []


def test_no_family_or_name_stands_there_that_another_family_covers():
    prefixes = tuple(FAMILIES)
    assert [
        prefix
        for prefix in prefixes
        if any(prefix != other and prefix.startswith(other) for other in prefixes)
    ] == []
    assert [name for name in NAMES if name.startswith(prefixes)] == []


@pytest.mark.parametrize(
    "name",
    [
        "$WSXX",
        "$wsOther",
        "OAM_ANYTHING",
        "Osso-New-Thing",
        "SM_CUSTOM",
        "iv-anything",
        "WL-Proxy-Anything",
        "Proxy-Issuer-DN",
        "X-MS-Client-Principal-Anything",
        "X_ARR_SSL",
        "SHIB_Anything",
        "Cas_User",
        "MELLON_uid",
        "X-Appengine-User-Email",
        "MS-ASPNETCORE-ClientCert",
        "TLS-Client-Anything",
        "HTTP_CLIENT_IP",
        "X-Sendfile-Type",
    ],
)
def test_members_of_families_that_nobody_has_listed_are_removed_too(name):
    assert not RequestFilter().passes(name.encode())


@pytest.mark.parametrize("name", ORDINARY_NAMES)
def test_what_browsers_scripts_and_programs_need_reaches_the_portal(name):
    assert RequestFilter().passes(name.encode())

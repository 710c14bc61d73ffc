from __future__ import annotations

import pytest

from authproxy.access.bearer import MALFORMED, challenge, credential_in


@pytest.mark.parametrize(
    ("values", "credential"),
    [
        ([], None),
        ([b"Basic YTpi"], None),
        ([b"Negotiate YII="], None),
        ([b"Basic YTpi", b"Basic YTpi"], None),
        ([b"BearerX abc"], None),
        ([b"Bearer abc"], "abc"),
        ([b"bearer abc.def-_~+/=="], "abc.def-_~+/=="),
        ([b"BEARER   abc"], "abc"),
        ([b"Bearer"], MALFORMED),
        ([b"Bearer "], MALFORMED),
        ([b"Bearer a b"], MALFORMED),
        ([b"Bearer a, Bearer b"], MALFORMED),
        ([b"Bearer a=b"], MALFORMED),
        ([b'Bearer "a"'], MALFORMED),
        ([b"Bearer a\xff"], MALFORMED),
        ([b"Bearer\ta"], MALFORMED),
        ([b"Bearer a", b"Bearer a"], MALFORMED),
        ([b"Basic YTpi", b"Bearer a"], MALFORMED),
        ([b"Bearer a", b"Negotiate YII="], MALFORMED),
    ],
)
def test_one_token_of_the_scheme_is_a_credential_and_several_are_malformed(values, credential):
    assert credential_in(values) == credential


def test_a_refusal_names_the_error_of_rfc_6750_and_the_scopes_that_are_demanded():
    assert challenge("acq", "invalid_token") == 'Bearer realm="acq", error="invalid_token"'
    assert (
        challenge("acq", "insufficient_scope", ("payments", "reports"))
        == 'Bearer realm="acq", error="insufficient_scope", scope="payments reports"'
    )

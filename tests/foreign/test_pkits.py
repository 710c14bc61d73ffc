"""NIST's Public Key Interoperability Test Suite: nothing is accepted that must not be, and what is refused
beyond the standard is refused by rules that are written down (authproxy/certificates/README.md). The names of
the certificates say what must become of them; those of the policies (§4.8) have a table here."""

from __future__ import annotations

import pytest
import pytest_asyncio

from authproxy.certificates.status import RevocationMode
from tests.support.nist_paths import Suite, numbered, open_bench, policies

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # One certificate of the suite has a negative serial number.
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
]
ALL = policies(1, 2, 3, 4, 5, 6)
BEYOND_THE_STANDARD = {
    "unsupported directoryName constraint": numbered(
        "ValidDNnameConstraintsTest", [1, 4, 5, 6, 11, 14, 18, 19]
    )
    | {"ValidDNandRFC822nameConstraintsTest27EE"},
    "unsupported name constraint": numbered("ValidURInameConstraintsTest", [34, 36]),
    # Names are compared octet by octet.
    "no authority that is trusted here has issued it": numbered("ValidNameChainingWhitespaceTest", [3, 4])
    | {
        "ValidNameChainingCapitalizationTest5EE",
        "ValidRolloverfromPrintableStringtoUTF8StringTest10EE",
        "ValidUTF8StringCaseInsensitiveMatchTest11EE",
    },
    # Policies are mapped, and that is critical.
    "2.5.29.33": numbered("ValidPolicyMappingTest", [1, 3, 5, 6, 9, 11, 12, 13, 14])
    | numbered("ValidinhibitPolicyMappingTest", [2, 4])
    | {"ValidSelfIssuedinhibitPolicyMappingTest7EE"},
    # The list is signed by another key than the certificate.
    "the list is of another issuer": numbered("ValidcRLIssuerTest", [28, 29, 30, 33])
    | numbered("ValidIDPwithindirectCRLTest", [24, 25])
    | {
        "ValidBasicSelfIssuedCRLSigningKeyTest6EE",
        "ValidBasicSelfIssuedNewWithOldTest4EE",
        "ValidBasicSelfIssuedOldWithNewTest1EE",
        "ValidSelfIssuedinhibitAnyPolicyTest7EE",
        "ValidSelfIssuedrequireExplicitPolicyTest6EE",
        "ValidSeparateCertificateandCRLKeysTest19EE",
    },
    "an indirect list": {"ValidIDPwithindirectCRLTest22EE"},
    "a list of some reasons only": numbered("ValidonlySomeReasonsTest", [18, 19]),
    # A delta list takes nobody off a whole one.
    "certificateHold": {"ValiddeltaCRLTest5EE"},
    "cA must not be asserted": numbered("ValidpathLenConstraintTest", [8, 14])
    | {"ValidonlyContainsCACertsTest13EE"},
    # More than three CAs, or two of one name where the search ends at one.
    "max depth": numbered("ValidrequireExplicitPolicyTest", [1, 2, 4]) | {"ValidpathLenConstraintTest13EE"},
    "signature does not match": numbered("ValidSelfIssuedpathLenConstraintTest", [15, 17])
    | {"ValidSelfIssuedinhibitAnyPolicyTest9EE"},
    "must be UtcTime": {"ValidGeneralizedTimenotBeforeDateTest4EE"},
    "incorrect criticality": {"ValidbasicConstraintsNotCriticalTest4EE"},
    "signed with a hash that is broken": {"ValidDSASignaturesTest4EE"},
    "not an X.509 certificate": {"ValidDSAParameterInheritanceTest5EE"},
}
# RFC 5280 §6.1.1: the certificate, the policies that are accepted, and what becomes of it. A leaf of any
# policy states none.
BY_POLICY = [
    ("ValidCertificatePathTest1EE", policies(1), True),
    ("ValidCertificatePathTest1EE", policies(2), False),
    ("ValidCertificatePathTest1EE", policies(1, 2), True),
    ("AllCertificatesNoPoliciesTest2EE", ALL, False),
    ("AllCertificatesNoPoliciesTest2EE", frozenset(), True),
    ("DifferentPoliciesTest3EE", ALL, False),
    ("DifferentPoliciesTest3EE", frozenset(), True),
    *[
        (f"DifferentPoliciesTest{number}EE", accepted, False)
        for number in (4, 5, 7, 8, 9, 12)
        for accepted in (ALL, frozenset())
    ],
    ("OverlappingPoliciesTest6EE", policies(2), False),
    *[("AllCertificatesSamePoliciesTest10EE", policies(number), number < 3) for number in (1, 2, 3)],
    *[("AllCertificatesSamePoliciesTest13EE", policies(number), number < 4) for number in (1, 2, 3, 4)],
    ("AllCertificatesanyPolicyTest11EE", frozenset(), True),
    ("AllCertificatesanyPolicyTest11EE", ALL, False),
    ("AnyPolicyTest14EE", policies(1), True),
    ("AnyPolicyTest14EE", policies(2), False),
    *[(f"UserNoticeQualifierTest{number}EE", policies(1), True) for number in (15, 16, 18, 19)],
    ("CPSPointerQualifierTest20EE", policies(1), True),
    ("CPSPointerQualifierTest20EE", policies(2), False),
    ("ValidinhibitAnyPolicyTest2EE", policies(1), True),
    ("inhibitAnyPolicyTest3EE", policies(1), True),
]
NAMED_IN_A_LIST = (
    {"InvalidRevokedCATest2EE", "InvalidRevokedEETest3EE", "InvalidLongSerialNumberTest18EE"}
    | numbered("InvaliddistributionPointTest", [2, 6])
    | numbered("InvalidonlySomeReasonsTest", [15, 16, 20, 21])
    | numbered("InvaliddeltaCRLTest", [3, 4, 6, 9])
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench():
    suite = Suite.read()
    if suite is None:
        pytest.skip("`make pkits` fetches the suite")
    async with open_bench(suite) as opened:
        yield opened


@pytest.mark.parametrize("accepted", [frozenset(), ALL], ids=["any policy", "policies"])
async def test_nothing_is_accepted_that_must_not_be(bench, accepted):
    invalid = [name for name in bench.leaves if name.startswith("Invalid")]
    assert len(invalid) == 115
    assert [name for name in invalid if (await bench.verdict(name, accepted)).is_accepted] == []


async def test_what_is_refused_beyond_the_standard_is_refused_by_a_rule(bench):
    said = {name: await bench.verdict(name) for name in bench.leaves if name.startswith("Valid")}
    expected = {name: word for word, names in BEYOND_THE_STANDARD.items() for name in names}
    assert {name for name, verdict in said.items() if not verdict.is_accepted} == expected.keys()
    assert [
        (name, word, said[name].detail) for name, word in expected.items() if word not in said[name].detail
    ] == []


async def test_policies_are_those_of_the_standard(bench):
    wrong = [
        (name, sorted(accepted))
        for name, accepted, is_accepted in BY_POLICY
        if (await bench.verdict(name, accepted)).is_accepted != is_accepted
    ]
    assert wrong == []


@pytest.mark.parametrize("mode", RevocationMode)
async def test_whom_a_list_names_is_revoked_whatever_else_is_let_pass(bench, mode):
    assert {
        name for name in NAMED_IN_A_LIST if not (await bench.verdict(name, mode=mode)).is_revoked
    } == set()

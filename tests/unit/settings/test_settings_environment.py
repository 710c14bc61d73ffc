from __future__ import annotations

import pytest

from authproxy.settings.environment import Misfit, Override, overrides


def one(variable, text, tree=None):
    [found] = overrides({variable: text}, tree)
    return found


def value_of(variable, text, tree=None):
    found = one(variable, text, tree)
    assert isinstance(found, Override), found
    return found.path, found.value


def problem_of(variable, text="x", tree=None):
    found = one(variable, text, tree)
    assert isinstance(found, Misfit), found
    return found.remark.problem


def test_two_underscores_separate_keys():
    assert value_of("AUTHPROXY__SERVER__MANAGEMENT", "127.0.0.1:1") == (
        ("server", "management"),
        "127.0.0.1:1",
    )


def test_single_underscores_belong_to_the_key():
    assert value_of("AUTHPROXY__STORE__NEAR_CACHE_FOR", "3s") == (("store", "near_cache_for"), "3s")


def test_case_does_not_matter():
    assert value_of("authproxy__Server__management", "x") == (("server", "management"), "x")


def test_other_peoples_variables_are_left_alone():
    assert (
        list(
            overrides(
                {
                    "PATH": "/bin",
                    "AUTHPROXY_CONFIG": "f",
                    "AUTHPROXY_PORT": "tcp://10.0.0.1:80",
                    "X_AUTHPROXY__A": "b",
                },
                None,
            )
        )
        == []
    )


def test_the_name_of_a_portal_is_spelt_as_in_the_file():
    tree = {"portals": {"acq-test": {}}}
    assert value_of("AUTHPROXY__PORTALS__ACQ_TEST__UPSTREAM", "http://h", tree) == (
        ("portals", "acq-test", "upstream"),
        "http://h",
    )


def test_a_portal_that_is_not_in_the_file_is_made():
    assert value_of("AUTHPROXY__PORTALS__B2B__URL", "https://h") == (("portals", "b2b", "url"), "https://h")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("a:1, b:2", ["a:1", "b:2"]), ('["a:1", "b:2"]', ["a:1", "b:2"]), ("", []), ("a:1", ["a:1"])],
)
def test_a_list_is_json_or_separated_by_commas(text, meant):
    assert value_of("AUTHPROXY__SERVER__LISTEN", text) == (("server", "listen"), meant)


def test_names_with_values_are_json_whose_numbers_stay_text():
    assert value_of("AUTHPROXY__REKONO__LEVELS", '{"low": 10}') == (("rekono", "levels"), {"low": "10"})


def test_a_single_name_can_be_set():
    assert value_of("AUTHPROXY__REKONO__LEVELS__LOW", "20") == (("rekono", "levels", "low"), "20")


def test_routes_are_json():
    path, value = value_of("AUTHPROXY__PORTALS__ACQ__ROUTES", '[{"path": "/a", "strict": true}]')
    assert (path, value) == (("portals", "acq", "routes"), [{"path": "/a", "strict": True}])


def test_null_unsets_what_is_optional():
    assert value_of("AUTHPROXY__REKONO__MAX_AGE", "null") == (("rekono", "max_age"), None)


def test_null_is_text_where_a_value_is_needed():
    assert value_of("AUTHPROXY__REKONO__CLIENT_ID", "null") == (("rekono", "client_id"), "null")


def test_an_identity_header_can_be_left_out_by_an_empty_variable():
    assert value_of("AUTHPROXY__PORTALS__ACQ__HEADERS__EMAIL", "") == (
        ("portals", "acq", "headers", "email"),
        "",
    )


@pytest.mark.parametrize(
    "variable",
    [
        "AUTHPROXY__REKONO__CLIENT_SECRET__FILE",
        "AUTHPROXY__REKONO__CLIENT_SECRET_FILE",
        "authproxy__rekono__client_secret__file",
    ],
)
def test_a_secret_may_come_from_a_file(variable):
    assert value_of(variable, "/run/secrets/x") == (("rekono", "client_secret_file"), "/run/secrets/x")


def test_a_key_that_is_named_like_a_file_is_itself():
    assert value_of("AUTHPROXY__REKONO__CLIENT_KEY_FILE", "/k") == (("rekono", "client_key_file"), "/k")


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("AUTHPROXY__SERVR__LISTEN", 'unknown variable: no such key; did you mean "server"?'),
        ("AUTHPROXY__SERVER__MANAGMENT", 'unknown variable: no such key; did you mean "management"?'),
        ("AUTHPROXY__QQQ", "unknown variable: no such key"),
        ("AUTHPROXY__", "unknown variable: no such key"),
        ("AUTHPROXY_STORE__URL", 'unknown variable; did you mean "AUTHPROXY__STORE__URL"?'),
        (
            "AUTHPROXY__SERVER__LISTEN__0",
            "unknown variable: the items of a list cannot be set one by one; give the whole list as JSON",
        ),
        (
            "AUTHPROXY__STORE__URL__FILE",
            "unknown variable: there is nothing below this key (only a secret can be given as `…__FILE`)",
        ),
        ("AUTHPROXY__STORE__URL_FILE", 'unknown variable: no such key; did you mean "ca_file"?'),
    ],
)
def test_a_variable_that_names_no_key_is_told_what_was_meant(variable, problem):
    assert problem_of(variable) == problem


@pytest.mark.parametrize(
    "variable", ["AUTHPROXY__STORE__PASSWORD", "AUTHPROXY__REKONO__PROMPT", "AUTHPROXY__SESSIONS__KEYS"]
)
def test_an_empty_variable_is_not_taken_for_a_value(variable):
    found = one(variable, "")
    if isinstance(found, Misfit):
        assert found.remark.problem.startswith("is set to nothing")
    else:
        assert found.value == []


@pytest.mark.parametrize("text", ["[1", "{", "[" * 5000])
def test_broken_json_is_told_without_repeating_it(text):
    assert (
        problem_of("AUTHPROXY__PORTALS__ACQ__ROUTES", text if text.startswith("[") else "[" + text)
        == "is not JSON"
    )


def test_a_section_may_be_json_and_text_is_not():
    assert value_of("AUTHPROXY__SERVER__TLS", '{"key_file": "k"}') == (("server", "tls"), {"key_file": "k"})
    assert problem_of("AUTHPROXY__SERVER__TLS", "on") == "is not JSON"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.flows.sign_in.browser_names import described


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
            "Firefox, Windows",
        ),
        (
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 "
                "Safari/537.36"
            ),
            "Chrome, Linux",
        ),
        (
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 "
                "Safari/537.36 Edg/156.0"
            ),
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 OPR/120.0",
            "Opera, Linux",
        ),
        (
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 "
                "Safari/605.1.15"
            ),
            "Safari, macOS",
        ),
        (
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 CriOS/150.0 Mobile "
                "Safari/604.1"
            ),
            "Chrome, iPhone",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1 FxiOS/140.0 Mobile",
            "Firefox, iPad",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/156.0 Mobile Safari/537.36",
            "Chrome, Android",
        ),
        ("curl/8.5.0", "?"),
        ("", "?"),
    ],
)
def test_a_browser_is_recognised_by_its_person(user_agent, words):
    assert described(user_agent) == words


@given(st.text())
def test_nothing_of_the_header_is_repeated(user_agent):
    words = {
        "Edge",
        "Opera",
        "Firefox",
        "Chrome",
        "Safari",
        "Android",
        "iPhone",
        "iPad",
        "Windows",
        "macOS",
        "Linux",
        "?",
    }
    assert set(described(user_agent).split(", ")) <= words

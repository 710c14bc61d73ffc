from __future__ import annotations

import pytest

from authproxy.sandbox.identity_provider.front_end.browser import description

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/156.0.0.0 Safari/537.36",
            "Chrome, Linux, 192.0.2.7",
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/156.0.0.0 Safari/537.36 Edg/156.0",
            "Edge, Windows, 192.0.2.7",
        ),
        (
            "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
            "Firefox, Android, 192.0.2.7",
        ),
        (
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.0 "
                "Safari/605.1.15"
            ),
            "Safari, macOS, 192.0.2.7",
        ),
        ("curl/8.5 <b>Rekono</b>", "192.0.2.7"),
        ("", "192.0.2.7"),
    ],
)
def test_a_browser_is_described_in_known_words_and_with_its_address(user_agent, said):
    assert description(user_agent, "192.0.2.7") == said

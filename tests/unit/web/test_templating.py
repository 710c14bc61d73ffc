"""Words of templates, in each language."""

from __future__ import annotations

from datetime import UTC

import pytest

from authproxy.web.templating import templates


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{{ gettext("Your session") }}', {"sl": "Vaša seja", "en": "Your session"}),
        (
            '<a title="{{ gettext("Your session") }}">',
            {"sl": '<a title="Vaša seja">', "en": '<a title="Your session">'},
        ),
        ('{{ gettext("100 %% <b>sure</b>") }}', {"en": "100 % <b>sure</b>"}),
        ('{{ gettext("a \\"{{ b }}\\" {# c #}") }}', {"en": 'a "{{ b }}" {# c #}'}),
        ('{{ gettext("from %(a)s", a=1) }}{{ gettext(word) }}', {"en": "from 1known"}),
    ],
    ids=["sentence", "attribute", "percent sign and markup", "what looks like a template", "variables"],
)
def test_a_sentence_reads_as_it_is_written_whether_it_is_translated_before_or_while_a_page_is_made(
    written, read
):
    for locale, expected in read.items():
        assert templates(UTC)[locale].from_string(written).render(word="known") == expected

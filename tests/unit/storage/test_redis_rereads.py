from __future__ import annotations

import hiredis

from authproxy.storage.redis import rereads
from tests.support.session_builders import new_ticket


def test_the_question_is_packed_as_every_other_command():
    asked = rereads.question(new_ticket().session_id)
    assert rereads.packed(asked) == hiredis.pack_command(asked)

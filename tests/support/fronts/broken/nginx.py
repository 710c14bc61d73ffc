"""Classic mistakes with nginx."""

from __future__ import annotations

from tests.support.fronts.broken import Broken

BROKEN = (
    Broken(
        name="question_from_outside",
        why="Whoever asks the location of the question directly writes X-Original-URL themselves.",
        edits=(("    internal;\n    auth_request off;\n", "    auth_request off;\n"),),
        finds="subrequest_from_outside",
    ),
)

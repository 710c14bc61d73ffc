"""Classic mistakes with nginx."""

from __future__ import annotations

from tests.support.fronts.broken import Broken

BROKEN = (
    Broken(
        name="question_from_outside",
        why="Whoever asks the location of the question directly gets the gateway's answer with the identity.",
        edits=(
            (
                "location = /.authproxy/auth/nginx {\n    internal;\n",
                "location = /.authproxy/auth/nginx {\n",
            ),
        ),
        finds="subrequest_from_outside",
    ),
)

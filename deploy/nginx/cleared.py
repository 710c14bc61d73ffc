"""Writes down for nginx which header fields of a client no portal may see: `python deploy/nginx/cleared.py`,
after a change of `authproxy/edge/rules/identity_names.py`. It also writes the pages that nginx shows by
itself, as they are without any settings.

nginx removes a field by its whole name only, so `cleared.conf` has the known members of each family.
`families.conf` has the families themselves, for an nginx with the module headers-more. Names that nginx is
told to set are not in `cleared.conf`.
"""

from __future__ import annotations

import re
from pathlib import Path

from authproxy.edge.rules.identity_names import FAMILIES, NAMES, known
from authproxy.web import nginx_pages

SNIPPETS = Path(__file__).parent / "authproxy"
_SET = re.compile(r"^proxy_set_header +(\S+)", re.MULTILINE)
_MADE = "# Made by deploy/nginx/cleared.py from the list of the gateway itself."
_CLEARED = f"""{_MADE} Included by headers.conf. Removes, name by name, what
# portals and frameworks take for identity, origin, method or path, and nobody here sets. nginx cannot remove a family such as
# X-Authentik-*: a member that is not in this list reaches the portal. families.conf closes that.

"""  # noqa: E501
_FAMILIES = f"""{_MADE} In each server {{ }} of a portal, beside server.conf, where
# nginx has the module headers-more (Debian: libnginx-mod-http-headers-more-filter). Removes whole families of names, whatever their
# members are called.

"""  # noqa: E501


def cleared() -> str:
    """The content of cleared.conf."""
    set_here = {name.lower() for name in _SET.findall((SNIPPETS / "headers.conf").read_text())}
    return _CLEARED + "".join(f'proxy_set_header {name} "";\n' for name in known() if name not in set_here)


def families() -> str:
    """The content of families.conf."""
    return _FAMILIES + "".join(
        f'more_clear_input_headers "{name}";\n'
        for name in sorted([*NAMES, *(f"{prefix}*" for prefix in FAMILIES)])
    )


if __name__ == "__main__":
    (SNIPPETS / "cleared.conf").write_text(cleared())
    (SNIPPETS / "families.conf").write_text(families())
    (SNIPPETS / "pages.conf").write_text(nginx_pages.configuration())

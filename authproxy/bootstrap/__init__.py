"""Composition root: settings in, a running gateway out. The only place that knows all packages.

Opens every resource, closes every resource, and owns all background work; what it builds is given what it
needs as arguments.
"""

from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.desk import Desk, desk
from authproxy.bootstrap.gateway import Gateway, running
from authproxy.bootstrap.looks import nginx_pages
from authproxy.bootstrap.meanings import portals
from authproxy.bootstrap.operators import (
    ExplainedCertificate,
    OpenSession,
    SeveralPeople,
    explain_certificate,
    list_sessions,
    revoke_sessions,
    revoke_sessions_of,
    rotate_keys,
    whether_accepted,
)
from authproxy.bootstrap.process import run
from authproxy.bootstrap.starting import CannotStart
from authproxy.bootstrap.stores import MEMORY

__all__ = [
    "MEMORY",
    "CannotStart",
    "Desk",
    "ExplainedCertificate",
    "Gateway",
    "OpenSession",
    "SeveralPeople",
    "desk",
    "explain_certificate",
    "list_sessions",
    "nginx_pages",
    "portals",
    "revoke_sessions",
    "revoke_sessions_of",
    "rotate_keys",
    "run",
    "running",
    "utc_now",
    "whether_accepted",
]

"""Composition root: builds a running gateway, or what a command needs, from the settings.

This is the only package that knows all others. It opens and closes every resource and owns all background
work; what it builds gets everything it needs as arguments.
"""

from authproxy.bootstrap.audited_register import AuditedRegister, audited_register
from authproxy.bootstrap.backups import BackupSeals
from authproxy.bootstrap.certificate_explanation import (
    ExplainedCertificate,
    explain_certificate,
    whether_accepted,
)
from authproxy.bootstrap.clock import utc_now
from authproxy.bootstrap.gateway import Gateway, running
from authproxy.bootstrap.key_rotation import rotate_keys
from authproxy.bootstrap.keys import signing_keys
from authproxy.bootstrap.machine_keys import (
    IssuedKey,
    NameOfPerson,
    add_machine_key,
    list_machine_keys,
    revoke_machine_key,
    revoke_machine_keys_of,
)
from authproxy.bootstrap.open_sessions import (
    OpenSession,
    SeveralPeople,
    list_sessions,
    revoke_every_session,
    revoke_session,
    revoke_sessions_of,
    revoke_sessions_of_subject,
)
from authproxy.bootstrap.portals import all_portals
from authproxy.bootstrap.presentations import nginx_pages
from authproxy.bootstrap.process import run
from authproxy.bootstrap.starting import CannotStart
from authproxy.bootstrap.store_condition import examine_store
from authproxy.bootstrap.stores import MEMORY

__all__ = [
    "MEMORY",
    "AuditedRegister",
    "BackupSeals",
    "CannotStart",
    "ExplainedCertificate",
    "Gateway",
    "IssuedKey",
    "NameOfPerson",
    "OpenSession",
    "SeveralPeople",
    "add_machine_key",
    "all_portals",
    "audited_register",
    "examine_store",
    "explain_certificate",
    "list_machine_keys",
    "list_sessions",
    "nginx_pages",
    "revoke_every_session",
    "revoke_machine_key",
    "revoke_machine_keys_of",
    "revoke_session",
    "revoke_sessions_of",
    "revoke_sessions_of_subject",
    "rotate_keys",
    "run",
    "running",
    "signing_keys",
    "utc_now",
    "whether_accepted",
]

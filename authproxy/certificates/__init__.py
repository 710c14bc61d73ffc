"""Client certificates: how they are presented (RFC 9440 and its kin), whether they hold (RFC 5280), whether
they are revoked (RFC 6960)."""

"""Client certificates: how they are presented (RFC 9440 and similar headers), whether they are valid (RFC
5280), and whether they are revoked (RFC 6960)."""

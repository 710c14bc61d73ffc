"""The signed identity assertions that portals receive (RFC 7519), and their signing keys (RFC 7517)."""

"""The signed identity assertion that portals receive (RFC 7519), and the keys that sign it (RFC 7517)."""

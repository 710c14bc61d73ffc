"""PURE: who somebody is, how sure we are, and the session that remembers it. Knows no protocol, no store and
no clock."""

"""PURE: persons, levels of trust, sessions and tickets. Nothing here knows a protocol, a store or a clock."""

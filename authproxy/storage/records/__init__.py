"""PURE: what records hold, field by field, and how they are sealed. The same for Redis and for the stores in
memory."""

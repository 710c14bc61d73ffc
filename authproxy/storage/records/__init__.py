"""PURE: what records hold, field by field, and how they are sealed."""

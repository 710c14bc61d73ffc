"""PURE: what a request asks for, what a portal demands, and the decision. Knows no HTTP connection, no store
and no clock."""

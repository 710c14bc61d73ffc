"""PURE: what a request asks for, what a portal demands, and the decision. Nothing here knows a connection, a
store or a clock."""

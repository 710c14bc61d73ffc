"""PURE: what the edge decides about heads, header fields, addresses and answers, without a socket."""

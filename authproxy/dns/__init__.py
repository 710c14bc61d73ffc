"""Resolves the names of other machines, and connects to them."""

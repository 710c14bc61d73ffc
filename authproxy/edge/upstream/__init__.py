"""Connections to portals: the pool of each portal, one connection, and how its answers are read."""

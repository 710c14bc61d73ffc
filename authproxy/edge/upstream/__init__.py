"""Connections to portals: a pool for each portal, its connections, and how answers are read."""

"""Connections of clients: sockets that accept them, and the requests that arrive on them."""

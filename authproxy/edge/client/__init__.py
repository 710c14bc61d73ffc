"""Connections of clients: the sockets that are listened on, and the requests that arrive on them."""

"""The listener where browsers show a client certificate: its TLS, and the one page behind it."""

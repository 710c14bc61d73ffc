"""Sends text messages through SMS gateways, notifications through a push service, and letters through a mail
server."""

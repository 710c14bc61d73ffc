"""The data plane: bytes in, bytes out. Reads request heads, asks for a decision, and streams to and from
portals; answers subrequests.

Knows nothing of pages, providers or people: a decision carries the finished block of identity headers. No
body is ever held whole.
"""

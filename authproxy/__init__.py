"""Bankart Varni Spletni Prehod: an authentication gateway for legacy web portals."""

__version__ = "0.1.0"

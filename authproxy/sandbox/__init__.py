"""The other side of the gateway: a provider, a phone, an outbox, portals and a store, as separate
applications on separate ports.

They are counterparties, not mocks: they import nothing of authproxy outside this package, and speak to the
gateway by HTTP only.
"""

"""The gateway's counterparties: a provider, a phone, an outbox, a certificate authority, portals and a store,
as separate applications on separate ports.

They are no mocks: they import nothing of authproxy outside this package, and speak to the gateway only by
HTTP.
"""

"""The provider's OnePass service: it activates phones for accounts and sends them notifications.

It speaks JSON below `/onepass/`. Phones use nothing else of the provider.
"""

"""The provider's OnePass service: phones that are activated for an account, and the notifications that they
answer.

It speaks JSON below `/onepass/` and is all that a phone knows of the provider.
"""

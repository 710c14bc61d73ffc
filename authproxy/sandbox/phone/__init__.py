"""The OnePass phone: accounts that were activated on it, their one-time codes, and sign-ins that it approves
or refuses.

All that it knows of the provider is the OnePass service, which it speaks to over HTTP.
"""

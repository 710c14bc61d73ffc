"""The half of the provider that speaks OAuth 2.0 and OpenID Connect, with the habits of MITREid Connect."""

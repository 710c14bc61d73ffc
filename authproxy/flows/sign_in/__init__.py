"""Signing in, at an OpenID provider or with a certificate, and the fresh proofs that are made in the same
way."""

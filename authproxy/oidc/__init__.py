"""The relying party of an OpenID provider: OpenID Connect Core 1.0 (code flow), RFC 6749, 7636 and 9207,
within the limits of RFC 9700."""

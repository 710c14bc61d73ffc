"""Use cases: the only code that talks to several features. Declares what it needs from stores, providers and
signers as Protocols."""

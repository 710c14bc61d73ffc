"""What ends sessions: their person, the provider's word, a revoked certificate, a withdrawn account."""

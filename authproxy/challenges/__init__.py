"""Fresh proofs inside a session: challenges and what answers them, method by method, and what people have
enrolled for it."""

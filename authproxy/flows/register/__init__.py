"""The register of people: who of those who sign in is in it, and what operators do with it."""

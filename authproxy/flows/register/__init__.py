"""The register of people: who is in it, who may come in, and what operators do with it."""

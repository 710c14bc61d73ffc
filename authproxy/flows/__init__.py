"""The use cases: the only code that uses several features together. `stores` declares what they ask of
`storage`."""

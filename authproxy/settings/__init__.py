"""What an operator can set: the schema, where values come from, and what check-config finds. Read at start-up
only, by bootstrap."""

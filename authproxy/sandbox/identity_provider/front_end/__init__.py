"""The half of the provider that people see: the password, and the confirmation by a second factor."""

"""The half of the provider that people see: password, and the confirmation of the sign-in by a second
means."""

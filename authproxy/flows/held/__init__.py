"""Held requests: forms that wait until their person has given a fresh proof. They are kept sealed, shown, and
sent on once."""

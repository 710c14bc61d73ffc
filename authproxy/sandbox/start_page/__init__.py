"""The start page: what runs where, and who can sign in."""

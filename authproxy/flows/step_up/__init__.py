"""A fresh proof inside a session: what a place demands, what is asked, and the stronger session."""

"""Step-ups: what a route demands, how it is proved, and how the session gets the proof. People also add and
remove their methods here."""

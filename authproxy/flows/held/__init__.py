"""Forms that wait until their person has proved themselves: kept sealed, shown, sent on once."""

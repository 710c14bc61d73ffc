"""The OnePass phone: shows the one-time codes of every enrolled account."""

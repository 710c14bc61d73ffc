"""Step-up methods: how each of them issues a challenge and judges the answer, and what people have enrolled
for them."""

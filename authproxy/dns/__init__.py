"""Names of other machines: which addresses they have, and connecting to one of them."""

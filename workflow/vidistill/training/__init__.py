"""Training code shared by all methods; it imports none of them."""

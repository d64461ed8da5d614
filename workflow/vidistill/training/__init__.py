"""What every method's training shares; knows none of them."""

"""Data sets, sentences and the demo: everything that a query is made of."""

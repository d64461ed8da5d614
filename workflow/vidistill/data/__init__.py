"""Data sets, sentences and the demo data."""

"""The demo's videos and their annotations."""

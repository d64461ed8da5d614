"""Annotation files, one module per form."""

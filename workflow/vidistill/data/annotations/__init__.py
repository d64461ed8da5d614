"""Annotation files, one module for each form."""

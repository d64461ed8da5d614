"""Figures and pages of the report, one module per kind. They show results and compute none."""

"""Figures and pages about models of actions."""

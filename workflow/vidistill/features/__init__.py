"""From frames and flow to snippet features, and features that a user already has."""

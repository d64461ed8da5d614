"""Extract features from frames and flow, and import existing features."""

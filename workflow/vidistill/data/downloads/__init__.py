"""Files fetched from their publishers."""

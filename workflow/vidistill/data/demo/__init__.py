"""Videos and annotations of the demo."""

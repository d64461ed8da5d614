"""Compare predictions with moments; reads no video and no model."""

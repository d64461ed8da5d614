"""Find moments in videos from sentences: models trained on raw videos with weak supervision and distillation."""

__version__ = "0.1.0"

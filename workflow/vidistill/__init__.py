"""Video moments from words: models trained from raw videos, with little or no annotation, by distillation."""

__version__ = "0.1.0"

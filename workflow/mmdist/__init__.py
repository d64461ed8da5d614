"""Multi-modal distillation for weakly-supervised temporal video grounding, from raw videos to a trained model."""

__version__ = "0.1.0"

"""Model 6, taught by an ensemble of larger networks."""

from models.model_6 import model

__all__ = ["model"]

TEMPERATURE = 1.0
"""Temperature of the teachers' answers."""

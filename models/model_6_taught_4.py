"""Model 6, taught by an ensemble of larger networks, whose answers are softened."""

from models.model_6 import model

__all__ = ["model"]

TEMPERATURE = 4.0
"""Temperature of the teachers' answers."""

"""Training: from a recipe and images to weights."""

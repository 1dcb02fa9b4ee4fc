"""From a recipe and images to trained weights."""

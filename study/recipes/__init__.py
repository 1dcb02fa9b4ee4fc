"""What params.yaml may hold, and the values in effect for each model."""

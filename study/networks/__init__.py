"""Networks before training: the scaling of their inputs, layer tables and receptive fields."""

"""Networks on paper: their layer tables and receptive fields."""

"""Experiments on a Ray cluster: what runs here (driver) and what runs on each node (node)."""

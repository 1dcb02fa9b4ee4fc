"""Tests, beside the slow ones that `make test-slow` runs."""

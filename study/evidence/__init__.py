"""From many runs to statistics, claims and verdicts."""

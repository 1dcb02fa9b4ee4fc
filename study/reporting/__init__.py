"""The report: its text, tables and figures."""

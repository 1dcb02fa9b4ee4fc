"""The report: its template, tables and figures."""

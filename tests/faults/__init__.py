"""Faults: damage, kills, full disks, odd checkouts, done to the real commands.

`make faults` runs all of them and writes tests/faults/README.md; `make test` runs the quick ones.
"""

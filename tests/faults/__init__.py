"""What goes wrong around the study: each fault is done to the real commands, and comes out as said.

`make faults` runs all of it and writes tests/faults/README.md; the quick part runs in `make test`.
"""

"""The report: its template, tables and figures. Configures matplotlib before it is loaded."""

import os

# A notebook passes its own backend to the processes that it starts, and a user's matplotlibrc may
# be broken. Either can fail the import of matplotlib, although neither has an effect: figures are
# drawn without a backend, in the style of figures.py.
os.environ["MPLBACKEND"] = "svg"
os.environ["MATPLOTLIBRC"] = os.devnull

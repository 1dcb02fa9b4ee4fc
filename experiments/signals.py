"""Signals that ask a program to stop, remembered until it can stop cleanly."""

import signal

from stages.lifetime import SIGNALS

HANG_UP = getattr(signal, "SIGHUP", None)
"""The end of the terminal; Windows does not have it."""


class Signals:
    """SIGINT, SIGTERM and SIGHUP, remembered until the program can stop cleanly."""

    def __init__(self) -> None:
        """Handle them from now on."""
        self.received: int | None = None
        self.install_handlers()

    def install_handlers(self) -> None:
        """Handle them, even if a library has installed handlers of its own meanwhile."""
        for number in SIGNALS:
            # nohup lets a program outlive its terminal.
            if number != HANG_UP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.receive)

    def receive(self, number: int, _: object) -> None:
        """Remember the signal."""
        self.received = number

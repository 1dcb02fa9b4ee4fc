"""What asks a program to stop, kept until there is a good moment."""

import signal
import time

from stages.command import SIGNALS


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP, kept until there is a good moment to stop."""

    def __init__(self) -> None:
        """Keep them from now on."""
        self.received: int | None = None
        self.keep()

    def keep(self) -> None:
        """Keep them, also when somebody else has asked for them since."""
        for number in SIGNALS:
            # nohup lets a program outlive its terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self.receive)

    def receive(self, number: int, _: object) -> None:
        """Keep the signal."""
        self.received = number

    def wait(self, seconds: float) -> None:
        """Let so much time pass, unless a signal is there."""
        end = time.monotonic() + seconds
        while self.received is None and time.monotonic() < end:
            time.sleep(0.1)

"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """A mistake its reader can mend.

    The message is one line: the key or file, the value, what is allowed, what to do.
    """


class DivergedError(UserError):
    """Training ended because the loss is no longer a finite number."""

    def __init__(self, loss: float, learning_rate: float, epoch: int, batch: int | None = None):
        """Name the loss and where it occurred; on a GPU, only the epoch is known."""
        place = f"epoch {epoch}" if batch is None else f"epoch {epoch}, batch {batch}"
        super().__init__(
            f"training diverged: the loss is {loss} in {place};"
            f" learning_rate must be smaller, got {learning_rate}"
        )


class NoGpuError(UserError):
    """A GPU was asked for, and there is none."""

    def __init__(self) -> None:
        """Name the key."""
        super().__init__("train.device must be cpu if there is no NVIDIA GPU, got cuda")


def quote(value: object) -> str:
    """Return a value as a message shows it: on one line, in at most 60 characters."""
    visible = (c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(str(value).split()))
    line = "".join(visible) or "''"
    return line if len(line) <= 60 else f"{line[:59]}…"

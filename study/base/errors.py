"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """A mistake its reader can mend.

    The message is one line, or one for each of several sources: the key or file, the value, what
    is allowed, what to do.
    """


def quote(value: object) -> str:
    """Return a value as a message shows it: on one line, in at most 60 characters."""
    visible = (c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(str(value).split()))
    line = "".join(visible) or "''"
    return line if len(line) <= 60 else f"{line[:59]}…"

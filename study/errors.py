"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """A mistake its reader can mend.

    The message is one line: the key or file, the value, what is allowed, what to do.
    """


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, in at most 60 characters."""
    line = " ".join(str(value).split()) or "''"
    return line if len(line) <= 60 else f"{line[:59]}…"

"""The one exception that is meant for the person at the keyboard."""


class UserError(Exception):
    """A mistake its reader can mend.

    The message is one line: the key or file, the value, what is allowed, what to do.
    """

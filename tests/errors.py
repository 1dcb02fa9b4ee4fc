"""What a user is told."""

from collections.abc import Callable

import pytest

from study.base.errors import UserError


def message_of(call: Callable[[], object]) -> str:
    """Return the message of the UserError that a call raises: one line."""
    with pytest.raises(UserError) as raised:
        call()
    message = str(raised.value)
    assert message.isprintable()
    return message

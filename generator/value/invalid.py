"""Knows how a value is refused."""


class InvalidValueError(ValueError):
    """The text is not such a value; `hint` says what to write instead. Never quotes the text of a secret."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def quoted(text: str) -> str:
    """`text` in quotes, control characters escaped, shortened to what fits on a line."""
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."

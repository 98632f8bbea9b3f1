class ArgumentError(ValueError, AssertionError):
    """An argument makes no sense.

    Also an ``AssertionError``, which is what mmsegmentation raises in these places.
    """


def require(condition: bool, message: str) -> None:
    """Raise :class:`ArgumentError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ArgumentError(message)

"""The error of captures."""


class CaptureError(ValueError):
    """A capture that cannot be read or used; the text names the entry and the field, and says what was expected."""

"""The error of captures."""


class CaptureError(ValueError):
    """A capture cannot be read or used; the text has the entry and field, and what was expected."""

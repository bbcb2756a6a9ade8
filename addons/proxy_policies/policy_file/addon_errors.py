"""Rejects options with which an addon fails: mitmproxy only logs that, and keeps them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mitmproxy import addonmanager, exceptions


@contextmanager
def raised_as_options_error() -> Iterator[None]:
    """Raise OptionsError for the first addon that fails within, in place of the traceback that mitmproxy would log."""
    errors: list[BaseException] = []

    def is_logged(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            errors.append(error)
        return error is None

    addonmanager.logger.addFilter(is_logged)
    try:
        yield
    finally:
        addonmanager.logger.removeFilter(is_logged)
    if errors:
        raise exceptions.OptionsError(str(errors[0]) or type(errors[0]).__name__) from errors[0]

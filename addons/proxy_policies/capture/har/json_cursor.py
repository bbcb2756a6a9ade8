"""A value of parsed JSON with its path, for errors that name the entry and the field."""

import math
from collections.abc import Iterator
from typing import Any

from proxy_policies.capture.errors import CaptureError


class JsonCursor:
    """A cursor on parsed JSON: `cursor["request"]["url"].text()`.

    Reading a value of the wrong type raises CaptureError with the path, as `entry 3, request.url: expected text, found
    nothing`. With a list for `problems`, the text is appended to it instead if there is a value to continue with.
    """

    __slots__ = ("_name", "_parent", "problems", "value")

    def __init__(
        self, value: Any, name: str | int, problems: list[str] | None = None, parent: "JsonCursor | None" = None
    ) -> None:
        self.value = value
        self.problems = problems
        self._name = name
        self._parent = parent

    @property
    def path(self) -> str:
        """The path, as `entry 3, request.url`."""
        if self._parent is None:
            return str(self._name)
        before = self._parent.path
        if isinstance(self._name, int):
            return f"{before}[{self._name}]"
        return f"{before}{'.' if ',' in before else ', '}{self._name}"

    def wrong(self, text: str) -> CaptureError:
        """Return an error with `text` for this path."""
        return CaptureError(f"{self.path}: {text}")

    def mend[T](self, error: CaptureError, value: T) -> T:
        """Return the value to continue with, and append the error to `problems`; raise it if there is no such list."""
        if self.problems is None:
            raise error
        if str(error) not in self.problems[-1:]:  # what is not there is asked for again and again
            self.problems.append(str(error))
        return value

    def __getitem__(self, name: str) -> "JsonCursor":
        return JsonCursor(self.mapping().get(name), name, self.problems, self)

    def __iter__(self) -> Iterator["JsonCursor"]:
        if self.value is None:
            return
        items = self.value if isinstance(self.value, list) else self.mend(self._expected("a list"), [])
        for index, item in enumerate(items):
            yield JsonCursor(item, index, self.problems, self)

    def _expected(self, kind: str) -> CaptureError:
        found = {type(None): "nothing", str: "text", dict: "an object", list: "a list", bool: "true or false"}
        return self.wrong(f"expected {kind}, found {found.get(type(self.value), 'a number')}")

    def mapping(self) -> dict[str, Any]:
        """Return the value, which must be an object."""
        if not isinstance(self.value, dict):
            return self.mend(self._expected("an object"), {})
        return self.value

    def text(self, default: str | None = None) -> str:
        """Return the value, which must be a text; for null or a missing one the default, if given."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            if default is None:
                raise self._expected("text")
            return self.mend(self._expected("text"), default)
        return self.value

    def number(self, default: float | None = None) -> float:
        """Return the value, which must be a finite number; for null or a missing one the default, if given."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not _is_finite(self.value):
            return self.mend(self._expected("a number"), _number(self.value) or default or 0)
        return self.value

    def optional_number(self) -> float | None:
        """Return the value, which must be a number; None for null or a missing one."""
        return None if self.value is None else self.number()

    def flag(self) -> bool:
        """Return the value, which must be a boolean; False for null or a missing one."""
        if self.value is not None and not isinstance(self.value, bool):
            return self.mend(self._expected("true or false"), False)
        return bool(self.value)


def _is_finite(number: float) -> bool:
    """Return whether a number is a finite float: Python also parses NaN, 1e400 and integers of any length."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _number(value: Any) -> float:
    """Return a text as a number; 0 if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if math.isfinite(number) else 0

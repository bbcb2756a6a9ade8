"""A value of parsed JSON and where it stands, so that a wrong one is named by entry and field."""

from collections.abc import Iterator
from typing import Any

from proxy_policies.capture.errors import CaptureError


class JsonCursor:
    """A cursor on parsed JSON: `cursor["request"]["url"].text()`.

    Reading the wrong kind raises CaptureError with the path, as `entry 3, request.url: expected text, got null`.
    """

    __slots__ = ("path", "value")

    def __init__(self, value: Any, path: str) -> None:
        self.value = value
        self.path = path

    def wrong(self, text: str) -> CaptureError:
        """Return the error that says `text` about this place."""
        return CaptureError(f"{self.path}: {text}")

    def __getitem__(self, name: str) -> "JsonCursor":
        join = "." if "," in self.path else ", "
        value = self.mapping().get(name)
        return JsonCursor(value, f"{self.path}{join}{name}")

    def __iter__(self) -> Iterator["JsonCursor"]:
        if self.value is None:
            return
        if not isinstance(self.value, list):
            raise self._expected("a list")
        for index, item in enumerate(self.value):
            yield JsonCursor(item, f"{self.path}[{index}]")

    def _expected(self, kind: str) -> CaptureError:
        found = {type(None): "nothing", str: "text", dict: "an object", list: "a list", bool: "true or false"}
        return self.wrong(f"expected {kind}, found {found.get(type(self.value), 'a number')}")

    def mapping(self) -> dict[str, Any]:
        """Return the object here."""
        if not isinstance(self.value, dict):
            raise self._expected("an object")
        return self.value

    def text(self, default: str | None = None) -> str:
        """Return the text here; the default, when one is given, for null or nothing."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise self._expected("text")
        return self.value

    def number(self, default: float | None = None) -> float:
        """Return the number here; the default, when one is given, for null or nothing."""
        if self.value is None and default is not None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self._expected("a number")
        return self.value

    def optional_number(self) -> float | None:
        """Return the number here, None for null or nothing."""
        return None if self.value is None else self.number()

    def flag(self) -> bool:
        """Return whether the value is true; false for nothing."""
        if self.value is not None and not isinstance(self.value, bool):
            raise self._expected("true or false")
        return bool(self.value)

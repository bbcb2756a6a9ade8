"""Decide whether a value is a secret, by its name, its place and its form."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from proxy_policies.capture.secrets.names import Grade, field_grade, grade
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER, as_number
from proxy_policies.capture.secrets.rules import RedactionRules
from proxy_policies.capture.secrets.values import (
    MIN_NUMBER_LENGTH,
    is_label,
    is_plain,
    is_random,
    is_word,
    is_word_or_count,
)


class Place(Enum):
    """The place of a named value."""

    MEMBER = "member"
    """A member of a document: JSON, XML, a form field."""
    FIELD = "field"
    """A header field or a query parameter."""
    COOKIE = "cookie"
    CODE = "code"
    """In a script or a page, where names may also be those of variables and labels: only random values are secrets."""


@dataclass(frozen=True, slots=True)
class Decider:
    """Replaces secrets of one direction: a word named `password` is a secret in a request, but a label in a response.

    `hide(secret, rule)` returns the placeholder; `rule` names the reason why it is a secret.
    """

    rules: RedactionRules
    hide: Callable[[str, str], str]
    is_response: bool

    def replace(self, name: str, value: str, place: Place = Place.MEMBER, minimum: Grade = Grade.NONE) -> str:
        """Return the placeholder of a value of this name, or the value if it is not a secret.

        `minimum` is the lowest grade, given by what surrounds the value.
        """
        if not self.is_secret(name, value, place, minimum):
            return value
        return self.hide(value, f"name {name}" if max(self.grade(name, place), minimum) else "random cookie")

    def is_secret(self, name: str, value: str, place: Place, minimum: Grade = Grade.NONE) -> bool:
        """Return whether a value of this name is a secret that is not replaced yet."""
        name_grade = max(self.grade(name, place), minimum)
        if not value or (name_grade is Grade.NONE and place is not Place.COOKIE) or self.is_kept(name):
            return False
        if is_count(name) and value.strip().isdigit():
            return False
        is_replaced = PLACEHOLDER.search(value) if place is Place.CODE else PLACEHOLDER.fullmatch(value)
        return not is_replaced and self._is_secret(value, name_grade, place)

    def number(self, name: str, source: str, minimum: Grade = Grade.NONE) -> str | None:
        """Return the placeholder of a number of this name; None if it is not a secret."""
        name_grade = max(self.grade(name, Place.MEMBER), minimum)
        digits = source.lstrip("-")
        if self.is_kept(name) or not digits.isdigit() or is_count(name):
            return None
        is_secret = name_grade is Grade.PASSWORD or (name_grade is Grade.TOKEN and len(digits) >= MIN_NUMBER_LENGTH)
        return as_number(self.hide(source, f"name {name}")) if is_secret and len(digits) > 1 else None

    def grade(self, name: str, place: Place) -> Grade:
        """Return the grade of a name at this place."""
        if place is not Place.FIELD:
            return grade(name, self.rules.names)
        if (self.rules.headers or self.rules.queries) and name.lower() in self.rules.headers | self.rules.queries:
            return Grade.PASSWORD
        return field_grade(name, self.rules.names)

    def is_kept(self, name: str) -> bool:
        """Return whether a rule `keep:` of the user excludes this name."""
        return bool(self.rules.keep) and name.strip().lower() in self.rules.keep

    def _is_secret(self, value: str, name_grade: Grade, place: Place) -> bool:
        if is_plain(value):
            return False
        if place is Place.CODE:
            return name_grade > Grade.NONE and is_random(value)
        if name_grade >= Grade.TOKEN:
            if self.is_response and (is_label(value) or (name_grade is Grade.TOKEN and is_word(value))):
                return False
            return not (name_grade is Grade.TOKEN and is_word_or_count(value))
        return (name_grade is Grade.PERHAPS or place is Place.COOKIE) and is_random(value)


def is_count(name: str) -> bool:
    """Return whether a number of this name is one of tokens, as of a language model, or of sessions."""
    return name.lower().endswith(("tokens", "sessions"))


def is_sweepable(secret: str) -> bool:
    """Return whether a secret is distinctive enough to be replaced wherever it appears."""
    text = secret.strip()
    is_text = any(character in '"{}[]<>\n' for character in text) and not is_random(text)
    is_word = text.isalpha() and (text.islower() or text.istitle())
    is_number = text.lstrip("+-").replace(".", "").isdigit()
    return len(text) >= 8 and not (is_text or is_word or is_number or is_plain(text))

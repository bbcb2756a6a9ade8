"""The bits that texts of words take, and those that texts drawn at random do."""

import math
import random

import pytest

from proxy_policies.capture.secrets.word_model import bits

MADE_OF_WORDS = [
    "preferences",
    "billing-address",
    "userSettings",
    "SESSION_EXPIRED",
    "order/2026-11-28",
    "Berlin",
]


@pytest.mark.parametrize("text", MADE_OF_WORDS)
def test_words_and_numbers_take_less_than_what_was_drawn(text: str) -> None:
    drawn = "".join(
        random.Random(text).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=len(text))
    )
    assert bits(text) < 6 * len(text) + 4 < bits(drawn) + 12


def test_a_known_word_takes_less_than_letters_in_its_order() -> None:
    assert bits("password") < bits("passwurd") < bits("pxsswqrd")


@pytest.mark.parametrize("text", ["a b", "é", "a:b"])
def test_what_no_such_text_has_takes_for_ever(text: str) -> None:
    assert bits(text) == math.inf


def test_it_is_a_code() -> None:
    """Kraft's inequality: the shares of all texts of three characters are no more than the whole."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,+=~%"
    texts = (a + b for a in alphabet for b in alphabet)
    assert sum(2.0 ** -bits(text) for text in texts) < 1

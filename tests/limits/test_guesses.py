"""A client that guesses secrets is delayed."""

from proxy_policies.limits.guesses import FORGET_GUESS, LAST_GUESS, Guesses


def test_guesses_take_longer_and_longer_by_network_and_are_forgotten() -> None:
    guesses = Guesses(most=2)
    assert guesses.delay("2001:db8::1", 0) == 0
    delays = []
    for number in range(8):
        guesses.wrong(f"2001:db8::{number}", number)
        delays.append(guesses.delay("2001:db8::1", number))
    assert delays == sorted(delays)
    assert delays[-1] == LAST_GUESS
    assert guesses.delay("192.0.2.7", 8) == 0
    assert guesses.delay("2001:db8::1", 8 + FORGET_GUESS) == 0
    guesses.wrong("192.0.2.7", 8)
    guesses.wrong("192.0.2.8", 8)
    assert guesses.delay("2001:db8::1", 8) == 0  # the last two are remembered

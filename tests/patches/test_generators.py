"""Taking over from a layer's generator in its middle, or changing what it asks for."""

from typing import Any

from mitmproxy.proxy import layer

from proxy_policies.patches.generators import in_place_of, run_until, with_commands


def asking(ended: list[str]) -> layer.CommandGenerator[str]:
    try:
        replies = [(yield "one"), (yield "two"), (yield "three")]  # type: ignore[misc]
    finally:
        ended.append("closed")
    return ", ".join(replies)


def drive(running: Any) -> tuple[list[Any], Any]:
    """Answer each command; give the commands and the generator's value."""
    seen: list[Any] = []
    reply = None
    while True:
        try:
            seen.append(command := running.send(reply))
        except StopIteration as end:
            return seen, end.value
        reply = f"re {command}"


def test_a_generator_is_left_once_a_condition_holds() -> None:
    ended: list[str] = []
    left = run_until(asking(ended), lambda command: command == "two")  # type: ignore[comparison-overlap]
    assert drive(left) == (["one", "two"], (True, None))
    whole = run_until(asking(ended), lambda _: False)
    assert drive(whole) == (["one", "two", "three"], (False, "re one, re two, re three"))
    assert ended == ["closed", "closed"]


def test_each_command_is_changed_and_its_reply_is_passed_on() -> None:
    changed: Any = lambda command: command.upper()  # noqa: E731
    assert drive(with_commands(asking([]), changed)) == (["ONE", "TWO", "THREE"], "re ONE, re TWO, re THREE")


class Original:
    def greet(self) -> str:
        return "hello"


class Mended:
    def greet(self) -> str:
        return f"{super().greet()}!"  # type: ignore[misc]


def test_what_others_put_in_place_keeps_working() -> None:
    class Theirs(Original):
        def greet(self) -> str:
            return "good day"

    wrap = in_place_of(Mended)
    made = wrap(Theirs)
    assert made().greet() == "good day!"
    assert (made.__name__, made.__module__, issubclass(made, Original)) == ("Mended", Mended.__module__, True)
    assert wrap(made) is made, "ours is not derived from itself"
    assert wrap(Theirs) is made, "layers made before a script was loaded again are still its instances"

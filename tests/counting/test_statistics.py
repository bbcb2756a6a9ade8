"""What policies have counted, in one answer."""

from collections.abc import Mapping

from mitmproxy.test import taddons

from proxy_policies.counting import statistics


class Counting:
    name = "counting"

    async def statistics(self) -> Mapping[str, int]:
        return {"things": 3}


class Plain:
    name = "plain"


async def test_those_that_count_are_asked() -> None:
    with taddons.context(Counting(), Plain()):
        assert await statistics.of_policies() == {"counting": {"things": 3}}

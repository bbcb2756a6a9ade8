"""A wrong value is refused while the proxy runs, and nothing changes."""

import re

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from proxy_policies.encoding.addon import Encoding
from proxy_policies.headers.addon import RequestRules, ResponseRules
from proxy_policies.hops.addon import Hops
from proxy_policies.settings import Policy, Settings


def shown(policy: Policy, option: str) -> str:
    """Show a value; a filter that was read again is another object, but the same filter."""
    return re.sub(r" at 0x\w+", "", repr(getattr(policy, option)))


@pytest.mark.parametrize(
    ("policy", "option", "right", "wrong"),
    [
        (Encoding(), "encode", ["br"], ["brotli"]),
        (Encoding(), "encode_min_size", "2k", "-1"),
        (Encoding(), "encode_types", ["text/*"], ["text"]),
        (Encoding(), "encode_rules", ["//off"], ["off"]),
        (RequestRules(), "header_rules", ["/~q/X/y"], ["/~q/X"]),
        (ResponseRules(), "header_rules", ["//X/y"], ["//X/\r"]),
        (Hops(), "via_name", "us", "not us"),
        (Hops(), "forwarded_headers", "both", "all"),
        (Hops(), "forwarded_trust", ["10.0.0.0/8"], ["10.0.0.0/99"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_value_is_refused_live(policy: Policy, option: str, right: object, wrong: object) -> None:
    with taddons.context(Settings([policy]), policy) as context:
        context.configure(policy, **{option: right})
        before = shown(policy, option)
        with pytest.raises(exceptions.OptionsError, match=f"^option {option}="):
            context.options.update(**{option: wrong})
        assert shown(policy, option) == before
        assert getattr(context.options, option) == right

"""A wrong value is refused while the proxy runs, and nothing changes."""

import os
import re
from pathlib import Path

import pytest
from mitmproxy import exceptions
from mitmproxy.optmanager import OptManager
from mitmproxy.test import taddons

import policy
from proxy_policies.encoding.addon import Encoding
from proxy_policies.headers.addon import RequestRules, ResponseRules
from proxy_policies.hops.addon import Hops
from proxy_policies.settings import Policy, Settings, settings_of


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


HOSTILE = (
    *("", " ", "0", "1", "-1", "9" * 30, "nan", "inf", "x" * 10_000, "é\u202e😀", "a\nb", "a\r\nb: c", "\0", "\udce9"),
    *("\ud800", "~nobody-of-this-name/x", "/", "/dev/full", "/dev/zero", "nonexistent/x", "pipe", "cache.yaml"),
    *("disk:\0", "disk:~nobody-of-this-name", "disk:/dev/null", "@/dev/zero", "@\0", "http://[::1", "/~~~/x", "off"),
)
"""Texts, of which some name what is no file, or a file without an end."""
EVERY_POLICY = tuple(addon for addon in policy.addons if any(settings_of(addon)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("cache.yaml").write_text("cache: drum\n")
    return tmp_path


def refusal(options: OptManager, **said: object) -> str:
    """Set options, and return the error that refuses them; empty when they are taken."""
    try:
        options.update(**said)
    except exceptions.OptionsError as error:
        return str(error)
    return ""


async def ended(policy: Policy) -> None:
    """Have a policy end, which `taddons.context` does not: some have changed mitmproxy by then."""
    ending = policy.done() if hasattr(policy, "done") else None
    if ending is not None:
        await ending


@pytest.mark.parametrize("option", sorted({setting.name for one in EVERY_POLICY for setting in settings_of(one)}))
async def test_any_text_is_taken_or_refused_in_a_line(
    option: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policies = [type(one)() for one in EVERY_POLICY if option in {setting.name for setting in settings_of(one)}]
    with taddons.context(Settings(policies), *policies) as context:
        context.options.update(confdir=str(folder))
        for text in HOSTILE if not isinstance(getattr(context.options, option), bool) else ():
            before = getattr(context.options, option)
            said = refusal(context.options, **{option: text if isinstance(before, str) else [text]})
            assert said.isprintable(), text
            assert not said or getattr(context.options, option) == before, text
        context.options.reset()
        for one in policies:
            await ended(one)
    assert not [record.getMessage() for record in caplog.records if record.exc_info or "rror" in record.getMessage()]

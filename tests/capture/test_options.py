"""The option that recording and replaying share."""

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from proxy_policies.capture.options import REDACT
from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.settings import Settings


def test_what_is_a_secret_is_the_same_to_both() -> None:
    capture, replay = Capture(), Replay()
    with taddons.context(Settings([capture, replay]), capture, replay) as context:
        assert capture.capture_redact == replay.capture_redact == REDACT.parse(REDACT.default)
        context.options.update(capture_redact=["header:X-Customer", "keep:session"])
        assert capture.capture_redact == replay.capture_redact
        assert capture.capture_redact.headers == {"x-customer"}
        with pytest.raises(exceptions.OptionsError, match="capture_redact"):
            context.options.update(capture_redact=["heder:X"])
        assert capture.capture_redact.headers == {"x-customer"}

"""mitmproxy's examples that behave differently beside our policies, each with the reason."""

DEVIATES: dict[str, str] = {}

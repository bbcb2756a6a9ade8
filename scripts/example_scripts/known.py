"""The examples of mitmproxy that do something else beside our policies, each with the reason."""

DEVIATES: dict[str, str] = {}

"""Which of several processes on one port this is (`scripts/proxy --workers N`)."""

import os

VARIABLE = "PROXY_POLICIES_WORKER"
"""The environment variable that tells a worker its number, from 1."""

ALONE = 0
"""The number where there is but one process."""


def number() -> int:
    """Give this worker's number."""
    return int(os.environ.get(VARIABLE, ALONE))

"""Which of several processes on one port this is (`proxy-policies run --workers N`)."""

import os

ENV_VAR = "PROXY_POLICIES_WORKER"
"""The environment variable with a worker's number, from 1."""

SINGLE_PROCESS = 0
"""The number where there is but one process."""


def worker_number() -> int:
    """Return this worker's number."""
    return int(os.environ.get(ENV_VAR, SINGLE_PROCESS))

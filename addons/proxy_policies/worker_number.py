"""The number of this process among several on one port (`proxy-policies run --workers N`)."""

import os

ENV_VAR = "PROXY_POLICIES_WORKER"
"""The environment variable with a worker's number, from 1."""

SINGLE_PROCESS = 0
"""The number of the only process."""


def worker_number() -> int:
    """Return this worker's number, from 1; SINGLE_PROCESS if it is the only process."""
    return int(os.environ.get(ENV_VAR, SINGLE_PROCESS))

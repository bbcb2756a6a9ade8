"""`python -m proxy_policies`: the command `proxy-policies`."""

import sys

from proxy_policies.command.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m proxy_policies.capture`."""

import sys

from proxy_policies.capture.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

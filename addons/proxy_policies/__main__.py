"""`python -m proxy_policies`: the command `proxy-policies`."""

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports: no traceback

from proxy_policies.command.main import main

if __name__ == "__main__":
    sys.exit(main())

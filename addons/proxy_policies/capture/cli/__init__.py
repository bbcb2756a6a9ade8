"""The command line of captures: `scripts/capture`, `python -m proxy_policies.capture`."""

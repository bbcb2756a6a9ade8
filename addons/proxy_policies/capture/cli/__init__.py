"""The command line of captures: `proxy-policies capture`, `python -m proxy_policies.capture`."""

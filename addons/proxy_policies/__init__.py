"""A bundle of mitmproxy addons, one package for each policy."""

from proxy_policies.start_up import requirements

requirements.check()

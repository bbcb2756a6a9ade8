"""Proxy policies: a bundle of mitmproxy addons, one package a policy."""

from proxy_policies.start_up import requirements

requirements.check()

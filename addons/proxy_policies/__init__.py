"""Proxy policies: a bundle of mitmproxy addons, one package a policy."""

from proxy_policies import requirements

requirements.check()

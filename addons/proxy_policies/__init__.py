"""Proxy policies: a bundle of mitmproxy addons, one package a policy."""

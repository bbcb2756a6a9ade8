"""The headers policy: `header_rules`, applied to requests before the cache, and to responses last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mitmproxy import http

from proxy_policies import trace
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import fields_of, set_fields
from proxy_policies.flows import flow_state
from proxy_policies.hook_conditions import only_if
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.rules import Rule, parse_rules
from proxy_policies.settings import Setting

with lazy_imports():
    from proxy_policies.headers import rule as header_rule


def read_rule(rule: Rule) -> header_rule.HeaderRule:
    """Return one of `header_rules`, parsed. Raise ValueError."""
    return header_rule.read_rule(rule)


class _HeaderRules:
    header_rules = Setting(
        (),
        parse_rules(read_rule),
        "Fields to set, add (+) or remove (-): /flow-filter/[+|-]name[/value]. A rule whose filter has ~q acts on "
        "requests, every other on responses. {client_ip} {host} {method} {status} {cache} are replaced in the value.",
    )


class RequestRules(_HeaderRules):
    """Applies the rules for requests, before the cache, which uses the changed requests."""

    name = "request-rules"
    fast_paths = {**NO_OBJECTION, "hits": ("header_rules",)}

    @only_if("header_rules")
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Apply the rules for requests, in order."""
        if flow.response or flow.error:
            return
        rules = [rule for rule in self.header_rules if rule.on_requests]
        _apply(rules, flow, flow.request, _template_values(flow) if rules else {})


class ResponseRules(_HeaderRules):
    """Applies the rules for responses, after all other policies."""

    name = "response-rules"
    fast_paths = {**NO_OBJECTION, "hits": ("header_rules",)}

    @only_if("header_rules")
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Apply the rules for responses, in order."""
        if flow.response is None:
            return
        rules = [rule for rule in self.header_rules if not rule.on_requests]
        facts = (
            {**_template_values(flow), "status": str(flow.response.status_code), "cache": _cache(flow)} if rules else {}
        )
        _apply(rules, flow, flow.response, facts)


def _apply(
    rules: Iterable[header_rule.HeaderRule], flow: http.HTTPFlow, message: http.Message, facts: Mapping[str, str]
) -> None:
    for rule in rules:
        if rule.rule.matches(flow):
            set_fields(message.headers, rule.apply(fields_of(message.headers), facts))
            operation = rule.operation.name.lower()  # without the value, which may be a secret
            trace.note(flow, "headers", f"{operation} {rule.name}", f"the filter is {rule.rule.filter_text or 'empty'}")


def _template_values(flow: http.HTTPFlow) -> dict[str, str]:
    peer = flow.client_conn.peername
    return {
        "client_ip": peer[0].removeprefix("::ffff:") if peer else "",
        "host": flow.request.pretty_host,
        "method": flow.request.method,
    }


def _cache(flow: http.HTTPFlow) -> str:
    """Return the cache's outcome: hit, stale or miss; off if it made no decision."""
    verdicts = {note["verdict"] for note in trace.notes(flow) if note["policy"] == "cache"}
    if flow_state.state_of(flow).hit or "hit" in verdicts:
        return "hit"
    return "stale" if "stale" in verdicts else "miss" if verdicts else "off"

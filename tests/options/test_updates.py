"""Changes of mitmproxy's options."""

from mitmproxy.test import taddons

from proxy_policies.options.updates import batched_updates, override, set_specs


class Listener:
    """Keeps what changed."""

    def __init__(self) -> None:
        self.changes: list[set[str]] = []

    def configure(self, updated: set[str]) -> None:
        self.changes.append(updated)


async def test_a_switch_can_be_set_by_a_word_or_as_mitmproxy_writes_it() -> None:
    with taddons.context() as context:
        for spec, value in (("ssl_insecure=on", True), ("ssl_insecure=off", False), ("ssl_insecure=true", True)):
            set_specs(context.options, [spec, "listen_host=on"])
            assert (context.options.ssl_insecure, context.options.listen_host) == (value, "on")


async def test_changes_in_a_batch_are_reported_once() -> None:
    listener = Listener()
    with taddons.context(listener) as context:
        listener.changes.clear()
        with batched_updates(context.options):
            context.options.update(ssl_insecure=True)
            context.options.update(listen_port=8081)
        assert listener.changes == [{"ssl_insecure", "listen_port"}]


async def test_an_overridden_option_is_restored_unless_it_was_changed_since() -> None:
    with taddons.context() as context:
        restore = override(ssl_insecure=True, listen_host="::1")
        context.options.update(listen_host="127.0.0.2")
        restore()
        assert (context.options.ssl_insecure, context.options.listen_host) == (False, "127.0.0.2")

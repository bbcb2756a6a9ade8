"""The thread that sends: what a collector does not take is counted and said."""

from tests.support.otlp_receiver import Receiver
from tests.support.waiting import wait_until

from proxy_policies.finished.reporting import Record
from proxy_policies.flows.request_summary import RequestSummary
from proxy_policies.traces.sender import SpanSender

GET = Record(RequestSummary(b"GET", b"http://a.example/", b"HTTP/1.1", b"a.example"), ("::1", 1), 1.0, 0.5, 200)


def test_a_collector_that_refuses_and_then_takes_them() -> None:
    receiver = Receiver()
    said: list[str] = []
    receiver.status = 400
    sender = SpanSender(f"{receiver.url}/v1/traces", lambda text: text, said.append)
    sender.start()
    sender.put([GET.item, (GET.repeated(), ("::1", 2), 2.0)])
    wait_until(lambda: said)
    host = receiver.url.removeprefix("http://")
    assert said == [f"2 spans lost: the collector at {host} does not accept them"]
    receiver.status = 200
    sender.put([GET.item])
    sender.close(60)
    assert (sender.processed, sender.lost, len(receiver.spans)) == (1, 2, 1)
    receiver.close()

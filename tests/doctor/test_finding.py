"""What was found."""

from proxy_policies.doctor.finding import fail, has_failed, ok, warn


def test_a_finding_is_a_line_and_json() -> None:
    found = warn("port", "in use", "take another")
    assert found.line == "warn  port            in use: take another"
    assert found.as_json() == {"level": "warn", "subject": "port", "text": "in use", "advice": "take another"}
    assert ok("a", "b").line == "ok    a               b"


def test_only_what_has_to_be_mended_counts() -> None:
    assert not has_failed([ok("a", ""), warn("b", "")])
    assert has_failed([ok("a", ""), fail("b", "")])

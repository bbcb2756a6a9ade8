"""OpenAPI documents are read from JSON and YAML, and what they refer to is found."""

from pathlib import Path
from typing import Any

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.openapi.references import Document, read_document


def document(**root: Any) -> Document:
    return Document("api.yaml", root)


def test_yaml_is_read_as_json_is(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("openapi: 3.0.3\nresponses: {200: {description: OK}}\n")
    (tmp_path / "a.json").write_text('{"openapi": "3.0.3", "responses": {"200": {"description": "OK"}}}')
    one, other = (read_document(tmp_path / name) for name in ("a.yaml", "a.json"))
    assert one.root == other.root


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "\0", "\u2028: {", "- a", ""])
def test_what_is_no_document_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(CaptureError) as error:
        read_document(tmp_path / "a.yaml")
    assert "\n" not in str(error.value)


def test_references_are_followed_on_the_way() -> None:
    found = document(a={"$ref": "#/b/x~1y"}, b={"x/y": {"c": {"$ref": "#/d"}}}, d={"e": [1, 2]}).at(
        ["a", "c", "e", "1"]
    )
    assert (found.pointer, found.value) == (["d", "e", "1"], 2)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("#/nowhere", "#/nowhere: there is no such place"),
        ("other.yaml#/a", "only references within the document"),
        ("#/a", "in a circle"),
    ],
)
def test_a_wrong_reference_is_named(reference: str, problem: str) -> None:
    with pytest.raises(CaptureError, match=problem):
        document(a={"$ref": reference}).at(["a"])


def test_what_is_not_there_is_nothing() -> None:
    assert document(a=[1]).at(["a", "7", "b"]).value is None
    assert document(a=[1, 2, 3]).at(["a", "²"]).value is None
    assert document(a=[1]).mapping("a") == {}

"""What is given for a capture and is none is called by its name, with what to do."""

import gzip
import json
from pathlib import Path

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.any_format import open_source
from proxy_policies.capture.har.other_formats import what_it_is

POSTMAN = {"info": {"name": "shop", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}}
FILES = {
    "postman": (json.dumps(POSTMAN | {"item": []}), "a Postman collection: .*capture record NEW.har"),
    "postman, indented": (json.dumps({"info": {"_postman_id": "1"}, "item": []}, indent=4), "a Postman collection: "),
    "insomnia 4": ('{"_type": "export", "__export_format": 4, "resources": []}', "an Insomnia export: "),
    "insomnia 5": ("type: collection.insomnia.rest/5.0\nname: shop\n", "an Insomnia export: "),
    "openapi": ('{"openapi": "3.1.0", "paths": {}}', "an OpenAPI document: .*check CAPTURE --openapi .*a.har "),
    "openapi later": ('{"info": {}, "openapi": "3.1.0"}', "an OpenAPI document: "),
    "openapi yaml": ("# shop\n\nopenapi: 3.0.0\ninfo: {}\n", "an OpenAPI document: "),
    "swagger yaml": ('---\nswagger: "2.0"\n', "an OpenAPI document: "),
    "jsonp": ('onInputData({"log": {"entries": []}});', r"JSONP, a script: write what is between its first \("),
    "jsonp of security": ('/**/ jQuery.cb_1( {"log": {}} )', "JSONP"),
}


@pytest.mark.parametrize(("text", "expected"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_it_is_called_by_its_name(text: str, expected: str, pack: type[bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.write_bytes(pack(text.encode()))
    with pytest.raises(CaptureError, match=f"a.har: {expected}") as error:
        list(open_source(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ['{"log": {"entries": [], "comment": "_postman_id: openapi"}}', '{"log": {"entries": []}}']
)
def test_a_har_is_a_har_whatever_is_in_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.write_text(text)
    assert list(open_source(path)) == []


@pytest.mark.parametrize("text", ["", "{}", "not (this)", '{"log": 1', "f(x)"])
def test_of_other_files_nothing_is_said(text: str) -> None:
    assert what_it_is("a.har", text.encode()) == ""

"""A capture as an OpenAPI document, in JSON and in YAML."""

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from proxy_policies.capture.model import Entry
from proxy_policies.capture.openapi.document import openapi_document


def openapi_json(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the document of redacted exchanges in JSON."""
    yield json.dumps(openapi_document(entries), indent=2, ensure_ascii=False) + "\n"


def openapi_yaml(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the document of redacted exchanges in YAML."""
    from ruamel.yaml import YAML  # slow to import: only for YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 120
    yaml.allow_unicode = True
    text = io.StringIO()
    yaml.dump(openapi_document(entries), text)
    yield text.getvalue()

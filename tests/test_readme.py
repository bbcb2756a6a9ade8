"""What the README shows works."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.mitmdump import Mitmdump

README = Path(__file__).parents[1] / "README.md"


def test_the_example_policy_works(mitmdump: Callable[..., Mitmdump], curl: Any, tmp_path: Path) -> None:
    found = re.search(r"<!-- example -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    assert found[1].count("\n") <= 30
    script = tmp_path / "limit.py"
    script.write_text(found[1])
    proxy = mitmdump("-s", str(script), "--set", "upload_limit=1k", "--set", "flow_detail=2")
    body = tmp_path / "body"
    body.write_bytes(bytes(5000))
    got = curl("-x", proxy.url, "--data-binary", f"@{body}", "http://127.0.0.1:9/")
    assert (got.status, got.body) == (413, b"at most 1024 bytes\n")
    proxy.wait_log(r"limit +refused: 5000 bytes")


def test_every_file_it_names_is_there() -> None:
    for path in re.findall(r"\]\(((?!http)[^)]+)\)", README.read_text()):
        assert (README.parent / path).exists(), path

"""The environment of a command that is run through the proxy."""

import ssl
from pathlib import Path

import certifi
import pytest
import trustme

from proxy_policies.capture.runner.client_environment import (
    HINT,
    PROXY_VARIABLES,
    environment,
    write_bundle,
)
from proxy_policies.certificates.stores import BUNDLE_VARIABLES

URL = "http://127.0.0.1:8080"


@pytest.mark.parametrize("name", [*PROXY_VARIABLES, *map(str.upper, PROXY_VARIABLES)])
def test_every_spelling_of_a_proxy_is_ours(name: str) -> None:
    made = environment({name: "http://other.test", name.title(): "x"}, URL, Path("b.pem"), Path("ca.pem"))
    assert made[name] == URL
    assert name.title() not in made


def test_nothing_passes_by_and_nothing_else_is_lost() -> None:
    base = {"PATH": "/bin", "NO_PROXY": "a.test", "no_proxy": "*", "SSL_CERT_DIR": "/certs", "SSL_CERT_FILE": "/x"}
    made = environment(base, URL, Path("b.pem"), Path("ca.pem"))
    assert made["PATH"] == "/bin"
    assert (made["NO_PROXY"], made["no_proxy"]) == ("", "")
    assert "SSL_CERT_DIR" not in made, "what is in it would win over a bundle"
    assert {made[name] for name in BUNDLE_VARIABLES} == {"b.pem"}
    assert made["NODE_EXTRA_CA_CERTS"] == "ca.pem"


def test_a_bundle_has_what_was_trusted_and_our_ca(tmp_path: Path) -> None:
    ours, theirs, target = tmp_path / "ca.pem", tmp_path / "theirs.pem", tmp_path / "bundle.pem"
    for path in (ours, theirs):
        trustme.CA().cert_pem.write_to_path(path)
    base = {"CURL_CA_BUNDLE": str(theirs), "REQUESTS_CA_BUNDLE": str(theirs), "PIP_CERT": str(tmp_path / "gone.pem")}
    write_bundle(target, ours, base)
    text = target.read_text()
    assert [text.count(path.read_text().strip()) for path in (ours, theirs)] == [1, 1]
    assert Path(certifi.where()).read_text(encoding="utf-8").strip() in text
    ssl.create_default_context(cafile=str(target))


def test_the_hint_names_the_proxy() -> None:
    assert f"--proxy-server={URL} " in HINT.format(port=8080, proxy=URL)

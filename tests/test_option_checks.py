"""Values that mitmproxy accepts, and fails at later."""

from pathlib import Path

import pytest
import trustme
from mitmproxy import exceptions
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons

from proxy_policies.option_checks import ERRORS, OptionChecks


@pytest.mark.parametrize(
    ("option", "name", "refusal"),
    [
        ("ssl_verify_upstream_trusted_ca", "absent", "No such file or directory"),
        ("ssl_verify_upstream_trusted_ca", "text", "no certificates in PEM format"),
        ("ssl_verify_upstream_trusted_ca", "empty", "no certificates in PEM format"),
        ("ssl_verify_upstream_trusted_confdir", "absent", "No such file or directory"),
        ("ssl_verify_upstream_trusted_confdir", "text", "Not a directory"),
        ("ssl_verify_upstream_trusted_confdir", "", ""),
        ("client_certs", "text", "no private key and certificate in PEM format"),
        ("client_certs", "", ""),
    ],
)
async def test_what_cannot_be_loaded_is_refused(option: str, name: str, refusal: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").touch()
    path = str(tmp_path / name)
    check = OptionChecks()
    with taddons.context(check) as context:
        if not refusal:
            context.configure(check, **{option: path})
            return
        with pytest.raises(exceptions.OptionsError, match=f"^option {option}='{path}': {refusal}$"):
            context.options.update(**{option: path})
        assert getattr(context.options, option) is None


async def test_certificates_and_no_file_are_accepted(ca_file: Path) -> None:
    check = OptionChecks()
    with taddons.context(check) as context:
        for path in (str(ca_file), None):
            context.configure(check, **{"ssl_verify_upstream_trusted_ca": path})


@pytest.mark.parametrize("option", ["ciphers_client", "ciphers_server"])
async def test_ciphers_that_do_not_exist_are_refused(option: str) -> None:
    check = OptionChecks()
    with taddons.context(check, TlsConfig()) as context:
        context.configure(check, **{option: "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA"})
        with pytest.raises(exceptions.OptionsError, match=f"^option {option}='FOO': OpenSSL knows no such cipher"):
            context.options.update(**{option: "FOO"})


async def test_a_client_certificate_with_its_key_is_accepted(tmp_path: Path) -> None:
    identity, other = trustme.CA().issue_cert("client.test"), trustme.CA().issue_cert("other.test")
    whole, mixed = tmp_path / "client.pem", tmp_path / "mixed.pem"
    identity.private_key_and_cert_chain_pem.write_to_path(whole)
    mixed.write_bytes(identity.private_key_pem.bytes() + other.cert_chain_pems[0].bytes())
    check = OptionChecks()
    with taddons.context(check) as context:
        context.configure(check, client_certs=str(whole))
        with pytest.raises(exceptions.OptionsError, match="no private key and certificate"):
            context.options.update(client_certs=str(mixed))


@pytest.mark.parametrize("bits", [0, 512, 1023, 16385])
def test_a_key_that_cannot_be_made_or_used_is_refused(bits: int) -> None:
    assert ERRORS["key_size"](bits) == "write a number of bits from 1024 to 16384"


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_timeout_that_would_end_everything_is_refused(seconds: int) -> None:
    assert ERRORS["tcp_timeout"](seconds) == "write a number of seconds above 0"


def test_unusual_values_are_accepted(tmp_path: Path) -> None:
    usual = {
        "key_size": 4096,
        "dns_name_servers": ["::1", "9.9.9.9"],
        "hardump": "-",
        "rfile": "-",
        "tcp_timeout": 1,
        "body_size_limit": "0",
        "protobuf_definitions": __file__,
    }
    assert {option: ERRORS[option](value) for option, value in usual.items()} == dict.fromkeys(usual, "")
    assert ERRORS["hardump"](str(tmp_path / "new.har")) == ""

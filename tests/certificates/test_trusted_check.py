"""CAs to trust in origins, as files that mitmproxy reads only for its first connection to one."""

from pathlib import Path

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from proxy_policies.certificates.trusted_check import FILE, FOLDER, TrustedCaCheck


@pytest.mark.parametrize(
    ("option", "name", "refusal"),
    [
        (FILE, "absent", "No such file or directory"),
        (FILE, "text", "no certificates in PEM format"),
        (FILE, "empty", "no certificates in PEM format"),
        (FOLDER, "absent", "No such file or directory"),
        (FOLDER, "text", "Not a directory"),
        (FOLDER, "", ""),
    ],
)
async def test_what_cannot_be_loaded_is_refused(option: str, name: str, refusal: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").touch()
    path = str(tmp_path / name)
    check = TrustedCaCheck()
    with taddons.context(check) as context:
        if not refusal:
            context.configure(check, **{option: path})
            return
        with pytest.raises(exceptions.OptionsError, match=f"^option {option}='{path}': {refusal}$"):
            context.options.update(**{option: path})
        assert getattr(context.options, option) is None


async def test_certificates_and_no_file_are_accepted(ca_file: Path) -> None:
    check = TrustedCaCheck()
    with taddons.context(check) as context:
        for path in (str(ca_file), None):
            context.configure(check, **{FILE: path})

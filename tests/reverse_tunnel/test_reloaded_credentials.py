"""Who an end of the tunnel is, as its files on disk change."""

from pathlib import Path

import pytest

from proxy_policies.reverse_tunnel import certificates
from proxy_policies.reverse_tunnel.identity import Credentials, Mode
from proxy_policies.reverse_tunnel.reloaded_credentials import FollowedCredentials


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return certificates.make("home", "paris", tmp_path / "paris")


def test_nobody_before_it_is_loaded() -> None:
    followed = FollowedCredentials("home", lambda _: None)
    assert followed.current.mode is Mode.NONE
    assert not followed.look_again("none", "")


def test_a_renewed_certificate_is_shown_once(folder: Path) -> None:
    renewed: list[Credentials] = []
    followed = FollowedCredentials("home", renewed.append)
    followed.load(str(folder), "")
    followed.load(str(folder), "")
    first = followed.current
    assert not renewed
    certificates.make("home", "paris", folder)
    assert not followed.look_again(str(folder), "")
    assert renewed == [followed.current]
    assert followed.current is not first
    assert not followed.look_again(str(folder), "")
    assert len(renewed) == 1


def test_another_name_is_another_end(folder: Path, tmp_path: Path) -> None:
    renewed: list[Credentials] = []
    followed = FollowedCredentials("home", renewed.append)
    followed.load(str(folder), "")
    other = certificates.make("home", "lyon", tmp_path / "lyon")
    for file in folder.iterdir():
        if (other / file.name).is_file():
            file.write_bytes((other / file.name).read_bytes())
    assert followed.look_again(str(folder), "")
    assert (followed.current.name, renewed) == ("lyon", [])


def test_the_old_one_is_good_while_the_new_one_is_not(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    followed = FollowedCredentials("home", lambda _: None)
    followed.load(str(folder), "")
    first = followed.current
    (folder / certificates.CERT).write_text("half of a certifi")
    assert not followed.look_again(str(folder), "")
    assert not followed.look_again(str(folder), "")
    assert followed.current is first
    assert caplog.text.count("the certificate has changed on disk and is not taken up") == 1

"""The page with the certificate for phones and other machines: how to trust it there, and how to undo that."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from cryptography.hazmat.primitives import hashes

from proxy_policies.certificates.authority import Authority
from proxy_policies.certificates.stores import StoreCommand, TrustStore, debian, fedora, other_systems

FILE = "proxy-policies.crt"
"""The name of the downloaded file; Android needs `.crt`."""
MEDIA_TYPE = "application/x-x509-ca-cert"
"""The media type by which phones and browsers recognise a CA's certificate."""

_TEMPLATE = Path(__file__).with_name("device_page.html")


@dataclass(frozen=True)
class Instruction:
    """An instruction, and a command to type, if any."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class Device:
    """A kind of device: the steps to trust the authority there, and to undo that."""

    name: str
    trust: Sequence[Instruction]
    undo: Sequence[Instruction]


def devices(name: str) -> list[Device]:
    """Return the devices, phones first."""
    settings = "Settings, Security, Encryption & credentials"
    other = {
        system: [[Instruction("", line) for line in lines] for lines in (commands.trust, commands.undo)]
        for system, commands in other_systems(FILE, name).items()
    }
    return [
        Device(
            "iPhone, iPad",
            (
                Instruction("Open the certificate in Safari, and allow the profile."),
                Instruction("Settings, Profile Downloaded: Install."),
                Instruction("Settings, General, About, Certificate Trust Settings: switch it on."),
            ),
            (Instruction("Settings, General, VPN & Device Management: remove the profile."),),
        ),
        Device(
            "Android",
            (
                Instruction("Download the certificate."),
                Instruction(f"{settings}, Install a certificate, CA certificate: choose the file."),
                Instruction("Browsers trust it then; an app does if its maker lets it."),
            ),
            (Instruction(f"{settings}, Trusted credentials, User: remove it."),),
        ),
        Device("macOS", (Instruction("Download the certificate."), *other["macos"][0]), other["macos"][1]),
        Device("Windows", (Instruction("Download the certificate."), *other["windows"][0]), other["windows"][1]),
        Device("Debian, Ubuntu", *map(_of_store, _steps(debian(Path(FILE), name)))),
        Device("Fedora and its kin", *map(_of_store, _steps(fedora(Path(FILE), name)))),
        Device(
            "Chromium and Firefox on Linux",
            (Instruction("Settings, Certificates, Authorities: import it, for websites."),),
            (Instruction("Settings, Certificates, Authorities: delete it."),),
        ),
    ]


def _steps(store: TrustStore) -> tuple[Sequence[StoreCommand], Sequence[StoreCommand]]:
    return store.trust, store.undo


def _of_store(commands: Sequence[StoreCommand]) -> list[Instruction]:
    return [Instruction("", f"sudo {shlex.join(command)}") for command in commands]


def fingerprint(ours: Authority) -> str:
    """Return the SHA-256 fingerprint in the form that devices show."""
    return ours.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def page(ours: Authority, url: str, qr_code: str = "") -> str:
    """Return the page as HTML; `qr_code` is an SVG of its URL."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        name=ours.name,
        file=FILE,
        fingerprint=fingerprint(ours),
        ends=ours.certificate.not_valid_after_utc,
        permitted=ours.permitted,
        devices=devices(ours.name),
        url=url,
        qr_code=qr_code,
    )

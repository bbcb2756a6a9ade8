"""Checks the certificate authority, which clients trust it, and the certificates of the reverse tunnel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from proxy_policies.certificates import authority, client_checks, folders, own_folder
from proxy_policies.certificates.own_folder import certs_command
from proxy_policies.doctor.finding import Finding, fail, ok, warn
from proxy_policies.reverse_tunnel import certificates, identity
from proxy_policies.script_paths import own_command

HOW_TO_TRUST = {
    "curl": "{command} trust debian, or the variables that {command} env prints",
    "python": "the variables that {command} env prints",
    "node": "the variables that {command} env prints",
    "chromium": "{command} trust chromium",
}


def look_at_authority(confdir: Path) -> Iterator[Finding]:
    """Check the files of the authority in a confdir."""
    if not (confdir / authority.KEY_FILE).exists():
        if why := folders.why_not_made(confdir):
            yield fail("authority", f"confdir {confdir}: {why}", "--set confdir=FOLDER names another")
        else:
            yield ok("authority", f"none in {confdir} yet: mitmproxy makes one when it starts")
        return
    if authority.is_encrypted(confdir / authority.KEY_FILE):
        yield ok("authority", f"the key in {confdir} has a passphrase, so it is not looked at")
        return
    try:
        ours = authority.read_authority(confdir)
    except ValueError as error:
        yield fail("authority", str(error), f"{certs_command(confdir)} make --force makes another")
        return
    now = datetime.now(UTC)
    found = list(authority.problems(confdir, ours, now))
    for problem, advice in found:
        yield fail("authority", problem, advice)
    if not found:
        limits = f", only for {', '.join(ours.permitted)}" if ours.permitted else ""
        yield _validity(
            "authority",
            f"{ours.name}{limits}",
            ours.certificate.not_valid_after_utc,
            now,
            f"{certs_command(confdir)} make --force",
        )


def _validity(subject: str, name: str, end: datetime, now: datetime, renewing: str) -> Finding:
    text = f"{name}, until {end:%Y-%m-%d}"
    return warn(subject, text, f"{renewing} renews it") if end - now < authority.RENEWAL_PERIOD else ok(subject, text)


def look_at_trust(confdir: Path) -> Iterator[Finding]:
    """Check which clients trust the authority, by real connections through a proxy that signs with it."""
    key = confdir / authority.KEY_FILE
    if not key.exists() or authority.is_encrypted(key):
        return
    try:
        ours = authority.read_authority(confdir)
    except ValueError:
        return  # reported already
    if list(authority.problems(confdir, ours, datetime.now(UTC))):
        return  # reported already, and no client could trust it
    try:
        asked = _ask_clients(confdir, client_checks.host_for(ours.permitted))
    except (OSError, ValueError) as error:
        yield fail("trust", str(error))
        return
    for name, message in asked.items():
        if not message:
            yield ok(f"trust, {name}", "opens a host that the proxy signs for")
        elif client_checks.is_about_trust(message):
            yield warn(
                f"trust, {name}",
                "does not trust the authority",
                HOW_TO_TRUST[name].format(command=certs_command(confdir)),
            )
        else:
            yield fail(f"trust, {name}", message)


def _ask_clients(confdir: Path, host: str) -> dict[str, str]:
    """Return the errors of clients that open a host through a proxy, by the client's name; "" if there is none."""
    with client_checks.proxy(confdir, host) as port:
        asked = {name: ask(port, None, host) for name, ask in client_checks.clients().items()}
        if client_checks.find_chromium():
            asked["chromium"] = client_checks.chromium(port, host)
    return asked


def look_at_tunnel() -> Iterator[Finding]:
    """Check the reverse tunnel's certificates, if there are any."""
    for kind in certificates.KINDS:
        folder = own_folder.certificates_folder() / kind
        if not folder.exists():
            continue
        try:
            known = identity.load(kind, str(folder), "")
        except ValueError as error:
            yield fail(f"tunnel, {kind}", str(error))
            continue
        if known.ends is not None:
            renewing = f"{own_command()} certs tunnel {kind} {known.name}"
            yield _validity(f"tunnel, {kind}", f"certificate of {known.name}", known.ends, datetime.now(UTC), renewing)

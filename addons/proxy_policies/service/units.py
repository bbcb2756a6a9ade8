"""The systemd units: a template, and the differences between the services. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

OPEN_FILES = 65536
"""Enough for some 30 000 clients: each has a descriptor, and its origin another."""
STOP_TIMEOUT = 30
"""Seconds until systemd kills the service: the grace period of 10 s, with a margin."""

START_ATTEMPTS, START_INTERVAL = 30, 600
"""Starts, and the seconds in which systemd attempts so many.

A start takes some two seconds: systemd's own limit, five in ten seconds, is never reached."""


@dataclass(frozen=True)
class Unit:
    """A service's description, and its arguments of `proxy-policies`."""

    description: str
    arguments: str


SERVICES: Mapping[str, Unit] = {
    "proxy-policies": Unit("HTTP proxy with policies", "run"),
    "proxy-policies-workers": Unit("HTTP proxy with policies, several processes", "run --workers 4"),
    "proxy-policies-home": Unit("reverse tunnel, on the clients' side", "home"),
    "proxy-policies-work": Unit("reverse tunnel, behind the firewall", "work"),
}

HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))
"""What ProtectHome=yes hides."""

_UNIT = Template("""\
# Made by `proxy-policies units`. Arguments of your own: ARGUMENTS=--set policy_file=/etc/proxy-policies/policies.yaml
# in /etc/default/$name; anything else: systemctl edit $name.
[Unit]
Description=$description
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=$start_interval
StartLimitBurst=$start_attempts

[Service]
Type=notify
ExecStart=$command $arguments --set confdir=%S/$name $$ARGUMENTS
ExecReload=/bin/kill -HUP $$MAINPID
EnvironmentFile=-/etc/default/$name
Environment=HOME=%S/$name XDG_DATA_HOME=%S/$name PYTHONDONTWRITEBYTECODE=1
Restart=on-failure
RestartSec=1
KillMode=mixed
TimeoutStopSec=$stop_timeout
LimitNOFILE=$open_files

DynamicUser=yes
StateDirectory=$name
StateDirectoryMode=0700
LogsDirectory=$name
LogsDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
""")


def hidden(paths: Iterable[Path]) -> Path | None:
    """Return the first path that a unit cannot see; None if it sees all."""
    return next((path for path in paths if any(path.is_relative_to(folder) for folder in HIDDEN)), None)


def unit(name: str, command: str) -> str:
    """Return the unit file of a service; `command` is the path of `proxy-policies`."""
    service = SERVICES[name]
    return _UNIT.substitute(
        name=name,
        command=command.replace("%", "%%"),  # systemd's specifiers begin with %
        description=f"proxy-policies: {service.description}",
        arguments=service.arguments,
        open_files=OPEN_FILES,
        stop_timeout=STOP_TIMEOUT,
        start_attempts=START_ATTEMPTS,
        start_interval=START_INTERVAL,
    )

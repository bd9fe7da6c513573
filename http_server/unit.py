"""Knows the systemd unit of a coordinator: its own user, nothing writable but OUT, no device, no privilege."""

from collections.abc import Sequence
from pathlib import Path

# systemd.exec(5). What is allowed is what `serve` does: sockets, threads, files below OUT, limits of its own.
HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet={capabilities}
AmbientCapabilities={capabilities}
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @mount @swap @reboot @debug
SystemCallErrorNumber=EPERM
"""
UNIT = """\
[Unit]
Description=kubeseed coordinator of {out}
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User={user}
Group={user}
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec=20
UMask=0077
LimitNOFILE=65536
LimitCORE=0
{keyring}{place}{hardening}
[Install]
WantedBy=multi-user.target
"""
HOMES = ("/home", "/root", "/run/user")
PRIVILEGED = 1024


def systemd_unit(
    program: Path, out: Path, options: Sequence[str], user: str, keyring: Path | None, ports: Sequence[int]
) -> str:
    """The unit that runs `program serve OUT OPTIONS...`. systemd hands over the key in `keyring`, opening a *.cred."""
    capabilities = "CAP_NET_BIND_SERVICE" if any(0 < port < PRIVILEGED for port in ports) else ""
    return UNIT.format(
        out=_specifiers(str(out)),
        user=user,
        start=" ".join(_word(word) for word in (str(program), "serve", str(out), *options)),
        keyring=_credential(keyring),
        place=_place(out),
        hardening=HARDENING.format(capabilities=capabilities),
    )


def _credential(keyring: Path | None) -> str:
    if keyring is None:
        return ""
    kind = "LoadCredentialEncrypted" if keyring.suffix == ".cred" else "LoadCredential"
    return f"{kind}=keyring.key:{_specifiers(str(keyring))}\n"


def _place(out: Path) -> str:
    """OUT stays writable; homes are hidden, but for OUT when it lies in one."""
    path = _quoted(_specifiers(str(out)))
    if any(out.is_relative_to(home) for home in HOMES):
        return f"ProtectHome=tmpfs\nBindPaths={path}\n"
    return f"ProtectHome=yes\nReadWritePaths={path}\n"


def _word(text: str) -> str:
    """One word of a command line (systemd.service(5), COMMAND LINES)."""
    return _quoted(_specifiers(text).replace("$", "$$"))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if any(sign in " \t\"'\\;" for sign in text) else escaped


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")

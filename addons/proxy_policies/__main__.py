"""`proxy-policies`: finds the scripts of an installed package, for `mitmdump -s "$(proxy-policies policy)"`."""

import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGE = Path(__file__).parent


def scripts() -> dict[str, Path]:
    """Return the scripts by name; a wheel carries them inside the package, a clone beside it."""
    shipped = PACKAGE / "scripts"
    folder = shipped if shipped.is_dir() else PACKAGE.parent
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def usage() -> str:
    """Return what can be asked for."""
    names = ", ".join(name for name in scripts() if name != "policy")
    return "\n".join(
        [
            "usage: proxy-policies NAME",
            "",
            "Prints the path of a script for mitmproxy, which holds every policy or one:",
            "",
            '  mitmdump -s "$(proxy-policies policy)"',
            "",
            f"policy has every policy{f'; one alone: {names}' if names else ''}.",
            "proxy-policies certs … makes, tries and removes a certificate authority.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a script's path, or run a command; gives the exit code."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "certs":
        from proxy_policies.certificates.__main__ import main as certs

        return certs(rest)
    if name not in scripts() or rest:
        print(usage(), file=sys.stderr)
        return 1
    print(scripts()[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())

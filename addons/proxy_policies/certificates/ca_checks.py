"""Rejects CAs that mitmproxy cannot use, its own and those to trust: it would end, or fail at each connection."""

import os
import ssl

from mitmproxy import ctx

from proxy_policies.certificates import authority, folders
from proxy_policies.options.files import expand_home
from proxy_policies.settings import reject


class ConfdirCheck:
    """Checks the CA's files before mitmproxy reads them, at start and when their options change."""

    name = "confdir_check"

    def configure(self, updated: set[str]) -> None:
        """Reject a confdir without a CA if none can be created there, and a CA that cannot be read."""
        if not updated & {"confdir", "cert_passphrase"}:
            return
        confdir = expand_home(ctx.options.confdir)
        key = confdir / authority.KEY_FILE
        try:
            folders.require_confdir(confdir)
            if key.exists():
                authority.require_passphrase(key, ctx.options.cert_passphrase)
        except (OSError, ValueError) as error:
            reject(str(error))


FILE, FOLDER = "ssl_verify_upstream_trusted_ca", "ssl_verify_upstream_trusted_confdir"


class TrustedCaCheck:
    """Checks the CAs to trust in origins, at start and when their options change."""

    name = "trusted_ca_check"

    def configure(self, updated: set[str]) -> None:
        """Reject a file or folder that cannot be read, and a file without a certificate."""
        for option in {FILE, FOLDER} & updated:
            path = getattr(ctx.options, option)
            if path and (error := unusable(path, option == FOLDER)):
                reject(f"option {option}={path!r}: {error}")


def unusable(path: str, is_folder: bool) -> str:
    """Return why OpenSSL cannot load trusted certificates from a path; "" if it can."""
    try:
        if is_folder:
            with os.scandir(path):
                return ""
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "no certificates in PEM format"
    except OSError as error:
        return str(error.strerror)
    return ""

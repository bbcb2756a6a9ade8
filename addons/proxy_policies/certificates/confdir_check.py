"""Rejects a confdir and a CA that mitmproxy cannot use: it would end with a traceback."""

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

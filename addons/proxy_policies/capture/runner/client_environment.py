"""The environment of a command that is run through the proxy: proxy and CA variables for all known clients."""

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

import certifi

from proxy_policies.certificates.stores import BUNDLE_VARIABLES, EXTRA_VARIABLE, ca_variables

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy")
BYPASS_VARIABLES = ("no_proxy",)
HINT = """no request reached the proxy. The command may not read http_proxy and https_proxy:
  Node      NODE_USE_ENV_PROXY=1 works from Node 24 (it is set); before that use undici's EnvHttpProxyAgent
  aiohttp   ClientSession(trust_env=True)
  Java      JAVA_TOOL_OPTIONS='-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={port} -Dhttp.nonProxyHosts='
  Go        leaves localhost out: use another name for 127.0.0.1 in the target's URL
  Chromium  --proxy-server={proxy} --proxy-bypass-list='<-loopback>'"""


def environment(base: Mapping[str, str], proxy: str, bundle: Path, ca: Path) -> dict[str, str]:
    """Return the environment for a process that should use the proxy at this URL and trust these CAs."""
    names = {*PROXY_VARIABLES, *BYPASS_VARIABLES}
    kept = {name: value for name, value in base.items() if name.lower() not in names and name != "SSL_CERT_DIR"}
    proxies = {spelling: proxy for name in PROXY_VARIABLES for spelling in (name, name.upper())}
    bypass = {spelling: "" for name in BYPASS_VARIABLES for spelling in (name, name.upper())}
    return {**kept, **proxies, **bypass, **ca_variables(ca, bundle), "NODE_USE_ENV_PROXY": "1"}


def write_bundle(target: Path, ca: Path, base: Mapping[str, str]) -> None:
    """Write all CAs into one file: those of the environment `base`, and the proxy's. Raise OSError."""
    sources = [*_trusted(base), ca]
    texts = [path.read_text(encoding="utf-8", errors="replace").strip() for path in sources]
    target.write_text("\n".join(texts) + "\n", encoding="utf-8")


def _trusted(base: Mapping[str, str]) -> Iterable[Path]:
    """Return the bundles in use, each once: the user's, certifi's and the system's."""
    system = ssl.get_default_verify_paths().openssl_cafile
    named = [base[name] for name in (*BUNDLE_VARIABLES, EXTRA_VARIABLE) if base.get(name)]
    paths = dict.fromkeys(Path(name) for name in (*named, certifi.where(), system))
    return [path for path in paths if path.is_file()]

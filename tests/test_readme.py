"""What the README shows works."""

import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mitmproxy.exceptions import OptionsError
from mitmproxy.options import Options
from mitmproxy.tools.dump import DumpMaster

from proxy_policies.settings import Setting, parse_size, settings_of
from tests.support.mitmdump import Mitmdump

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_the_example_policy_works(mitmdump: Callable[..., Mitmdump], curl: Any, tmp_path: Path) -> None:
    found = re.search(r"<!-- example -->\n```python\n(.*?)```", (ROOT / "addons" / "README.md").read_text(), re.DOTALL)
    assert found
    assert found[1].count("\n") <= 30
    script = tmp_path / "limit.py"
    script.write_text(found[1])
    proxy = mitmdump("-s", str(script), "--set", "upload_limit=1k", "--set", "flow_detail=2")
    body = tmp_path / "body"
    body.write_bytes(bytes(5000))
    got = curl("-x", proxy.url, "--data-binary", f"@{body}", "http://127.0.0.1:9/")
    assert (got.status, got.body) == (413, b"at most 1024 bytes\n")
    proxy.wait_log(r"limit +refused: 5000 bytes")


PAGES = [README, *README.parent.glob("certs/README.md"), *README.parent.glob("addons/**/README.md")]
SET = re.compile(r"""--set\s+(?:'([^']*)'|"([^"]*)"|([^\s`'"]+'[^']*'|[^\s`'"]+))(?=(.*\n.*)?)""")
REFUSED = re.compile(r"\n(    )?(unknown )?option ")


def examples() -> Iterator[tuple[str, bool]]:
    """Yield every `--set` of the pages and the scripts' help, and whether the page shows it refused."""
    for page in [*PAGES, *README.parent.glob("scripts/*"), *README.parent.glob("addons/*.py")]:
        for found in SET.finditer(page.read_text()) if page.is_file() else ():
            spec = next(filter(None, found.groups()[:3]), "").replace("'", "").rstrip(".,;:)")
            if re.match(r"[a-z_]+=(?!\$\{)", spec):  # a shell variable is no value
                yield spec, bool(REFUSED.search(found[4] or ""))


def complaint(spec: str, settings: Mapping[str, Setting[Any]], options: Options) -> str:
    name, _, value = spec.partition("=")
    try:
        if name in settings:
            settings[name].parse_override([value] if settings[name].is_list else value)
        else:
            options.set(spec)
    except (ValueError, OptionsError) as error:
        return str(error)
    return ""


async def test_every_option_that_it_sets_is_one_with_that_value() -> None:
    DumpMaster(options := Options())
    policies = runpy.run_path(str(README.parent / "addons/policy.py"))["addons"]
    settings = {setting.name: setting for policy in policies for setting in settings_of(policy)}
    settings["upload_limit"] = Setting("10m", parse_size, "The example policy's.")
    specs = list(examples())
    assert len(specs) > 20
    wrong = {spec: error for spec, _ in specs if (error := complaint(spec, settings, options))}
    assert wrong.keys() == {spec for spec, refused in specs if refused}, wrong

"""A capture as a script for k6: what is run, on stand-ins for k6's modules, sends the recorded requests."""

import os
import re
import subprocess
from pathlib import Path

from tests.support.origin import Origin
from tests.support.programs import need
from tests.support.shop_recording import PASSWORD, assert_sent, live_recording, old_recording

from proxy_policies.capture.export.k6 import k6_script

MODULES = Path(__file__).parents[2] / "support" / "k6_modules.mjs"


def test_a_script_sends_what_a_live_build_returned(origin: Origin, tmp_path: Path) -> None:
    need("curl")
    live = live_recording(origin)
    script = re.sub(r'(?m)^import .* from "k6.*\n', "", "".join(k6_script(old_recording())))
    names = "__ENV, check, encoding, http, sleep"
    path = tmp_path / "script.mjs"
    script = script.replace("export default function", "function iteration") + "iteration();\n"
    path.write_text(f'import {{ {names} }} from "{MODULES.as_uri()}";\n{script}')
    environment = os.environ | {"TARGET": origin.url, "PASSWORD": PASSWORD, "PASSCODE": PASSWORD}
    done = subprocess.run([need("node"), str(path)], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    assert_sent(origin.requests, live)

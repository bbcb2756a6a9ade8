"""Options from a file, in the real mitmdump: who wins, what changes live, what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.files import rewrite
from tests.support.mitmdump import ADDONS, Mitmdump
from tests.support.waiting import wait_until

PROBE = '''
"""Answers every request with the options a test asks for."""
import json
from mitmproxy import ctx, http
from proxy_policies.addon_chain import build_addons
from proxy_policies.settings import Setting, as_text, one_of, parse_size, reject

class Probe:
    name = "probe"
    probe_size = Setting("1k", parse_size, "A size.")
    probe_mode = Setting("calm", one_of("calm", "wild"), "A word.")
    probe_list = Setting(("a",), tuple, "A list.")

    def configure(self, updated):
        if self.probe_mode == "wild" and self.probe_size < 10:
            reject("option probe_mode=wild needs probe_size of 10 or more")

    def request(self, flow):
        names = ("probe_size", "probe_mode", "probe_list", "showhost", "modify_headers")
        values = {name: getattr(ctx.options, name) for name in names}
        flow.response = http.Response.make(200, json.dumps({**values, "parsed": self.probe_size}))

addons = build_addons(Probe())
'''


class House:
    """A folder with a policy file, a config.yaml and a mitmdump that prints its options."""

    def __init__(self, folder: Path, mitmdump: Callable[..., Mitmdump], curl: Any) -> None:
        self.file = folder / "policies.yaml"
        self.confdir = folder / "conf"
        self.confdir.mkdir()
        self.probe = folder / "probe.py"
        self.probe.write_text(PROBE)
        self._mitmdump, self._curl = mitmdump, curl

    def start(self, *arguments: str, named: bool = True, **options: Any) -> None:
        file = ("--set", f"policy_file={self.file}") if named else ()
        arguments = ("-s", str(self.probe), *file, *arguments)
        self.proxy = self._mitmdump(*arguments, confdir=self.confdir, **options)

    def options(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._curl("-x", self.proxy.url, "http://probe.test/").body)
        return told

    def change(self, text: str) -> str:
        """Write the file and give the log line that follows."""
        before = len(self.proxy.log())
        rewrite(self.file, text)
        wait_until(lambda: "policy_file" in (line := self.proxy.log()[before:]) and line.endswith("\n"), 10, "log line")
        return self.proxy.log()[before:].partition("policy_file")[2]


@pytest.fixture
def house(tmp_path: Path, mitmdump: Callable[..., Mitmdump], curl: Any) -> House:
    return House(tmp_path, mitmdump, curl)


def test_the_command_line_wins_over_the_file_and_the_file_over_config_yaml(house: House) -> None:
    (house.confdir / "config.yaml").write_text(
        "probe_size: 3k\nprobe_mode: wild\nprobe_list: [conf]\nshowhost: false\nmodify_headers: [/~q/X-A/conf]\n"
    )
    rewrite(house.file, "probe_size: 2k\nprobe_list: [x, y]\nshowhost: false\nmodify_headers: [/~q/X-A/file]\n")
    house.start("--set", "probe_size=5k", "--showhost", "--set", "modify_headers=/~q/X-A/line")
    told = house.options()
    assert told == {
        "probe_size": "5k",
        "parsed": 5120,
        "probe_mode": "wild",
        "probe_list": ["x", "y"],
        "showhost": True,
        "modify_headers": ["/~q/X-A/line"],
    }


def test_without_a_file_too_the_command_line_wins_over_config_yaml(house: House) -> None:
    (house.confdir / "config.yaml").write_text("probe_size: 3k\n")
    house.start("--set", "probe_size=5k", named=False)
    assert house.options()["parsed"] == 5120


def test_changes_take_effect_and_options_that_leave_return(house: House) -> None:
    (house.confdir / "config.yaml").write_text("probe_size: 3k\n")
    rewrite(house.file, "probe_size: 2k\nshowhost: true\n")
    house.start("--set", "probe_list=b")
    assert (house.options()["parsed"], house.options()["showhost"]) == (2048, True)
    line = house.change("probe_mode: wild\nshowhost: true\nprobe_list: [c]\n")
    assert "changed; set: probe_mode; restored: probe_size; set by the command line: probe_list" in line
    told = house.options()
    assert (told["parsed"], told["probe_mode"], told["showhost"], told["probe_list"]) == (3072, "wild", True, ["b"])
    assert "restored: probe_mode, showhost" in house.change("")
    assert house.options()["probe_mode"] == "calm"


REFUSED_LIVE = {
    "no YAML": ("probe_size: [1\n", "line 2: expected ',' or ']'"),
    "our option": ("showhost: true\nprobe_size: lots\n", "line 2, option probe_size: 'lots': write a size such as 512"),
    "mitmproxy's option": ("probe_size: 1m\nshowhost: very\n", "line 2, option showhost: 'very': write true or false"),
    "its own check": ("probe_size: 1m\nmodify_headers: [x]\n", "line 2, option modify_headers: Cannot parse"),
    "misspelt": (
        "probe_size: 1m\nprobe_sice: 1m\n",
        "line 2, option probe_sice: no such option; did you mean probe_size?",
    ),
    "at odds": ("probe_mode: wild\nprobe_size: 9\n", "option probe_mode=wild needs probe_size of 10 or more"),
    "an addon that fails": ("showhost: true\nignore_hosts: ['(']\n", "lines 1, 2: missing ), unterminated subpattern"),
    "not allowed": ("probe_size: 1m\nmode: [socks5]\n", "line 2, option mode: belongs on the command line"),
}


def test_a_bad_change_is_refused_whole_and_the_old_policies_stay(house: House) -> None:
    rewrite(house.file, "probe_size: 2k\n")
    house.start()
    before = house.options()
    for text, reason in REFUSED_LIVE.values():
        line = house.change(text)
        assert reason in line
        assert line.count("\n") == 1, line
        assert house.options() == before
    assert "changed; set: probe_size" in house.change("probe_size: 4k\n")
    assert house.options()["parsed"] == 4096


@pytest.mark.parametrize(("text", "reason"), REFUSED_LIVE.values(), ids=REFUSED_LIVE)
def test_a_bad_file_ends_the_start_with_one_line(house: House, text: str, reason: str) -> None:
    rewrite(house.file, text)
    house.start(wait=False)
    assert house.proxy.wait_exit() == 1
    assert house.proxy.log().count("policy_file") == (0 if reason.startswith("option probe_mode") else 1)
    house.proxy.wait_log(re.escape(reason))
    assert "Traceback" not in house.proxy.log()


def test_no_file_ends_the_start(house: House) -> None:
    house.start(wait=False)
    assert house.proxy.wait_exit() == 1
    house.proxy.wait_log(re.escape(f"policy_file {house.file}: No such file or directory"))


def test_a_file_that_is_replaced_goes_and_comes_back(house: House) -> None:
    rewrite(house.file, "probe_size: 2k\n")
    house.start()
    new = house.file.with_suffix(".new")
    new.write_text("probe_size: 4k\n")
    new.rename(house.file)
    house.proxy.wait_log("changed; set: probe_size")
    assert house.options()["parsed"] == 4096
    house.file.unlink()
    house.proxy.wait_log("No such file or directory; keeping the previous options until the file is readable again")
    assert house.options()["parsed"] == 4096
    assert "back; no option changes" in house.change("probe_size: 4k\n")
    assert house.proxy.log().count("policy_file") == 3


def test_what_the_file_said_goes_with_its_script(house: House) -> None:
    """A reloaded policy.py starts from what held before the file spoke."""
    rewrite(house.file, "probe_size: 2k\n")
    script = house.probe.with_name("policy.py")
    rewrite(
        script,
        "from proxy_policies.addon_chain import build_addons\n"
        "from proxy_policies.policy_file.addon import PolicyFile\n"
        "addons = build_addons(PolicyFile())\n",
    )
    house.start("-s", str(script), script=None, env={"PYTHONPATH": str(ADDONS)})
    assert house.options()["parsed"] == 2048
    rewrite(script, script.read_text() + "# edited\n")
    wait_until(lambda: house.proxy.log().count("Loading script") == 3, 10, "the script's reload")
    wait_until(lambda: house.options()["parsed"] == 2048, 10, "the file's options")
    assert "restored: probe_size" in house.change("")
    assert house.options()["parsed"] == 1024

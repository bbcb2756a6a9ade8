"""How each help ends."""

import argparse

from proxy_policies.command.help_text import describe


def test_examples_and_exit_codes_come_last() -> None:
    parser = argparse.ArgumentParser(prog="x")
    describe(parser, "Does it.", ("do   it is done", "do --twice"), {0: "done", 1: "not done"})
    assert parser.format_help().endswith(
        "examples:\n  proxy-policies do   it is done\n  proxy-policies do --twice\n\n"
        "exit codes:\n  0   done\n  1   not done\n  2   the command line is wrong\n"
    )

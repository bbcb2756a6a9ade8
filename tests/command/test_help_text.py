"""How each help ends."""

import argparse

from proxy_policies.command.help_text import describe
from proxy_policies.script_paths import own_command


def test_examples_and_exit_codes_come_last() -> None:
    parser = argparse.ArgumentParser(prog="x")
    describe(parser, "Does it.", ("do   it is done", 'env   "$(proxy-policies env)"'), {0: "done", 1: "not done"})
    command = own_command()
    assert parser.format_help().endswith(
        f'examples:\n  {command} do   it is done\n  {command} env   "$({command} env)"\n\n'
        "exit codes:\n  0   done\n  1   not done\n  2   the command line is wrong\n"
    )

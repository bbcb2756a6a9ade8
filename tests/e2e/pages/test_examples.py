"""Every block of the pages that is marked `console` prints what it shows."""

from pathlib import Path

import pytest
from tests.support.clone import ROOT
from tests.support.page_examples import Command, examples, pages, run_example

EXAMPLES = {
    f"{page.relative_to(ROOT)} {number}": block for page in pages() for number, block in enumerate(examples(page), 1)
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("commands", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_prints_what_it_shows(commands: list[Command], tmp_path: Path) -> None:
    run_example(commands, tmp_path)


def test_most_pages_have_an_example() -> None:
    assert len({name.rpartition(" ")[0] for name in EXAMPLES}) > 10

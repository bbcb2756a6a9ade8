from collections.abc import Iterator

import pytest
from tests.support.origin import Origin


@pytest.fixture
def origin() -> Iterator[Origin]:
    """Return a running origin."""
    found = Origin()
    yield found
    found.close()

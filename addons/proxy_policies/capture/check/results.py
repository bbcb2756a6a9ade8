"""The results of sending a recording; in a file, so that memory does not grow with the recording."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy_policies.capture.check.secret_pairs import PlaceholderPair
from proxy_policies.capture.files.pickled_items import PickledItems
from proxy_policies.capture.model import Response


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of sending an entry: a redacted response, or the reason why there is none."""

    response: Response | None = None
    seconds: float = 0.0
    error: str = ""
    skipped: str = ""
    secrets: tuple[PlaceholderPair, ...] = ()
    """Placeholders of the request's secrets, as recorded and as sent."""


type SendResults = Mapping[int, SendResult]
"""Results by the number of their entry; they contain no secrets."""


class ResultFile(Mapping[int, SendResult]):
    """SendResults in a file."""

    def __init__(self) -> None:
        self._items = PickledItems[SendResult]()
        self._positions = array("Q")  # by number, from 1; 0 if there is none

    def put(self, number: int, result: SendResult) -> None:
        """Add the result for an entry. Raise OSError."""
        self._positions.extend([0] * (number + 1 - len(self._positions)))
        self._items.append(result)
        self._positions[number] = len(self._items)

    def __getitem__(self, number: int) -> SendResult:
        """Return the result for an entry. Raise KeyError, OSError."""
        if not 0 <= number < len(self._positions) or not self._positions[number]:
            raise KeyError(number)
        return self._items[self._positions[number] - 1]

    def __iter__(self) -> Iterator[int]:
        return (number for number, position in enumerate(self._positions) if position)

    def __len__(self) -> int:
        return sum(1 for _ in self)

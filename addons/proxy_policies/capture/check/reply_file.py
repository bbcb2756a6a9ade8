"""What came of a run, by number, in a file of its own: memory does not grow with the recording."""

from array import array
from collections.abc import Iterator, Mapping

from proxy_policies.capture.check.pickled_items import PickledItems
from proxy_policies.capture.check.sender import SendResult


class ReplyFile(Mapping[int, SendResult]):
    """Replies by their entry's number; they hold no secrets."""

    def __init__(self) -> None:
        self._items = PickledItems[SendResult]()
        self._places = array("Q")  # by number, from 1; 0 is for none

    def put(self, number: int, sent: SendResult) -> None:
        """Keep a reply. Raises OSError."""
        self._places.extend([0] * (number + 1 - len(self._places)))
        self._items.append(sent)
        self._places[number] = len(self._items)

    def __getitem__(self, number: int) -> SendResult:
        """Return a reply. Raises KeyError, OSError."""
        if not 0 <= number < len(self._places) or not self._places[number]:
            raise KeyError(number)
        return self._items[self._places[number] - 1]

    def __iter__(self) -> Iterator[int]:
        return (number for number, place in enumerate(self._places) if place)

    def __len__(self) -> int:
        return sum(1 for _ in self)

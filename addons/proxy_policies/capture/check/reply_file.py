"""What came of a run, by number, in a file of its own: memory does not grow with the recording."""

from collections.abc import Iterator, Mapping

from proxy_policies.capture.check.pickled_items import PickledItems
from proxy_policies.capture.check.sender import SendResult


class ReplyFile(Mapping[int, SendResult]):
    """Replies by their entry's number; they hold no secrets."""

    def __init__(self) -> None:
        self._items = PickledItems[SendResult]()
        self._places: dict[int, int] = {}

    def put(self, number: int, sent: SendResult) -> None:
        """Keep a reply. Raises OSError."""
        self._places[number] = len(self._items)
        self._items.append(sent)

    def __getitem__(self, number: int) -> SendResult:
        """Return a reply. Raises KeyError, OSError."""
        return self._items[self._places[number]]

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

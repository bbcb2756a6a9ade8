"""A list whose items are kept in a file: memory does not grow with their size."""

import pickle
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from typing import overload


class PickledItems[Item](Sequence[Item]):
    """Items in order. The file has no name, so no one else can write to it, and is deleted with this object."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by __del__
        self._ends = array("Q", [0])
        for item in items:
            self.append(item)

    def append(self, item: Item) -> None:
        """Add an item. Raise OSError."""
        self._file.seek(self._ends[-1])
        self._ends.append(self._ends[-1] + self._file.write(pickle.dumps(item)))

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        """Return an item. Raise IndexError, OSError."""
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        self._file.seek(self._ends[at])
        item: Item = pickle.loads(self._file.read(self._ends[at + 1] - self._ends[at]))  # noqa: S301 -- written by append
        return item

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __del__(self) -> None:
        self._file.close()

"""How far the work is: a bar for a terminal or a notebook, now and then a line for a log, or a call of one's own."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeAlias, TypeVar

from tqdm import tqdm as _Plain
from tqdm.auto import tqdm

Progress: TypeAlias = bool | Callable[[int, int | None], object]  # a bar or nothing; told n and the total (or None)
EVERY = 10.0  # seconds between two lines of a log
_T = TypeVar("_T")


class _Lines(_Plain):  # type: ignore[type-arg]
    """A bar as lines, where nothing can be written over: a file, a log, a build."""

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """Return what writes a state of the bar."""

        def write(text: str) -> None:
            if text:
                file.write(f"{text}\n")
                file.flush()

        return write


class _Told(_Plain):  # type: ignore[type-arg]
    """No bar, but a function that is called at each update."""

    def __init__(self, tell: Callable[[int, int | None], object], total: int | None, initial: int = 0) -> None:
        super().__init__(disable=True)
        self.tell, self.whole, self.n = tell, total, initial

    def update(self, n: float | None = 1) -> None:
        """Count n more, and tell."""
        self.n += int(n or 0)
        self.tell(int(self.n), self.whole)


def bar(
    progress: Progress, total: int | None, unit: str, *, initial: int = 0, widget: bool = True, **options: Any
) -> Any:
    """Return a context to `update`: a bar on standard error (in a notebook a widget), or what calls `progress`."""
    if callable(progress):
        return _Told(progress, total, initial)
    kind: Any = tqdm if widget else _Plain
    is_notebook = tqdm.__mro__[1] is not _Plain
    if progress and not is_notebook and not sys.stderr.isatty():
        kind, options = _Lines, {"delay": EVERY, "mininterval": EVERY, "maxinterval": EVERY, "ncols": 0} | options
    return kind(total=total, initial=initial, unit=unit, disable=not progress, **options)


def each(items: Iterable[_T], progress: Progress, unit: str, total: int | None = None, **options: Any) -> Iterator[_T]:
    """Go through items, and show how far that is; `total` is for those that do not know their number."""
    with bar(progress, len(items) if isinstance(items, Sized) else total, unit, **options) as shown:
        for item in items:
            yield item
            shown.update(1)

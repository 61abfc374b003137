"""Which rows of a batch are at fault, found by halving it: about log2(n) tries a bad row.

Rules: rows are tried in order, so that of two rows of one key the later one is written last; every
good row is taken once; and a row is only blamed after it was refused alone.
"""

from __future__ import annotations


class Halving:
    """The search in a batch that was refused as a whole: try `next`, `tell` what came of it."""

    def __init__(self, rows: int, why: str) -> None:
        """Among ``rows`` rows that were refused together because of ``why``."""
        self.reasons: dict[int, str] = {}
        self._open = [(0, rows, why)]
        self._trying: tuple[int, int, tuple[int, int, str] | None] = (0, 0, None)

    def next(self) -> slice | None:
        """The rows to try next; None at the end: ``reasons`` then names the bad rows."""
        while self._open:
            begin, end, why = self._open.pop()
            if not why:
                self._trying = (begin, end, None)
                return slice(begin, end)
            if end - begin == 1:
                self.reasons[begin] = why
                continue
            middle = (begin + end) // 2
            self._trying = (begin, middle, (middle, end, why))
            return slice(begin, middle)
        return None

    def tell(self, why: str) -> None:
        """Why the rows of `next` were refused; empty where they were taken."""
        begin, end, rest = self._trying
        if rest is not None:
            middle, last, known = rest
            # Where the first half is good the second is bad, which need not be tried as a whole.
            self._open.append((middle, last, known if not why and last - middle > 1 else ""))
        if why:
            self._open.append((begin, end, why))

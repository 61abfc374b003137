"""What the queries need that no expression says: letters counted and addresses taken apart."""

from __future__ import annotations

import edgestream as es
from edgestream import Batch, Strings


@es.operator
def count_letter(batch: Batch, column: str, letter: str, to: str) -> Batch:
    """How often a letter stands in a text."""
    texts = batch[column]
    if not isinstance(texts, Strings):
        raise es.Fatal(f"{column!r} is no text")
    return batch.with_columns(**{to: texts.map(lambda text: text.count(letter), 0, int)})


@es.operator
def split(batch: Batch, column: str, by: str, to: dict[str, int]) -> Batch:
    """Parts of a text as columns: name → which part, counted from 0; missing where it has fewer."""
    texts = batch[column]
    if not isinstance(texts, Strings):
        raise es.Fatal(f"{column!r} is no text")
    parts = [None if text is None else text.split(by) for text in texts.to_list()]
    made = {
        name: Strings.of(
            [None if found is None or len(found) <= at else found[at] for found in parts]
        )
        for name, at in to.items()
    }
    return batch.with_columns(**made)

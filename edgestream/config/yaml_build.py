"""From the events of a YAML parser to plain values, with the place of each, within bounds.

Events are read one by one, so nothing is built that is not allowed: an alias is never followed,
and reading stops at the first node too many. Everything else that is wrong is noted, and reading
goes on, so that all of it is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from edgestream.config import yaml_scalars
from edgestream.config.yaml_errors import Mark
from edgestream.errors import ConfigError, Problem

Path: TypeAlias = tuple[str | int, ...]

MAX_NODES = 50_000
MAX_DEPTH = 40
MAX_PROBLEMS = 50


@dataclass(slots=True)
class _Pair:
    key: yaml.Event
    event: yaml.Event
    value: Any


class Builder:
    """One document being read: the values it gives, their places, and what is wrong."""

    def __init__(self, text: str, file: str) -> None:
        """Places are looked up in ``text``, which the events come from."""
        self.problems: list[Problem] = []
        self.slight: list[Problem] = []
        """Those of the problems that leave it clear what was meant."""
        self.marks: dict[Path, Mark] = {}
        self.key_marks: dict[Path, Mark] = {}
        self.text_marks: dict[Path, Mark] = {}
        self._text = text
        self._file = file
        self._nodes = 0

    def document(self, events: Iterator[yaml.Event]) -> Any:
        """The one document there must be; None where it is empty."""
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.note("only one document may stand in a file", mark_of(event), last=True)
                if event.tags:
                    self.note("tags ('%TAG') are not allowed", mark_of(event))
            elif isinstance(event, yaml.NodeEvent):
                data = self._node(event, events, ())
        return data

    def note(
        self, message: str, mark: Mark, path: Path = (), hint: str = "", *, last: bool = False
    ) -> None:
        """Remember what is wrong; raise all of it when it is the last or too much to be told."""
        self.problems.append(Problem(message, path, hint, self._file, mark.line, mark.column))
        if last or len(self.problems) >= MAX_PROBLEMS:
            raise ConfigError(self.problems)

    def _note_slight(self, message: str, mark: Mark, path: Path, hint: str = "") -> None:
        """Remember what is wrong, although it is clear what was meant."""
        self.note(message, mark, path, hint)
        self.slight.append(self.problems[-1])

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> Any:
        mark = mark_of(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self.note(f"more than {MAX_NODES} values in one file", mark, last=True)
        self.marks.setdefault(path, mark)
        if isinstance(event, yaml.AliasEvent):
            self.note("aliases ('*…') are not allowed; write the value out", mark, path)
            return None
        self._refuse_extras(event, path)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            hint = f"{MAX_DEPTH} levels are read"
            self.note("nested too deep", mark, hint=hint, last=True)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, events, path)
        return self._mapping(event, events, path)

    def _refuse_extras(self, event: yaml.Event, path: Path) -> None:
        if getattr(event, "anchor", None) is not None:
            self.note("anchors ('&…') are not allowed", mark_of(event), path, "write it out")
        if getattr(event, "tag", None) is not None:
            hint = "a value that begins with '!' must stand in quotes"
            self.note("tags ('!…') are not allowed", mark_of(event), path, hint)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> yaml_scalars.Scalar:
        self._remember_text(event, path)
        if not event.implicit[0]:
            return yaml_scalars.text(event.value)
        try:
            return yaml_scalars.plain(event.value)
        except ValueError as error:
            self.note(str(error), mark_of(event), path)
            return None

    def _remember_text(self, event: yaml.ScalarEvent, path: Path) -> None:
        """Where the text of a scalar on one line begins, if it stands there letter by letter."""
        if event.start_mark is None or event.end_mark is None or "${" in event.value:
            return
        raw = self._text[event.start_mark.index : event.end_mark.index]
        mark = mark_of(event)
        if raw == event.value:
            self.text_marks.setdefault(path, mark)
        elif raw[1:-1] == event.value:
            self.text_marks.setdefault(path, Mark(mark.line, mark.column + 1))

    def _sequence(
        self, start: yaml.SequenceStartEvent, events: Iterator[yaml.Event], path: Path
    ) -> list[Any]:
        items: list[Any] = []
        seen: list[yaml.Event] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items))))
            seen.append(event)
        if start.flow_style:
            texts = [plain_text(event) for event in seen]
            for first, last in reversed([*split_calls([(text, text) for text in texts])]):
                whole = ", ".join(text for text in texts[first : last + 1] if text)
                items[first : last + 1] = [whole]
                self._note_split_call("[ ]", whole, mark_of(seen[first]), (*path, first))
        return items

    def _mapping(
        self, start: yaml.Event, events: Iterator[yaml.Event], path: Path
    ) -> dict[str, Any]:
        pairs: list[_Pair] = []
        for key in events:
            if isinstance(key, yaml.MappingEndEvent):
                break
            name = key.value if isinstance(key, yaml.ScalarEvent) else "?"
            place = (*path, name)
            if not isinstance(key, yaml.ScalarEvent):
                self._node(key, events, place)
            self.key_marks.setdefault(place, mark_of(key))
            event = next(events)
            pairs.append(_Pair(key, event, self._node(event, events, place)))
        if getattr(start, "flow_style", False):
            pairs = self._without_split_calls(pairs, path)
        made: dict[str, Any] = {}
        for pair in pairs:
            self._add(made, pair, path)
        return made

    def _without_split_calls(self, pairs: list[_Pair], path: Path) -> list[_Pair]:
        """In ``{p95: quantile(x, 0.95)}`` the comma ends the value and ``0.95)`` is a key."""
        entries = [
            (plain_text(pair.event), None if plain_text(pair.event) else plain_text(pair.key))
            for pair in pairs
        ]
        swallowed: set[int] = set()
        for first, last in split_calls(entries):
            rest = [more for _, more in entries[first + 1 : last + 1] if more]
            whole = ", ".join([entries[first][0] or "", *rest])
            place = (*path, plain_text(pairs[first].key) or "?")
            self._note_split_call("{ }", whole, mark_of(pairs[first].event), place)
            pairs[first].value = whole
            swallowed.update(range(first + 1, last + 1))
        return [pair for index, pair in enumerate(pairs) if index not in swallowed]

    def _note_split_call(self, brackets: str, whole: str, mark: Mark, path: Path) -> None:
        message = f"a call with several arguments must stand in quotes inside {brackets}"
        shown = whole if len(whole) <= 80 else whole[:79] + "…"
        self._note_slight(message, mark, path, f'write "{shown}"')

    def _add(self, made: dict[str, Any], pair: _Pair, path: Path) -> None:
        """Add a pair to the mapping, if its key is text that did not come before."""
        wrong = _wrong_key(pair.key)
        if wrong or not isinstance(pair.key, yaml.ScalarEvent):
            self.note(wrong, mark_of(pair.key), path)
            return
        place = (*path, pair.key.value)
        self._refuse_extras(pair.key, place)
        if place[-1] in made:
            line = self.key_marks[place].line
            message = f"the key {place[-1]!r} comes twice; it came first on line {line}"
            self._note_slight(message, mark_of(pair.key), place)
            return
        made[pair.key.value] = pair.value


def mark_of(event: yaml.Event) -> Mark:
    """Where an event begins."""
    mark = event.start_mark
    return Mark(1, 1) if mark is None else Mark(mark.line + 1, mark.column + 1)


def plain_text(event: yaml.Event) -> str | None:
    """The text of an unquoted scalar, None for anything else and for an empty one."""
    if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value:
        return event.value
    return None


def split_calls(
    entries: Sequence[tuple[str | None, str | None]],
) -> Iterable[tuple[int, int]]:
    """First and last index of each call that the commas of a flow collection cut into pieces.

    An entry is the text that may open a call, and the text that may go on with one.
    """
    index = 0
    while index < len(entries):
        last = index
        open_brackets = _open_brackets(entries[index][0])
        while open_brackets > 0 and last + 1 < len(entries) and entries[last + 1][1]:
            last += 1
            open_brackets += _open_brackets(entries[last][1])
        if last > index and open_brackets <= 0:
            yield index, last
        index = last + 1


def _open_brackets(text: str | None) -> int:
    return text.count("(") - text.count(")") if text else 0


def _wrong_key(event: yaml.Event) -> str:
    """Why something cannot be a key, or nothing."""
    if isinstance(event, yaml.AliasEvent):
        return "an alias ('*…') cannot be a key"
    if not isinstance(event, yaml.ScalarEvent):
        return "a list or mapping cannot be a key"
    if "${" in event.value:
        return "${…} is filled in in values only, not in keys"
    if not event.implicit[0]:
        return ""
    if event.value == "<<":
        return "merge keys ('<<') are not allowed; write the fields out"
    if not event.value:
        return "a key is missing before ':'"
    try:
        number = not isinstance(yaml_scalars.plain(event.value), str)
    except ValueError:
        number = True
    return f"the key {event.value[:60]} is not text; write it in quotes" if number else ""

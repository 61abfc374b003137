"""The contract of sources, operators, sinks and codecs; that of tables is in `tables.table`.

A component is one class: its fields are its configuration, its docstring is its manual, and its
``examples`` are run by the tests. `component` annotates the class and registers nothing.
Configuration is never changed after construction; what a running component needs is declared with
`state` and set in ``open`` (sources, sinks) or on first use (operators).
"""

from __future__ import annotations

import dataclasses
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    dataclass_transform,
)

from edgestream.clock import Clock
from edgestream.config.convert import convert_fields
from edgestream.config.fields import option, options, state
from edgestream.schema import ColumnKind, Schema

if TYPE_CHECKING:  # ``import edgestream`` does without numpy
    import numpy as np
    from numpy.typing import NDArray

    from edgestream.batch import Batch

Position: TypeAlias = Mapping[str, Any]
"""Where a source is: plain JSON values, just after the last item it gave out."""

Kind: TypeAlias = Literal["source", "operator", "sink", "codec", "table"]
SinkDelivery: TypeAlias = Literal["transactional", "idempotent", "at_least_once"]

MAIN = ""
"""The name of a component's main output."""
OVERFLOW = "overflow"
"""The port of rows that an operator cannot take because the pipeline's memory is full."""

Outputs: TypeAlias = "Sequence[tuple[str, Batch]]"
"""What an operator gives: (port, batch) pairs in order; `MAIN` is the main output."""


class Metrics(Protocol):
    """Counters and gauges of one step."""

    def add(self, name: str, amount: float = 1) -> None:
        """Count up."""

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""


@dataclass(frozen=True, slots=True)
class Context:
    """All that a source or sink is given beside its configuration.

    ``id`` is unique and stable (``pipeline.step``): client ids and commit tokens go by it.
    ``epoch`` grows with every start on the state file ``store``; 0: nobody is to be kept out.
    """

    id: str
    log: logging.Logger
    clock: Clock
    metrics: Metrics
    store: str = ""
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Payloads:
    """Payloads that arrived together, not yet decoded: a list, or `Pieces` of what was read.

    ``columns`` holds metadata, one value a payload (``topic``, ``rssi``): lists of strings or
    numeric arrays; ``received`` is the wall clock in ns when they were read; ``raw`` is what the
    journal keeps, and ``Source.unpack`` turns back into the same payloads. ``refused`` says of a
    block of nothing but bad ones (a damaged line of a CSV file) why each cannot be read: they
    become dead letters, and no codec sees them.
    """

    payloads: Sequence[bytes]
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    received: int = 0
    raw: bytes = b""
    refused: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """The number of payloads."""
        return len(self.payloads)


@dataclass(frozen=True, slots=True)
class Token:
    """Names the last batch a sink has made durable: written in the sink's own transaction.

    ``store`` identifies the state file the number belongs to; ``seq`` never falls, and says
    nothing else to a sink; ``epoch`` is that of the start that wrote it.
    """

    store: str
    seq: int
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class PayloadIds:
    """A column of a source's payloads that names each, so that one which comes again is dropped.

    The column goes no further. Names are remembered for ``within`` ns, and ``most`` of them.
    """

    column: str
    within: int
    most: int


C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class About:
    """What `component` wrote down about a class."""

    name: str
    shorthand: str = ""
    extra: str = ""
    examples: tuple[str, ...] = ()


@dataclass_transform(kw_only_default=False, field_specifiers=(option, state))
def component(
    name: str, *, shorthand: str = "", extra: str = "", examples: Sequence[str] = ()
) -> Callable[[type[C]], type[C]]:
    """Make a class a component called ``name`` in YAML.

    ``shorthand`` is the field that takes the whole value when it is not a mapping of fields
    (``where: x > 1``); ``extra`` is the pip extra that brings what it imports; ``examples`` are
    YAML snippets of its use, run by the tests. Values given to the constructor are converted by
    the field's annotation; a wrong one raises `ConfigError`.
    """

    def decorate(cls: type[C]) -> type[C]:
        made = dataclass(repr=True, eq=True)(cls)
        made.about = About(name, shorthand, extra, tuple(examples))  # type: ignore[attr-defined]
        return made

    return decorate


class Component(ABC):
    """What sources, operators, sinks, codecs and tables have in common."""

    about: ClassVar[About]
    migrations: ClassVar[Mapping[int, Callable[[State], State]]] = {}
    """Version of saved state → what makes a newer one of it; `restore` gets the newest."""

    def __post_init__(self) -> None:
        """Convert what was given to what the annotations say, then `check`."""
        convert_fields(self)
        self.check()

    def check(self) -> None:
        """Raise `ConfigError` where fields do not fit together."""

    def fresh(self) -> Self:
        """The same configuration without running state, so that a spec stays a value."""
        return cast("Self", dataclasses.replace(cast("Any", self)))

    def label(self) -> str:
        """A few words for a picture of the pipeline: its name and its first plain settings."""
        words = [self.about.name]
        for name, field in options(type(self)).items():
            value = getattr(self, name)
            plain = isinstance(value, str | tuple) and name != "url"
            if plain and value and value != field.default:
                words.append(value if isinstance(value, str) else " ".join(map(str, value)))
        return " ".join(words[:3])[:60]


class Source(Component):
    """Where rows come from.

    ``replayable``: reading can begin again at a `position`, so nothing is journalled.
    """

    replayable: ClassVar[bool] = False
    columns: ClassVar[Mapping[str, str]] = {}
    """Columns it adds to what the codec gives: name → what it holds."""
    gives_rows: bool = False
    """Whether it gives batches itself, so that no codec is used."""
    wanted: frozenset[str] | None = None
    """The columns that are used (None is all); set by the graph before ``open``."""
    resends: bool = False
    """Whether the other side keeps what it sent until it is acknowledged."""
    silence: float | None = None
    """Seconds without anything new after which the other side may be waiting for an answer.

    0: it always waits for each acknowledgement; None: it never does. May change with what comes.
    """
    gather_for: float = 0.001
    """Seconds for which it may gather what comes before it hands that on.

    The runtime says so before ``open`` and whenever it changes: longer where nobody waits for a
    single row, as what is read is journalled or only windows take it.
    """

    def schema(self) -> Schema:
        """The columns it gives beside those of the codec."""
        return Schema.of_kinds(dict.fromkeys(self.columns, "any"))

    def payload_ids(self) -> PayloadIds | None:
        """What names its payloads, where the other side may send one again."""
        return None

    def beside(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """All columns it adds to one payload where some are known: a topic gives its levels.

        Tests of pipelines ask this instead of opening it. Raises `ConfigError` where such a
        payload would never come.
        """
        return known

    @abstractmethod
    async def open(self, ctx: Context, resume: Position | None) -> None:
        """Connect; ``resume`` is the position to go on from (replayable sources).

        Raises `Disconnected` to be tried again later, `Fatal` when it can never work.
        """

    @abstractmethod
    def batches(self) -> AsyncIterator[Payloads | Batch]:
        """Everything that arrives, each item as it came; ends when a bounded source is done."""

    def position(self) -> Position:
        """Just after the last item given out."""
        return {}

    async def commit(self, items: int) -> None:
        """The first ``items`` items given out since ``open`` are durable: acknowledge them."""

    def unpack(self, raw: bytes, received: int) -> Payloads:
        """The payloads of a journalled block (sources that cannot replay)."""
        raise NotImplementedError

    def recall(self, blocks: Iterable[bytes]) -> None:
        """Before ``open``: the journalled blocks that the other side may send again."""

    def stop(self) -> bool:
        """Read no more: `batches` gives what was read already, and ends.

        False: there is nothing that could be lost, `batches` is simply left.
        """
        return False

    def total(self) -> tuple[int, int] | None:
        """(done, all) of a bounded source in any unit, for a progress bar."""
        return None

    @abstractmethod
    async def close(self) -> None:
        """Release everything; safe to call twice and after a failed ``open``."""


class Operator(Component):
    """Columns in, columns out: synchronous, pure, never reads a clock.

    ``ports`` names its side outputs; where they depend on the configuration, `check` sets them.
    """

    ports: tuple[str, ...] = ()
    gathers: ClassVar[bool] = False
    """Whether rows stay inside until the watermark passes (windows do)."""
    holds: ClassVar[bool] = False
    """Whether rows that pass unchanged are held back until the watermark has passed them."""

    def infer(self, schema: Schema) -> Schema:
        """The columns that leave, given those that enter; `ConfigError` for unknown names."""
        return schema

    def infer_roughly(self, schema: Schema) -> Schema:
        """The columns that leave, as far as it can be said although `infer` found problems."""
        return Schema.unknown()

    def port_schema(self, port: str, schema: Schema) -> Schema:
        """The columns that leave by a side port."""
        return schema

    def uses(self) -> Mapping[str, ColumnKind]:
        """The columns it reads, with the kind it needs of each."""
        return {}

    def beside(self, folder: str) -> Self:
        """Itself as read from a pipeline file in ``folder``, where files that belong to it lie."""
        return self

    def passes(self, wanted: frozenset[str] | None) -> frozenset[str] | None:
        """The columns that must enter, beside those of `uses`, so that ``wanted`` can leave.

        None stands for all columns, and is the safe answer.
        """
        return None

    def keys(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The columns that identify a row that leaves, given those that identify one coming."""
        return keys

    @abstractmethod
    def process(self, batch: Batch) -> Outputs:
        """The rows that leave because ``batch`` came."""

    def advance(self, watermark: int) -> Outputs:
        """The rows that leave because no row before ``watermark`` (ns) is awaited any more."""
        return ()

    def behind(self) -> int:
        """How far behind the watermark (ns) rows that came in time may leave.

        What follows goes by a watermark that is so much less, so that none of them is late there.
        """
        return 0

    def due(self) -> int | None:
        """The watermark (ns) at which rows will next leave, where that is known."""
        return None

    def state_bytes(self) -> int:
        """The bytes of state it holds, cheaply: texts are reckoned, not measured."""
        return 0

    def state_keys(self) -> int:
        """How many keys it holds state of, where it has keys."""
        return 0

    def grows(self, batch: Batch) -> NDArray[np.bool_] | None:
        """The rows that would make its state larger, those of new keys; None: there are none.

        Asked before `process` while memory is full: these rows leave by the port `OVERFLOW`.
        """
        return None

    def snapshot(self) -> State | None:
        """All it must remember, as arrays and JSON values; None when it remembers nothing."""
        return None

    def restore(self, saved: State) -> None:
        """Go on from a snapshot, in the state of just after it."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class State:
    """A snapshot: JSON values, arrays and a version; what it holds must not change afterwards."""

    version: int
    meta: Mapping[str, Any]
    arrays: Mapping[str, Any]


class Sink(Component):
    """Where rows go.

    ``delivery`` is ``transactional`` (rows and token in one transaction), ``idempotent`` (writing
    a row again changes nothing) or ``at_least_once`` (a row may be there twice after a crash).
    """

    delivery: ClassVar[SinkDelivery]
    how: ClassVar[str] = ""
    """In a few words why its delivery holds, where that is not for the usual reason."""
    fences: ClassVar[bool] = False
    """Whether `open` claims the place for ``ctx.epoch``, so that an older worker is `Fenced`."""
    ordered: ClassVar[bool] = True
    """Whether whoever reads there sees the order of writing: a topic and a file, not a table."""

    def accepts(self, schema: Schema, keys: Sequence[str]) -> None:
        """At load: raise `ConfigError` where rows of this shape cannot be written."""

    def owns(self) -> str:
        """What no other sink may write to, such as the path of a file; empty: nothing."""
        return ""

    def overwrites(self, keys: Sequence[str]) -> bool:
        """Whether writing rows with these keys again leaves what was there, tokens apart.

        Asked before rows are made again from an older checkpoint because the newest is damaged.
        """
        return self.delivery == "idempotent"

    @abstractmethod
    async def open(self, ctx: Context) -> Token | None:
        """Connect; a transactional sink returns the last token it committed for ``ctx.id``.

        Raises `Held` where another process holds the place: soon, not after a long wait.
        """

    @abstractmethod
    async def write(self, batch: Batch) -> None:
        """Take the rows; they need not be durable before ``flush``.

        Raises `Rejected` for rows that can never be written: all others were taken.
        """

    @abstractmethod
    async def flush(self, token: Token | None) -> None:
        """Make everything written durable, with ``token`` in the same transaction if it can.

        Raises `Fenced` where a later worker has claimed the place; nothing is durable then.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release everything; what was not flushed is lost. Safe to call twice."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a codec made of payloads: columns of the good ones and why the others are not.

    ``good`` tells for each of the ``count`` rows which payload it came from, in order, or is None
    where every payload gave one row; a payload of many rows is there many times, and is rejected
    whole. ``from_arrival`` marks the rows in which a time column counts from the arrival of the
    payload: there it holds the distance to it, counted from the epoch.
    """

    columns: Mapping[str, Any]
    count: int
    good: Any | None = None
    rejected: Mapping[int, str] = dataclasses.field(default_factory=dict)
    from_arrival: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Codec(Component):
    """Bytes to columns and back.

    A codec that learns the types of columns keeps what it learnt in its snapshot, so that a
    replay decodes as the first run did.
    """

    def schema(self) -> Schema:
        """The columns it gives, as far as they are known before any data came."""
        return Schema.unknown()

    def want(self, columns: frozenset[str] | None, kinds: Mapping[str, ColumnKind]) -> None:
        """The columns the pipeline uses (None is all), and the kinds it needs where it cares."""

    @property
    def absent(self) -> Mapping[str, str]:
        """Columns that are wanted but never came, with a hint at what they may be called."""
        return {}

    @abstractmethod
    def decode(self, payloads: Sequence[bytes]) -> Decoded:
        """Payloads to columns; a bad payload is rejected, its neighbours are not touched."""

    def state_bytes(self) -> int:
        """The bytes of the texts it remembers, reckoned."""
        return 0

    def shrink(self) -> None:
        """Forget texts: memory is short. Called between two blocks."""

    @abstractmethod
    def encode(self, batch: Batch) -> list[bytes]:
        """One payload a row, or a single one where the codec was told to write rows together."""

    def snapshot(self) -> State | None:
        """What it learnt from the data."""
        return None

    def restore(self, saved: State) -> None:
        """Go on with what was learnt before."""
        raise NotImplementedError

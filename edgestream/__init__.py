"""edgestream: async event-stream processing for the edge.

Everything public is here. What only some pipelines need is imported when it is first used, so that
``import edgestream`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgestream._version import __version__
from edgestream.clock import Clock, ManualClock, SystemClock
from edgestream.component import (
    MAIN,
    Codec,
    Component,
    Context,
    Decoded,
    Metrics,
    Operator,
    Outputs,
    PayloadIds,
    Payloads,
    Position,
    Sink,
    SinkDelivery,
    Source,
    State,
    Token,
    component,
)
from edgestream.config.fields import option, state
from edgestream.config.values import Bytes, Duration, Nanos, Secret, Size, nanos, nbytes
from edgestream.errors import (
    EXIT_CONFIG,
    EXIT_IO,
    EXIT_LOCKED,
    EXIT_PERMISSION,
    ComponentError,
    ConfigError,
    Disconnected,
    EdgestreamError,
    Fatal,
    Fenced,
    Held,
    Problem,
    Rejected,
    Retry,
    StoreError,
    StoreLocked,
    did_you_mean,
)
from edgestream.schema import ColumnKind, Schema

if TYPE_CHECKING:
    from edgestream.aggregate import (
        Aggregate,
        all,  # noqa: A004 - the words of the grammar
        any,  # noqa: A004
        argmax,
        argmin,
        collect,
        correlation,
        count,
        count_distinct,
        count_if,
        delta,
        ewma,
        fft_amplitude,
        fft_peak,
        first,
        histogram,
        integral,
        intercept,
        last,
        max,  # noqa: A004 - the word of the grammar
        mean,
        median,
        min,  # noqa: A004
        mode,
        p50,
        p90,
        p95,
        p99,
        quantile,
        rate,
        rms,
        slope,
        stddev,
        sum,  # noqa: A004
        time_weighted_mean,
        top_k,
        variance,
        zero_crossings,
    )
    from edgestream.batch import (
        Array,
        Batch,
        Column,
        Dictionary,
        Strings,
        concat,
        from_rows,
        to_python,
    )
    from edgestream.building import Pipeline, pipeline
    from edgestream.codecs.arrow import Arrow
    from edgestream.codecs.cbor import Cbor
    from edgestream.codecs.columnar import Columnar
    from edgestream.codecs.csv import Csv
    from edgestream.codecs.json import Json
    from edgestream.codecs.msgpack import Msgpack
    from edgestream.codecs.raw import Raw
    from edgestream.codecs.senml import Senml
    from edgestream.codecs.struct import Struct
    from edgestream.eventid import EventId
    from edgestream.eventtime import Time
    from edgestream.expr import Expr
    from edgestream.operators.absent import Absent
    from edgestream.operators.anomaly import Anomaly
    from edgestream.operators.bloom import Bloom
    from edgestream.operators.changed import Changed
    from edgestream.operators.deadband import Deadband
    from edgestream.operators.dedupe import Dedupe
    from edgestream.operators.drop import Drop
    from edgestream.operators.explode import Explode
    from edgestream.operators.fill import Fill
    from edgestream.operators.function import Use, operator
    from edgestream.operators.interpolate import Interpolate
    from edgestream.operators.join import Join
    from edgestream.operators.lag import Lag
    from edgestream.operators.lookup import Lookup
    from edgestream.operators.rename import Rename
    from edgestream.operators.route import Route
    from edgestream.operators.sample import Sample
    from edgestream.operators.select import Select
    from edgestream.operators.set import Set
    from edgestream.operators.smooth import Smooth
    from edgestream.operators.sort import Sort
    from edgestream.operators.throttle import Throttle
    from edgestream.operators.where import Where
    from edgestream.operators.window import Window
    from edgestream.pieces import Pieces
    from edgestream.runtime.run import run, run_async
    from edgestream.sinks.file import FileSink
    from edgestream.sinks.sqlite import Sqlite
    from edgestream.sinks.stdout import Stdout
    from edgestream.sources.file import File
    from edgestream.sources.generate import Generate
    from edgestream.spec import DeadLetters, PipelineSpec, Spool
    from edgestream.tables.file import FileTable
    from edgestream.tables.sqlite import SqliteTable
    from edgestream.tables.table import Cells, Table
    from edgestream_connectors.http import Http
    from edgestream_connectors.lora_serial import LoraSerial
    from edgestream_connectors.mqtt import Mqtt, MqttSink
    from edgestream_connectors.postgres import Postgres, PostgresTable
    from edgestream_connectors.redis import Redis

_LATER = {
    "Absent": "edgestream.operators.absent",
    "Aggregate": "edgestream.aggregate",
    "Anomaly": "edgestream.operators.anomaly",
    "Array": "edgestream.batch",
    "Arrow": "edgestream.codecs.arrow",
    "Batch": "edgestream.batch",
    "Bloom": "edgestream.operators.bloom",
    "Cbor": "edgestream.codecs.cbor",
    "Cells": "edgestream.tables.table",
    "Changed": "edgestream.operators.changed",
    "Column": "edgestream.batch",
    "Columnar": "edgestream.codecs.columnar",
    "Csv": "edgestream.codecs.csv",
    "DeadLetters": "edgestream.spec",
    "Deadband": "edgestream.operators.deadband",
    "Dedupe": "edgestream.operators.dedupe",
    "Dictionary": "edgestream.batch",
    "Drop": "edgestream.operators.drop",
    "EventId": "edgestream.eventid",
    "Explode": "edgestream.operators.explode",
    "Expr": "edgestream.expr",
    "File": "edgestream.sources.file",
    "FileSink": "edgestream.sinks.file",
    "FileTable": "edgestream.tables.file",
    "Fill": "edgestream.operators.fill",
    "Generate": "edgestream.sources.generate",
    "Http": "edgestream_connectors.http",
    "Interpolate": "edgestream.operators.interpolate",
    "Join": "edgestream.operators.join",
    "Json": "edgestream.codecs.json",
    "Lag": "edgestream.operators.lag",
    "Lookup": "edgestream.operators.lookup",
    "LoraSerial": "edgestream_connectors.lora_serial",
    "Mqtt": "edgestream_connectors.mqtt",
    "MqttSink": "edgestream_connectors.mqtt",
    "Msgpack": "edgestream.codecs.msgpack",
    "Pieces": "edgestream.pieces",
    "Pipeline": "edgestream.building",
    "PipelineSpec": "edgestream.spec",
    "Postgres": "edgestream_connectors.postgres",
    "PostgresTable": "edgestream_connectors.postgres",
    "Raw": "edgestream.codecs.raw",
    "Redis": "edgestream_connectors.redis",
    "Rename": "edgestream.operators.rename",
    "Route": "edgestream.operators.route",
    "Sample": "edgestream.operators.sample",
    "Select": "edgestream.operators.select",
    "Senml": "edgestream.codecs.senml",
    "Set": "edgestream.operators.set",
    "Smooth": "edgestream.operators.smooth",
    "Sort": "edgestream.operators.sort",
    "Spool": "edgestream.spec",
    "Sqlite": "edgestream.sinks.sqlite",
    "SqliteTable": "edgestream.tables.sqlite",
    "Stdout": "edgestream.sinks.stdout",
    "Strings": "edgestream.batch",
    "Struct": "edgestream.codecs.struct",
    "Table": "edgestream.tables.table",
    "Throttle": "edgestream.operators.throttle",
    "Time": "edgestream.eventtime",
    "Use": "edgestream.operators.function",
    "Where": "edgestream.operators.where",
    "Window": "edgestream.operators.window",
    "all": "edgestream.aggregate",
    "any": "edgestream.aggregate",
    "argmax": "edgestream.aggregate",
    "argmin": "edgestream.aggregate",
    "collect": "edgestream.aggregate",
    "concat": "edgestream.batch",
    "correlation": "edgestream.aggregate",
    "count": "edgestream.aggregate",
    "count_distinct": "edgestream.aggregate",
    "count_if": "edgestream.aggregate",
    "delta": "edgestream.aggregate",
    "ewma": "edgestream.aggregate",
    "fft_amplitude": "edgestream.aggregate",
    "fft_peak": "edgestream.aggregate",
    "first": "edgestream.aggregate",
    "from_rows": "edgestream.batch",
    "histogram": "edgestream.aggregate",
    "integral": "edgestream.aggregate",
    "intercept": "edgestream.aggregate",
    "last": "edgestream.aggregate",
    "max": "edgestream.aggregate",
    "mean": "edgestream.aggregate",
    "median": "edgestream.aggregate",
    "min": "edgestream.aggregate",
    "mode": "edgestream.aggregate",
    "operator": "edgestream.operators.function",
    "p50": "edgestream.aggregate",
    "p90": "edgestream.aggregate",
    "p95": "edgestream.aggregate",
    "p99": "edgestream.aggregate",
    "pipeline": "edgestream.building",
    "quantile": "edgestream.aggregate",
    "rate": "edgestream.aggregate",
    "rms": "edgestream.aggregate",
    "run": "edgestream.runtime.run",
    "run_async": "edgestream.runtime.run",
    "slope": "edgestream.aggregate",
    "stddev": "edgestream.aggregate",
    "sum": "edgestream.aggregate",
    "time_weighted_mean": "edgestream.aggregate",
    "to_python": "edgestream.batch",
    "top_k": "edgestream.aggregate",
    "variance": "edgestream.aggregate",
    "zero_crossings": "edgestream.aggregate",
}

__all__ = [
    "EXIT_CONFIG",
    "EXIT_IO",
    "EXIT_LOCKED",
    "EXIT_PERMISSION",
    "MAIN",
    "Absent",
    "Aggregate",
    "Anomaly",
    "Array",
    "Arrow",
    "Batch",
    "Bloom",
    "Bytes",
    "Cbor",
    "Cells",
    "Changed",
    "Clock",
    "Codec",
    "Column",
    "ColumnKind",
    "Columnar",
    "Component",
    "ComponentError",
    "ConfigError",
    "Context",
    "Csv",
    "DeadLetters",
    "Deadband",
    "Decoded",
    "Dedupe",
    "Dictionary",
    "Disconnected",
    "Drop",
    "Duration",
    "EdgestreamError",
    "EventId",
    "Explode",
    "Expr",
    "Fatal",
    "Fenced",
    "File",
    "FileSink",
    "FileTable",
    "Fill",
    "Generate",
    "Held",
    "Http",
    "Interpolate",
    "Join",
    "Json",
    "Lag",
    "Lookup",
    "LoraSerial",
    "ManualClock",
    "Metrics",
    "Mqtt",
    "MqttSink",
    "Msgpack",
    "Nanos",
    "Operator",
    "Outputs",
    "PayloadIds",
    "Payloads",
    "Pieces",
    "Pipeline",
    "PipelineSpec",
    "Position",
    "Postgres",
    "PostgresTable",
    "Problem",
    "Raw",
    "Redis",
    "Rejected",
    "Rename",
    "Retry",
    "Route",
    "Sample",
    "Schema",
    "Secret",
    "Select",
    "Senml",
    "Set",
    "Sink",
    "SinkDelivery",
    "Size",
    "Smooth",
    "Sort",
    "Source",
    "Spool",
    "Sqlite",
    "SqliteTable",
    "State",
    "Stdout",
    "StoreError",
    "StoreLocked",
    "Strings",
    "Struct",
    "SystemClock",
    "Table",
    "Throttle",
    "Time",
    "Token",
    "Use",
    "Where",
    "Window",
    "__version__",
    "all",
    "any",
    "argmax",
    "argmin",
    "collect",
    "component",
    "concat",
    "correlation",
    "count",
    "count_distinct",
    "count_if",
    "delta",
    "did_you_mean",
    "ewma",
    "fft_amplitude",
    "fft_peak",
    "first",
    "from_rows",
    "histogram",
    "integral",
    "intercept",
    "last",
    "max",
    "mean",
    "median",
    "min",
    "mode",
    "nanos",
    "nbytes",
    "operator",
    "option",
    "p50",
    "p90",
    "p95",
    "p99",
    "pipeline",
    "quantile",
    "rate",
    "rms",
    "run",
    "run_async",
    "slope",
    "state",
    "stddev",
    "sum",
    "time_weighted_mean",
    "to_python",
    "top_k",
    "variance",
    "zero_crossings",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'edgestream' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)

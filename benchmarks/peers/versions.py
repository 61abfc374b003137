"""The versions the peers are measured in, and what each is built from."""

from __future__ import annotations

TELEGRAF = "v1.37.2"
BENTO = "v1.10.0"
NODE_RED = "4.1.15"

#: The Python peers, in an environment of their own.
PYTHON = (
    "bytewax==0.21.1",
    "streamz==0.6.6",
    "pandas==3.1.1",
    "polars==2.1.0",
    "duckdb==2.0.0",
    "msgspec==0.22.0",
)

#: PyFlink in one of its own: it wants an old numpy.
PYFLINK = ("apache-flink==2.3.0",)

#: Telegraf with what the cases use and nothing else.
TELEGRAF_TAGS = (
    "custom",
    "inputs.mqtt_consumer",
    "aggregators.basicstats",
    "outputs.discard",
    "outputs.sql",
    "outputs.mqtt",
    "parsers.json",
    "parsers.json_v2",
    "processors.scale",
    "processors.starlark",
    "serializers.json",
)

#: Bento's own components are chosen by import; this is the whole program.
BENTO_MAIN = """\
package main

import (
	"context"

	"github.com/warpstreamlabs/bento/public/service"

	_ "github.com/warpstreamlabs/bento/public/components/io"
	_ "github.com/warpstreamlabs/bento/public/components/mqtt"
	_ "github.com/warpstreamlabs/bento/public/components/pure"
	_ "github.com/warpstreamlabs/bento/public/components/pure/extended"
	_ "github.com/warpstreamlabs/bento/public/components/sql/base"
	_ "modernc.org/sqlite"
)

func main() { service.RunCLI(context.Background()) }
"""

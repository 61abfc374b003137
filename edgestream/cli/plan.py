"""``edgestream plan``: the graph of a pipeline, and what each source-sink pair guarantees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgestream.cli.load import allowed_modules, load_specs
from edgestream.codecs.json import Json
from edgestream.delivery import agreed, pairs
from edgestream.graph import Graph, build
from edgestream.spec import PipelineSpec, SinkSpec


@click.command("plan")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--allow-module",
    "modules",
    multiple=True,
    metavar="PACKAGE",
    help="A package whose functions 'use:' may name.",
)
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def command(paths: tuple[Path, ...], modules: tuple[str, ...], output: str) -> None:
    """Show what the pipelines in PATHS will do: their graph and their guarantees.

    Example:  edgestream plan pipelines/weather.yaml
    """
    allowed = allowed_modules(modules)
    plans = [describe(spec, build(spec, Json(), allowed)) for spec in load_specs(paths, allowed)]
    if output == "json":
        click.echo(json.dumps(plans, indent=2))
        return
    for plan in plans:
        show(plan)


def describe(spec: PipelineSpec, graph: Graph) -> dict[str, Any]:
    """The plan of a pipeline as JSON values."""
    nodes = [
        *((name, entry.component, entry.targets) for name, entry in graph.entries.items()),
        *((node.id, node.operator, node.targets) for node in graph.nodes.values()),
        *((name, exit_.component, {}) for name, exit_ in graph.exits.items()),
    ]
    return {
        "name": spec.name,
        "delivery": agreed(spec),
        "checkpoint": str(spec.checkpoint),
        "nodes": [
            {"id": name, "what": component.label(), "to": targets}
            for name, component, targets in nodes
        ],
        "guarantees": [
            {
                "source": p.source,
                "sink": p.sink,
                "delivery": p.delivery,
                "reason": p.reason,
                "but": p.but,
            }
            for p in pairs(spec)
        ],
        "when_unreachable": {name: away(sink) for name, sink in spec.sinks.items()},
    }


def show(plan: dict[str, Any]) -> None:
    """Print a plan for people."""
    click.secho(f"{plan['name']}  ", bold=True, nl=False)
    click.echo(f"delivery {plan['delivery']}, checkpoint every {plan['checkpoint']}")
    width = max(len(node["id"]) for node in plan["nodes"])
    for node in plan["nodes"]:
        targets = [
            f"{target} ({port})" if port else target
            for port, names in node["to"].items()
            for target in names
        ]
        arrow = f"  → {', '.join(targets)}" if targets else ""
        click.echo(f"  {node['id']:<{width}}  {node['what']}{arrow}")
    for pair in plan["guarantees"]:
        but = f", {pair['but']}" if pair["but"] else ""
        reason = pair["reason"]
        click.echo(f"  {pair['source']} → {pair['sink']}: {pair['delivery']} ({reason}){but}")
    for name, text in plan["when_unreachable"].items():
        click.echo(f"  {name} away: {text}")


def away(sink: SinkSpec) -> str:
    """What happens while a sink cannot be reached."""
    if sink.when_unreachable == "wait":
        return "reading stops until it is back"
    text = f"its rows wait in the state file, {sink.spool}"
    order = "new rows go first" if sink.order == "live_first" else "all go in their order"
    return f"{text}; after that {order}"

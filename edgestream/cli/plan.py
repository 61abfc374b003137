"""``edgestream plan``: the graph of a pipeline, and what each source-sink pair guarantees."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import click

from edgestream.cli.load import allowed_modules, load_specs
from edgestream.cli.options import modules_option, state_option
from edgestream.cli.worker import default_folder
from edgestream.codecs.json import Json
from edgestream.delivery import agreed, durability, pairs
from edgestream.errors import StoreError
from edgestream.graph import Graph, build
from edgestream.runtime.change import left_behind
from edgestream.saved import fates
from edgestream.spec import PipelineSpec, SinkSpec
from edgestream.store.checkpoints import left, load
from edgestream.store.opening import reader


@click.command("plan")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@modules_option()
@state_option("Where state files live; what becomes of saved state is shown.")
@click.option("--output", default="text", type=click.Choice(["text", "json"]), show_default=True)
def command(
    paths: tuple[Path, ...], modules: tuple[str, ...], state_dir: Path | None, output: str
) -> None:
    """Show what the pipelines in PATHS will do: their graph, guarantees, and saved state.

    Saved state is kept, lost (then a worker does not start without --accept-loss NAME), or new: a
    step that begins empty beside others that go on.

    Example:  edgestream plan pipelines/weather.yaml
    """
    allowed = allowed_modules(modules)
    folder = state_dir or default_folder()
    plans = []
    for spec in load_specs(paths, allowed):
        graph = build(spec, Json(), allowed)
        plans.append({**describe(spec, graph), "state": state_of(graph, folder)})
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
        "durability": durability(spec),
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


def state_of(graph: Graph, folder: Path) -> list[dict[str, str]] | None:
    """What becomes of the saved state of a pipeline; None where there is none."""
    path = folder / f"{graph.spec.name}.db"
    if not path.exists():
        return None
    try:
        with contextlib.closing(reader(path)) as connection:
            resume = load(connection)
            unprocessed, waiting = left(connection)
    except sqlite3.Error as error:
        raise StoreError(f"cannot look into {path}: {error}") from error
    found = [
        {
            "name": fate.name,
            "fate": fate.what,
            "why": "; ".join(problem.message for problem in fate.problems),
        }
        for fate in fates(graph, resume.states)
    ]
    gone = left_behind(graph, resume.positions, unprocessed, waiting)
    found += [{"name": one.name, "fate": "lost", "why": one.what} for one in gone]
    found += [{"name": "", "fate": "damaged", "why": what} for what in resume.damaged]
    return found


def show(plan: dict[str, Any]) -> None:
    """Print a plan for people."""
    click.secho(f"{plan['name']}  ", bold=True, nl=False)
    words = f"delivery {plan['delivery']}, durability {plan['durability']}"
    click.echo(f"{words}, checkpoint every {plan['checkpoint']}")
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
    for one in plan["state"] or ():
        color = {"kept": "green", "new": None}.get(one["fate"], "red")
        click.echo("  state ", nl=False)
        click.secho(one["fate"], fg=color, nl=False)
        click.echo(f" {one['name']}" + (f": {one['why']}" if one["why"] else ""))
    if any(one["fate"] == "lost" for one in plan["state"] or ()):
        click.echo("  a worker does not start with this loss; --accept-loss NAME gives it up")


def away(sink: SinkSpec) -> str:
    """What happens while a sink cannot be reached."""
    if sink.when_unreachable == "wait":
        return "reading stops until it is back"
    text = f"its rows wait in the state file, {sink.spool}"
    order = "new rows go first" if sink.order == "live_first" else "all go in their order"
    return f"{text}; after that {order}"

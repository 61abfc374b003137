// The pipeline as boxes and arrows. Rebuilt only when its shape or the width changes.

import { layout } from "/layout.js";
import { el, mark, number, rate, say, svg } from "/format.js";

const TONES = { connected: "good", connecting: "warn", waiting: "warn", failed: "bad", ended: "idle" };

/** The tone (good, warn, bad, idle) of a node's state. */
export function tone(node) {
  if (!node.state) return node.message ? "bad" : "idle";
  return TONES[node.state] ?? "warn";
}

/** What people call a node: its name, or its component where it was only numbered. */
export function called(node) {
  return node.id === node.kind || /\.\d+$/.test(node.id) ? node.component : node.id;
}

export class Graph {
  constructor() {
    this.element = el("div", { class: "graph", tabindex: "0", role: "group", "aria-label": "Flow" });
    this.notes = el("ul", { class: "notes", role: "status" });
    this.shape = "";
  }

  update(pipeline, rates) {
    const width = this.element.clientWidth;
    const shape = JSON.stringify([
      width,
      pipeline.nodes.map((node) => [node.id, node.label, Object.keys(node.ports ?? {})]),
      pipeline.edges,
    ]);
    if (width && shape !== this.shape) {
      this.shape = shape;
      this.build(pipeline, width);
    }
    if (!this.shape) return;
    for (const node of pipeline.nodes) this.show(node);
    for (const [index, edge] of pipeline.edges.entries()) {
      const flow = rates.edge(edge);
      say(this.rates[index], rate(flow));
      mark(this.lines[index], "data-flowing", String(flow > 0));
    }
    this.explain(pipeline);
  }

  build(pipeline, width) {
    const plan = layout(pipeline, width);
    const picture = svg("svg", {
      width: plan.width,
      height: plan.height,
      viewBox: `0 0 ${plan.width} ${plan.height}`,
      role: "img",
      "aria-label": spoken(pipeline),
    });
    picture.append(
      svg("defs", {}, svg("marker", {
        id: "arrow", viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "8", markerHeight: "8",
        orient: "auto-start-reverse", markerUnits: "userSpaceOnUse",
      }, svg("path", { d: "M0.5 0.5 7.5 4 0.5 7.5z", class: "tip" }))),
    );
    this.lines = [];
    this.rates = [];
    const labels = [];
    for (const [index, edge] of pipeline.edges.entries()) {
      const { path, x, y, anchor } = plan.edges[index];
      const line = svg("path", { d: path, class: edge.port ? "edge side" : "edge", "marker-end": "url(#arrow)" });
      const label = svg("text", { x, y, "text-anchor": anchor, class: "flow" });
      const rateSpan = svg("tspan", { class: "rate" });
      if (edge.port) label.append(svg("tspan", { class: "port" }, edge.port + " "));
      label.append(rateSpan);
      picture.append(line);
      labels.push(label);
      this.lines.push(line);
      this.rates.push(rateSpan);
    }
    this.boxes = new Map();
    for (const node of pipeline.nodes) picture.append(this.box(node, plan.boxes.get(node.id)));
    picture.append(...labels);
    this.element.replaceChildren(picture);
  }

  box(node, { x, y, width, height }) {
    const title = svg("title");
    const dot = svg("circle", { cx: width - 14, cy: 15, r: 4, class: "dot" });
    const state = svg("text", { x: width - 23, y: 18.5, "text-anchor": "end", class: "state" });
    const detail = detailOf(node);
    const name = called(node);
    const below = name === node.component ? detail : `${node.component} ${detail}`;
    const parts = {
      group: svg("g", { transform: `translate(${x} ${y})`, class: `node ${node.kind}` }, title),
      title,
      state,
      ports: new Map(),
    };
    parts.group.append(
      svg("rect", { width, height, rx: 10, class: "frame" }),
      svg("rect", { x: 0.5, y: 12, width: 3, height: height - 24, rx: 1.5, class: "stripe" }),
      svg("text", { x: 14, y: 19, class: "kind" }, fit(kindOf(node), width - 104, "600 10px")),
      svg("text", { x: 14, y: 38, class: "name" }, fit(name, width - 28, "600 14px")),
      svg("text", { x: 14, y: 55, class: "label" }, fit(below, width - 26, "12px")),
      ...(node.kind === "operator" ? [] : [dot, state]),
    );
    let offset = 12;
    for (const port of Object.keys(node.ports ?? {})) {
      const chip = svg("text", { x: offset + 2, y: height - 9, class: "chip" });
      parts.ports.set(port, chip);
      parts.group.append(chip);
      offset += measure(port + " 00000 ", "12px") + 8;
    }
    this.boxes.set(node.id, parts);
    return parts.group;
  }

  show(node) {
    const parts = this.boxes.get(node.id);
    mark(parts.group, "data-tone", tone(node));
    say(parts.state, node.state ?? "");
    for (const [port, chip] of parts.ports) {
      const n = node.ports[port] ?? 0;
      say(chip, `${port} ${number(n)}`);
      mark(chip, "data-some", n > 0 ? (port === "late" ? "warn" : "bad") : "none");
    }
    say(parts.title, [`${node.component} ${detailOf(node)}`, `${node.rows_in} in, ${node.rows_out} out`,
      node.message].filter(Boolean).join("\n"));
  }

  /** What is wrong in words, under the picture: not everybody sees colours or tooltips. */
  explain(pipeline) {
    const wrong = pipeline.nodes.filter((node) => node.message);
    const text = wrong.map((node) => `${node.id} ${node.state} ${node.message}`).join("\n");
    if (this.notes.dataset.text === text) return;
    this.notes.dataset.text = text;
    this.notes.replaceChildren(...wrong.map((node) => el("li", { "data-tone": tone(node) },
      el("strong", {}, called(node)), ` ${node.message}`)));
  }
}

/** The label without the component's name, which stands above it. */
function detailOf(node) {
  const label = node.label ?? "";
  return label === node.component ? "" : label.startsWith(node.component + " ") ? label.slice(node.component.length + 1) : label;
}

function kindOf(node) {
  return { source: "SOURCE", operator: "STEP", sink: "SINK" }[node.kind] ?? node.kind.toUpperCase();
}

function spoken(pipeline) {
  const arrows = pipeline.edges.map((edge) => `${edge.from} to ${edge.to}${edge.port ? ` (${edge.port})` : ""}`);
  return `Flow of ${pipeline.name}: ${arrows.join(", ")}`;
}

let pen = null;
function measure(text, font) {
  pen ??= document.createElement("canvas").getContext("2d");
  pen.font = `${font} system-ui, sans-serif`;
  return pen.measureText(text).width;
}

function fit(text, width, font) {
  if (measure(text, font) <= width) return text;
  let end = text.length;
  while (end > 1 && measure(text.slice(0, end) + "…", font) > width) end -= 1;
  return text.slice(0, end).trimEnd() + "…";
}

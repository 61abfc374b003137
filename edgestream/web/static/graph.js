// The pipeline as boxes and arrows: layers from sources to sinks, left to right where there is
// room, top to bottom where there is not. Rebuilt only when its shape or the width changes.

import { el, mark, number, rate, say, svg } from "/format.js";

const BOX = { width: 188, min: 150, height: 66, ports: 24 };
const GAP = { layer: 68, minLayer: 52, down: 44, row: 18 };
const TONES = { connected: "good", connecting: "warn", waiting: "warn", failed: "bad", ended: "idle" };

/** The tone (good, warn, bad, idle) of a node's state. */
export function tone(node) {
  if (!node.state) return node.message ? "bad" : "idle";
  return TONES[node.state] ?? "warn";
}

/** What people call a node: its name, or its component where it was given none. */
export function called(node) {
  return node.id === node.kind ? node.component : node.id;
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

/** Where each box stands and each arrow runs. */
function layout(pipeline, width) {
  const depth = depths(pipeline);
  const layers = [];
  const slots = new Map();
  const place = (key, level, parents, size) => {
    const slot = { key, level, parents, size };
    slots.set(key, slot);
    (layers[level] ??= []).push(slot);
  };
  for (const node of pipeline.nodes) {
    const parents = pipeline.edges.filter((edge) => edge.to === node.id);
    const height = BOX.height + (Object.keys(node.ports ?? {}).length ? BOX.ports : 0);
    place(node.id, depth.get(node.id), parents.map((edge) => [edge.from, edge.port ? 0.4 : 0]), height);
  }
  // An arrow over several layers keeps a lane free in each, so that it crosses no box.
  const lanes = pipeline.edges.map((edge, index) => {
    const lane = [];
    let before = edge.from;
    for (let level = depth.get(edge.from) + 1; level < depth.get(edge.to); level += 1) {
      place(`${index}:${level}`, level, [[before, edge.port ? 0.4 : 0.2]], 14);
      before = `${index}:${level}`;
      lane.push(before);
    }
    return lane;
  });
  order(layers, slots);
  const across = layers.length * BOX.min + (layers.length - 1) * GAP.minLayer <= width;
  return across ? horizontal(pipeline, layers, slots, lanes, width) : vertical(pipeline, layers, slots, lanes, width);
}

/** A node's layer: one more than its farthest predecessor's. */
function depths(pipeline) {
  const depth = new Map(pipeline.nodes.map((node) => [node.id, 0]));
  for (let round = 0; round < pipeline.nodes.length; round += 1) {
    for (const edge of pipeline.edges) {
      if (depth.get(edge.to) <= depth.get(edge.from)) depth.set(edge.to, depth.get(edge.from) + 1);
    }
  }
  return depth;
}

/** Each layer in the order of its predecessors, side outputs below. */
function order(layers, slots) {
  for (const layer of layers) {
    for (const [index, slot] of layer.entries()) {
      const ranks = slot.parents.map(([key, shift]) => slots.get(key).rank + shift);
      slot.wish = ranks.length ? ranks.reduce((sum, rank) => sum + rank, 0) / ranks.length : index;
    }
    layer.sort((a, b) => a.wish - b.wish);
    layer.forEach((slot, index) => { slot.rank = index; });
  }
}

function horizontal(pipeline, layers, slots, lanes, width) {
  const n = layers.length;
  const gap = Math.max(GAP.minLayer, Math.min(GAP.layer, (width - n * BOX.width) / Math.max(1, n - 1)));
  const boxWidth = Math.max(BOX.min, Math.min(240, (width - (n - 1) * gap) / n));
  const tall = (layer) => layer.reduce((sum, slot) => sum + slot.size + GAP.row, -GAP.row);
  // Layers are centred on their boxes without the ports at the foot: a straight chain stays straight.
  const tops = layers.map((layer) => (Math.max(0, layer.at(-1).size - BOX.height) - tall(layer)) / 2);
  const top = Math.min(...tops);
  const height = Math.max(...layers.map((layer, level) => tops[level] - top + tall(layer))) + 8;
  for (const [level, layer] of layers.entries()) {
    let y = tops[level] - top + 4;
    for (const slot of layer) {
      Object.assign(slot, { x: level * (boxWidth + gap) + 1, y, width: boxWidth - 2, height: slot.size });
      y += slot.size + GAP.row;
    }
  }
  const middle = (slot) => slot.y + (slot.size > 14 ? BOX.height / 2 : 7);
  const edges = pipeline.edges.map((edge, index) => {
    const from = slots.get(edge.from);
    const to = slots.get(edge.to);
    // A side output leaves from its port, at the foot of the box.
    const start = [from.x + from.width, edge.port ? from.y + from.size - 14 : middle(from)];
    const stops = [...lanes[index].flatMap((key) => {
      const lane = slots.get(key);
      return [[lane.x, middle(lane)], [lane.x + lane.width, middle(lane)]];
    }), [to.x - 3, middle(to)]];
    return { path: curve([start, ...stops], true), ...beside(start, stops[0], merges(pipeline, edge)) };
  });
  return { width, height, boxes: slots, edges };
}

function merges(pipeline, { to }) {
  return pipeline.edges.filter((edge) => edge.to === to).length > 1;
}

/** Where an arrow's figure stands: at the end it shares with no other arrow, off the bend. */
function beside([x0, y0], [x1, y1], merging) {
  if (Math.abs(y1 - y0) < 2) return { x: (x0 + x1) / 2, y: y0 - 7, anchor: "middle" };
  const down = y1 > y0;
  return merging
    ? { x: x0 + 6, y: down ? y0 - 7 : y0 + 17, anchor: "start" }
    : { x: x1 - 8, y: down ? y1 + 17 : y1 - 8, anchor: "end" };
}

function vertical(pipeline, layers, slots, lanes, width) {
  let y = 4;
  for (const layer of layers) {
    const real = layer.filter((slot) => slot.size > 14).length;
    const free = width - 2 - (layer.length - 1) * 12 - (layer.length - real) * 14;
    const boxWidth = Math.min(layer.length === 1 ? 320 : 240, free / Math.max(1, real));
    const all = layer.reduce((sum, slot) => sum + (slot.size > 14 ? boxWidth : 14) + 12, -12);
    const high = Math.max(...layer.map((slot) => slot.size));
    let x = (width - all) / 2;
    for (const slot of layer) {
      const wide = slot.size > 14 ? boxWidth : 14;
      Object.assign(slot, { x, y, width: wide, height: slot.size > 14 ? slot.size : high });
      x += wide + 12;
    }
    y += high + GAP.down;
  }
  const centre = (slot) => slot.x + slot.width / 2;
  const edges = pipeline.edges.map((edge, index) => {
    const from = slots.get(edge.from);
    const to = slots.get(edge.to);
    const start = [centre(from) + (edge.port ? from.width / 4 : 0), from.y + from.height];
    const stops = [...lanes[index].flatMap((key) => {
      const lane = slots.get(key);
      return [[centre(lane), lane.y], [centre(lane), lane.y + lane.height]];
    }), [centre(to), to.y - 3]];
    const [x, y2] = stops[0];
    const right = (x + start[0]) / 2 >= centre(from) - 1;
    return {
      path: curve([start, ...stops], false),
      x: (x + start[0]) / 2 + (right ? 10 : -10),
      y: (start[1] + y2) / 2 + 4,
      anchor: right ? "start" : "end",
    };
  });
  return { width, height: y - GAP.down + 4, boxes: slots, edges };
}

function curve(points, across) {
  let path = `M${points[0]}`;
  for (let index = 1; index < points.length; index += 1) {
    const [x0, y0] = points[index - 1];
    const [x1, y1] = points[index];
    const half = across ? (x1 - x0) / 2 : (y1 - y0) / 2;
    path += across ? ` C${x0 + half} ${y0} ${x1 - half} ${y1} ${x1} ${y1}` : ` C${x0} ${y0 + half} ${x1} ${y1 - half} ${x1} ${y1}`;
  }
  return path;
}

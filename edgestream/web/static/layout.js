// Where boxes and arrows go: layers from sources to sinks, left to right where there is room, top
// to bottom where there is not.

const BOX = { width: 188, min: 150, height: 66, ports: 24 };
const GAP = { layer: 68, minLayer: 52, down: 44, row: 18 };

/** Where each box stands and each arrow runs. */
export function layout(pipeline, width) {
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

// One small chart for each aggregate of a sink, one line for each key, all with one legend.

import { el, number, say } from "/format.js";

const HEIGHT = 190;
export const LINES = 12;

/** A colour of the current theme. */
function paint(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Charts {
  constructor(name) {
    this.name = name;
    this.legend = el("ul", { class: "legend", "aria-label": `Lines of ${name}` });
    this.grid = el("div", { class: "charts" });
    this.plots = [];
    this.slots = new Map();
    this.shape = "";
    this.resizes = new ResizeObserver(() => this.fit());
    this.resizes.observe(this.grid);
    this.theme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => { this.shape = ""; };
    this.theme.addEventListener("change", this.repaint);
  }

  close() {
    this.resizes.disconnect();
    this.theme.removeEventListener("change", this.repaint);
    this.clear();
  }

  /** Show `values`, columns of numbers for each measure and line over the times `xs`. */
  update({ measures, lines, more, xs, values }) {
    const shape = JSON.stringify([measures, lines]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.build(measures, lines, more);
    }
    say(this.rest, more ? `+${more} more` : "");
    for (const [index, plot] of this.plots.entries()) plot.setData([xs, ...values[index]]);
    for (const [index, picture] of this.pictures.entries()) {
      const last = values[index].map((line) => line.findLast((value) => value !== null));
      const known = last.filter((value) => value !== undefined);
      const range = known.length ? `, now between ${number(Math.min(...known))} and ${number(Math.max(...known))}` : "";
      picture.setAttribute("aria-label", `${measures[index]} of ${lines.length} lines over time${range}`);
    }
  }

  build(measures, lines, more) {
    this.clear();
    const colours = lines.map((line) => paint(`--line-${this.slot(line, lines)}`));
    this.buttons = lines.map((line, index) => this.chip(line, colours[index], index));
    this.rest = el("li", { class: "rest muted" }, more ? `+${more} more` : "");
    this.legend.replaceChildren(...this.buttons, this.rest);
    this.legend.hidden = lines.length === 1 && lines[0] === "";
    this.pictures = [];
    const sync = uPlot.sync(this.name);
    for (const measure of measures) {
      const picture = el("div", { class: "plot", role: "img" });
      const tip = el("div", { class: "tip", hidden: true });
      this.grid.append(el("figure", { class: "chart" }, el("figcaption", {}, measure), picture));
      const plot = new uPlot(this.options(lines, colours, sync, tip), [[], ...lines.map(() => [])], picture);
      plot.over.append(tip);
      this.pictures.push(picture);
      this.plots.push(plot);
    }
    this.fit();
  }

  clear() {
    for (const plot of this.plots) plot.destroy();
    this.plots = [];
    this.grid.replaceChildren();
  }

  /** A line keeps its colour for as long as it is shown. */
  slot(line, lines) {
    for (const known of this.slots.keys()) if (!lines.includes(known)) this.slots.delete(known);
    if (!this.slots.has(line)) {
      const taken = new Set(this.slots.values());
      let free = 1;
      while (taken.has(free)) free += 1;
      this.slots.set(line, free);
    }
    return this.slots.get(line);
  }

  chip(line, colour, index) {
    const swatch = el("i", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour;
    const button = el("button", { type: "button", "aria-pressed": "false" }, swatch, line || "all");
    const focus = (on) => {
      for (const plot of this.plots) plot.setSeries(on ? index + 1 : null, { focus: true });
    };
    const pinned = () => this.legend.querySelector("[aria-pressed=true]");
    button.addEventListener("mouseenter", () => pinned() || focus(true));
    button.addEventListener("mouseleave", () => pinned() || focus(false));
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") === "false";
      pinned()?.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", String(on));
      focus(on);
    });
    return el("li", {}, button);
  }

  options(lines, colours, sync, tip) {
    const axis = {
      stroke: paint("--muted"),
      grid: { stroke: paint("--grid"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    return {
      width: 320,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      focus: { alpha: 0.15 },
      cursor: { sync: { key: sync.key, setSeries: false }, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { range: around }, y: { range: (_, low, high) => padded(low, high) } },
      axes: [
        { ...axis, space: 64, gap: 6, size: 32, grid: { show: false }, values: (_, ticks) => hours(ticks) },
        { ...axis, space: 28, gap: 6, size: 54, values: (_, ticks) => ticks.map(number) },
      ],
      series: [{}, ...lines.map((line, index) => ({
        label: line,
        stroke: colours[index],
        width: 1.75,
        points: { show: (plot, series) => plot.data[series].filter((value) => value !== null).length < 3, size: 5 },
      }))],
      hooks: { setCursor: [(plot) => hover(plot, lines, colours, tip)] },
    };
  }

  fit() {
    for (const plot of this.plots) {
      const width = plot.root.parentElement.clientWidth;
      if (width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }
}

/** All times; around a lone one a minute, where uPlot would show a day. */
function around({ data: [xs] }, low, high) {
  return xs.length === 1 ? [xs[0] - 30, xs[0] + 30] : [low, high];
}

function padded(low, high) {
  if (low === null) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

function hours(ticks) {
  const whole = ticks.every((seconds) => seconds % 60 === 0);
  return ticks.map((seconds) => new Date(seconds * 1000).toISOString().slice(11, whole ? 16 : 19));
}

/** The values under the pointer, highest first, beside the pointer. */
function hover(plot, lines, colours, tip) {
  const { idx, left } = plot.cursor;
  // Charts that only follow the pointer of another have no event of their own.
  tip.hidden = idx === null || idx === undefined || left < 0 || !plot.over.matches(":hover");
  if (tip.hidden) return;
  const rows = lines.map((line, index) => [plot.data[index + 1][idx], line || "all", colours[index]])
    .filter(([value]) => value !== null && value !== undefined)
    .sort((a, b) => b[0] - a[0]);
  tip.replaceChildren(
    el("b", {}, new Date(plot.data[0][idx] * 1000).toISOString().slice(11, 19)),
    ...rows.flatMap(([value, line, colour]) => {
      const swatch = el("i", { class: "swatch" });
      swatch.style.background = colour;
      return [el("span", {}, swatch, line), el("span", { class: "value" }, number(value))];
    }),
  );
  const right = left > plot.over.clientWidth / 2;
  tip.style.left = right ? "auto" : `${left + 14}px`;
  tip.style.right = right ? `${plot.over.clientWidth - left + 14}px` : "auto";
}

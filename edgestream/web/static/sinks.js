// What one sink has written lately: charts of its windows, a table, or why there is nothing yet.

import { Charts, LINES } from "/charts.js";
import { clock, duration, el, epoch, mark, plural, say } from "/format.js";
import { called, tone } from "/graph.js";

const WINDOWS = 60;
const TABLE = 10;
const KEPT = 5000;
const START = "window_start";

export class Sink {
  constructor(id) {
    this.id = id;
    this.next = 0;
    this.rows = new Map();
    this.arrived = 0;
    this.answer = { keys: [], columns: [], rows: [] };
    this.charts = null;
    this.state = el("span", { class: "pill" });
    this.title = el("h3");
    this.sub = el("span", { class: "muted" });
    this.blank = el("p", { class: "blank" });
    this.chartPlace = el("div");
    this.table = el("table");
    this.tablePlace = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Latest rows of ${id}` }, this.table);
    this.element = el("section", { class: "card sink" },
      el("header", {}, this.title, this.sub, this.state), this.blank, this.chartPlace, this.tablePlace);
  }

  close() {
    this.charts?.close();
  }

  restart() {
    this.rows.clear();
    this.next = 0;
  }

  /** Take in an answer of the rows endpoint; says whether the worker began anew. */
  take(answer) {
    if (answer.next < this.next) {
      this.restart();
      return true;
    }
    this.next = answer.next;
    this.answer = answer;
    const key = [...answer.keys, START].map((name) => answer.columns.indexOf(name)).filter((index) => index >= 0);
    for (const row of answer.rows) {
      // A window that is given again, with later rows in it, replaces what it was.
      const id = answer.columns.includes(START) ? JSON.stringify(key.map((index) => row[index])) : this.arrived;
      this.rows.delete(id);
      this.rows.set(id, row);
      this.arrived += 1;
    }
    for (const id of this.rows.keys()) {
      if (this.rows.size <= KEPT) break;
      this.rows.delete(id);
    }
    this.changed = answer.rows.length > 0 || this.changed;
    return false;
  }

  show(node, pipeline) {
    say(this.title, called(node));
    const label = node.label.startsWith(node.component) ? node.label : `${node.component} ${node.label}`;
    say(this.sub, `${label} · ${plural(node.rows_in, "row")}`);
    say(this.state, node.state ?? "");
    this.state.hidden = !node.state;
    mark(this.state, "data-tone", tone(node));
    const rows = [...this.rows.values()];
    this.blank.hidden = rows.length > 0;
    this.tablePlace.hidden = rows.length === 0;
    if (!rows.length) {
      say(this.blank, reason(node, pipeline));
      return;
    }
    this.chart(rows);
    if (this.changed) this.tabulate(rows);
    this.changed = false;
  }

  chart(rows) {
    const series = chartable(this.answer, rows);
    if (!series) return;
    if (!this.charts) {
      this.charts = new Charts(this.id);
      this.chartPlace.append(this.charts.legend, this.charts.grid);
    }
    this.charts.update(series);
  }

  tabulate(rows) {
    const { columns, keys } = this.answer;
    const numeric = columns.map((name, index) => !keys.includes(name) && rows.some((row) => typeof row[index] === "number"));
    const latest = rows.slice(-TABLE).reverse();
    const digits = columns.map((_, index) => Math.max(...latest.map((row) => decimals(row[index]))));
    const cell = (value, index) => {
      const time = epoch(value);
      return el("td", { class: numeric[index] ? "number" : null, title: time === null ? null : value },
        time === null ? shown(value, digits[index]) : clock(time));
    };
    this.table.replaceChildren(
      el("caption", { class: "muted" }, rows.length > TABLE ? `Latest ${TABLE} rows` : "Latest rows"),
      el("thead", {}, el("tr", {}, ...columns.map((name, index) => el("th", { scope: "col", class: numeric[index] ? "number" : null }, name)))),
      el("tbody", {}, ...latest.map((row) => el("tr", {}, ...row.map(cell)))),
    );
  }
}

function shown(value, digits) {
  const size = Math.abs(value);
  const plain = typeof value === "number" && digits <= 6 && size < 1e9 && (size === 0 || size >= 10 ** -digits);
  if (plain) return value.toFixed(digits);
  return typeof value === "object" && value !== null ? JSON.stringify(value) : value === null ? "–" : String(value);
}

/** The decimals that seven digits leave, so that a column can be read along its points. */
function decimals(value) {
  if (typeof value !== "number" || Number.isInteger(value)) return 0;
  return (String(Number(value.toPrecision(7))).split(".")[1] ?? "").length;
}

/** Rows as lines for charts; null where they have no windows or no numbers. */
function chartable({ keys, columns }, rows) {
  const start = columns.indexOf(START);
  if (start < 0) return null;
  const plain = (name) => !keys.includes(name) && name !== START && name !== "window_end";
  const measures = columns.filter((name, index) => plain(name) && rows.some((row) => typeof row[index] === "number"));
  if (!measures.length) return null;
  const parts = keys.map((name) => columns.indexOf(name)).filter((index) => index >= 0 && index !== start);
  const lines = new Map();
  const times = new Set();
  for (const row of rows) {
    const time = epoch(row[start]);
    if (time === null) continue;
    times.add(time);
    const name = parts.map((index) => String(row[index] ?? "–")).join(" · ");
    if (!lines.has(name)) lines.set(name, new Map());
    lines.get(name).set(time, row);
  }
  const xs = [...times].sort((a, b) => a - b).slice(-WINDOWS);
  const latest = (line) => Math.max(...line.keys());
  // The most recent keys first; among equals the order of the alphabet, which does not jump.
  const ranked = [...lines].map(([name, line]) => ({ name, line, latest: latest(line) }))
    .filter((one) => one.latest >= xs[0])
    .sort((a, b) => b.latest - a.latest || a.name.localeCompare(b.name, "en", { numeric: true }));
  const chosen = ranked.slice(0, LINES).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const values = measures.map((measure) => {
    const index = columns.indexOf(measure);
    return chosen.map(({ line }) => xs.map((x) => {
      const value = line.get(x)?.[index];
      return typeof value === "number" ? value : null;
    }));
  });
  return { measures, lines: chosen.map((one) => one.name), more: ranked.length - chosen.length, xs, values };
}

/** Why a sink has nothing to show, from what stands before it. */
function reason(node, pipeline) {
  if (["failed", "stopped"].includes(pipeline.state)) return "The pipeline ended before it wrote anything here.";
  if (node.rows_in > 0) return `${plural(node.rows_in, "row")} went here; none are kept to be shown.`;
  const before = upstream(node, pipeline);
  const sources = before.filter((one) => one.kind === "source");
  const lost = sources.find((one) => one.rows_out === 0 && one.state && !["connected", "ended"].includes(one.state));
  if (lost) return `Waiting for ${called(lost)}${lost.message ? `: ${lost.message}` : ` (${lost.state})`}.`;
  if (sources.every((one) => one.rows_out === 0)) return "Connected, and waiting for the first event.";
  const port = pipeline.edges.find((edge) => edge.to === node.id && edge.port)?.port;
  if (port) return `Nothing ${port} so far.`;
  const open = before.find((one) => typeof one.closes === "number");
  if (open && pipeline.watermark !== null) {
    const left = Math.max(1, Math.round(open.closes - pipeline.watermark));
    return `Events are coming in. The first window closes in about ${left < 60 ? `${left} s` : duration(left)}.`;
  }
  return before.some((one) => one.component === "window")
    ? "Events are coming in. The first window is still open."
    : "Events are coming in; none has got this far yet.";
}

function upstream(node, pipeline) {
  const found = new Set();
  const visit = (id) => {
    for (const edge of pipeline.edges) {
      if (edge.to === id && !found.has(edge.from)) {
        found.add(edge.from);
        visit(edge.from);
      }
    }
  };
  visit(node.id);
  return pipeline.nodes.filter((one) => found.has(one.id));
}

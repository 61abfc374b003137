// The live page: asks the worker once a second what it is doing, and shows one pipeline of it.

import { clock, count, duration, el, mark, number, rate, say, size } from "/format.js";
import { Graph } from "/graph.js";
import { Sink } from "/sinks.js";

const PERIOD = 1000;
const PATIENCE = 5000;
const RECENT = 5;
const MEMORY = 60;
const TOKEN = "edgestream-token";
const TONES = { running: "good", starting: "warn", stopping: "warn", stopped: "idle", failed: "bad" };
const byId = (id) => document.getElementById(id);

/** A refusal that only a token can cure. */
class NeedsToken extends Error {}

async function ask(path) {
  const token = sessionStorage.getItem(TOKEN);
  const response = await fetch(path, {
    headers: token ? { Authorization: `Bearer ${token}` } : {},
    signal: AbortSignal.timeout(PATIENCE),
  });
  if (response.status === 401) throw new NeedsToken();
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).trim()}`);
  return response.json();
}

/** Rows a second at every node and port. */
class Rates {
  constructor() {
    this.past = [];
  }

  take(now, pipeline) {
    const counts = new Map();
    for (const node of pipeline.nodes) {
      counts.set(node.id, node.rows_out);
      for (const [port, n] of Object.entries(node.ports ?? {})) counts.set(`${node.id}.${port}`, n);
    }
    const last = this.past.at(-1);
    const restarted = last && [...counts].some(([key, n]) => n < (last.counts.get(key) ?? 0));
    if (restarted || (last && now <= last.now)) this.past = [];
    this.past.push({ now, counts });
    while (this.past.length > 2 && now - this.past[0].now > MEMORY) this.past.shift();
  }

  /** Over the last seconds where rows flow, from burst to burst where they come by the window. */
  of(key) {
    const points = this.past.filter(({ counts }) => counts.has(key)).map(({ now, counts }) => ({ now, n: counts.get(key) }));
    if (points.length < 2) return null;
    const last = points.at(-1);
    const slope = (a, b) => (b.n - a.n) / (b.now - a.now);
    const changes = points.filter((point, index) => index > 0 && point.n !== points[index - 1].n);
    const recent = changes.filter((point) => last.now - point.now <= RECENT);
    if (recent.length >= 3) return slope(points.find((point) => last.now - point.now <= RECENT), last);
    if (changes.length < 2) return slope(points[0], last);
    const [first, latest] = [changes[0], changes.at(-1)];
    const pause = (latest.now - first.now) / (changes.length - 1);
    return slope(first, last.now - latest.now > 3 * pause ? last : latest);
  }

  edge({ from, port }) {
    return this.of(port ? `${from}.${port}` : from);
  }

  sum(keys) {
    const known = keys.map((key) => this.of(key)).filter((value) => value !== null);
    return known.length ? known.reduce((total, value) => total + value, 0) : null;
  }
}

/** One pipeline on the page. */
class Panel {
  constructor(name) {
    this.name = name;
    this.rates = new Rates();
    this.graph = new Graph();
    this.sinks = new Map();
    this.heading = el("h1", {}, name);
    this.badge = el("span", { class: "pill" });
    this.delivery = el("span", { class: "pill", "data-tone": "plain", title: "Delivery guarantee" });
    this.uptime = el("span", { class: "muted" });
    this.message = el("div", { class: "banner", role: "alert", hidden: true });
    this.tiles = new Map();
    this.tileRow = el("dl", { class: "tiles" });
    this.sinkPlace = el("div", { class: "sinks" });
    this.element = el("div", { id: "panel", role: "tabpanel", "aria-label": `Pipeline ${name}`, class: "panel" },
      el("div", { class: "heading" }, this.heading, this.badge, this.delivery, this.uptime),
      this.message, this.tileRow,
      el("section", { class: "card" }, el("h2", {}, "Flow"), this.graph.element, this.graph.notes),
      el("h2", {}, "Results"), this.sinkPlace);
  }

  close() {
    for (const sink of this.sinks.values()) sink.close();
  }

  async update(pipeline, now) {
    // A worker that was started anew numbers its rows from the start again.
    if (this.started !== pipeline.started) for (const sink of this.sinks.values()) sink.restart();
    this.started = pipeline.started;
    this.rates.take(now, pipeline);
    this.show(pipeline, now);
    this.graph.update(pipeline, this.rates);
    const nodes = pipeline.nodes.filter((node) => node.kind === "sink");
    await Promise.all(nodes.map((node) => this.updateSink(node, pipeline)));
  }

  async updateSink(node, pipeline) {
    if (!this.sinks.has(node.id)) {
      this.sinks.set(node.id, new Sink(node.id));
      this.sinkPlace.append(this.sinks.get(node.id).element);
    }
    const sink = this.sinks.get(node.id);
    const path = () => `/api/v1/pipelines/${encodeURIComponent(this.name)}/rows?sink=${encodeURIComponent(node.id)}&after=${sink.next}`;
    let answer = await ask(path());
    if (answer && sink.take(answer)) {
      answer = await ask(path());
      if (answer) sink.take(answer);
    }
    sink.show(node, pipeline);
  }

  show(pipeline, now) {
    say(this.badge, pipeline.state);
    mark(this.badge, "data-tone", TONES[pipeline.state] ?? "idle");
    say(this.delivery, pipeline.delivery.replaceAll("_", " "));
    say(this.uptime, `up ${duration(Math.max(0, now - pipeline.started))}`);
    this.message.hidden = !pipeline.message;
    say(this.message, pipeline.message ?? "");
    mark(this.message, "data-tone", pipeline.state === "failed" ? "bad" : "warn");
    const of = (kind, suffix) => pipeline.nodes.filter((node) => node.kind === kind).map((node) => node.id + suffix);
    const sum = (kind, field) => pipeline.nodes.filter((node) => node.kind === kind).reduce((total, node) => total + node[field], 0);
    this.tile("Read", rate(this.rates.sum(of("source", ""))), `${count(sum("source", "rows_out"))} in all`);
    this.tile("Written", rate(this.rates.sum(of("sink", ""))), `${count(sum("sink", "rows_out"))} in all`);
    const { watermark, lag } = pipeline;
    const [time, day] = watermark === null ? ["–", ""] : clock(watermark, now).split(" ").reverse();
    this.tile("Event time", time, watermark === null ? "no event yet" : `${day ? `${day} ` : ""}UTC, ${duration(lag ?? now - watermark)} behind`);
    this.tile("Late", number(pipeline.late), "after the window", pipeline.late ? "warn" : "");
    this.tile("Dead letters", number(pipeline.dead_letters), "rows set aside", pipeline.dead_letters ? "bad" : "");
    this.tile("Spooled", size(pipeline.spooled), "waiting for a sink", pipeline.spooled ? "warn" : "");
    this.tile("Checkpoints", number(pipeline.checkpoints), "since the start");
  }

  tile(name, value, detail, tone = "") {
    if (!this.tiles.has(name)) {
      const parts = { value: el("span", { class: "figure" }), detail: el("span", { class: "muted" }) };
      parts.element = el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, parts.value, parts.detail));
      this.tiles.set(name, parts);
      this.tileRow.append(parts.element);
    }
    const tile = this.tiles.get(name);
    say(tile.value, value);
    say(tile.detail, detail);
    mark(tile.element, "data-tone", tone);
  }
}

/** The whole page: which pipelines there are, which one is shown, and whether the worker is there. */
class Page {
  constructor() {
    this.panel = null;
    this.seen = null;
    this.failures = 0;
    this.tabs = new Map();
    window.addEventListener("hashchange", () => this.poll());
  }

  async run() {
    for (;;) {
      await this.poll();
      await new Promise((resolve) => { setTimeout(resolve, PERIOD); });
    }
  }

  async poll() {
    if (this.busy || this.locked) return;
    this.busy = true;
    try {
      const worker = await ask("/api/v1/pipelines");
      await this.show(worker);
      this.seen = Date.now();
      this.failures = 0;
      this.alive();
    } catch (error) {
      if (error instanceof NeedsToken) this.unlock();
      else this.gone(error);
    } finally {
      this.busy = false;
    }
  }

  async show(worker) {
    say(byId("version"), worker.version);
    const names = worker.pipelines.map((pipeline) => pipeline.name);
    const wanted = decodeURIComponent(location.hash.slice(1));
    const name = names.includes(wanted) ? wanted : names[0];
    this.showTabs(worker.pipelines, name);
    if (name === undefined) {
      this.clear("This worker runs no pipeline.");
      return;
    }
    if (this.panel?.name !== name) {
      this.panel?.close();
      this.panel = new Panel(name);
      byId("main").replaceChildren(this.panel.element);
      document.title = `${name} · edgestream`;
    }
    await this.panel.update(worker.pipelines[names.indexOf(name)], worker.now);
  }

  showTabs(pipelines, chosen) {
    const bar = byId("tabs");
    bar.hidden = pipelines.length < 2;
    if (bar.dataset.names !== JSON.stringify(pipelines.map((one) => one.name))) {
      bar.dataset.names = JSON.stringify(pipelines.map((one) => one.name));
      this.tabs = new Map(pipelines.map(({ name }) => [name, this.tab(name)]));
      bar.replaceChildren(...this.tabs.values());
    }
    for (const { name, state } of pipelines) {
      const tab = this.tabs.get(name);
      mark(tab, "aria-selected", String(name === chosen));
      mark(tab, "tabindex", name === chosen ? "0" : "-1");
      mark(tab, "data-tone", TONES[state] ?? "idle");
      mark(tab, "title", state);
    }
  }

  tab(name) {
    const tab = el("button", { type: "button", role: "tab", "aria-controls": "panel" }, name);
    tab.addEventListener("click", () => { location.hash = encodeURIComponent(name); });
    tab.addEventListener("keydown", ({ key }) => {
      const next = { ArrowRight: tab.nextElementSibling, ArrowLeft: tab.previousElementSibling }[key];
      next?.focus();
      next?.click();
    });
    return tab;
  }

  clear(text) {
    this.panel?.close();
    this.panel = null;
    byId("main").replaceChildren(el("p", { class: "blank" }, text));
  }

  alive() {
    say(byId("link"), "live");
    mark(byId("link"), "data-tone", "good");
    byId("gone").hidden = true;
    document.body.classList.remove("stale");
  }

  gone(error) {
    this.failures += 1;
    // One answer that is lost is no reason to alarm anybody.
    if (this.failures < 2 && this.seen !== null) return;
    const ago = this.seen === null ? "" : ` What is shown is ${duration((Date.now() - this.seen) / 1000)} old.`;
    const why = error instanceof TypeError || error.name === "TimeoutError" ? "The worker does not answer." : `The worker answered ${error.message}.`;
    say(byId("gone"), `${why}${ago} Trying again every second.`);
    byId("gone").hidden = false;
    say(byId("link"), "worker gone");
    mark(byId("link"), "data-tone", "bad");
    document.body.classList.add("stale");
    const waiting = byId("waiting");
    if (waiting) say(waiting, "Nothing to show until it is back.");
  }

  unlock() {
    this.locked = true;
    this.clear("");
    say(byId("link"), "locked");
    mark(byId("link"), "data-tone", "warn");
    const refused = sessionStorage.getItem(TOKEN) !== null;
    const field = el("input", { type: "password", id: "token", autocomplete: "off", required: true });
    const form = el("form", { class: "card unlock" },
      el("h1", {}, "This worker asks for its token"),
      el("p", { class: "muted" }, refused ? "That token was not accepted." : "It is kept in this tab only, until the tab is closed."),
      el("label", { for: "token" }, "Token"), field, el("button", { type: "submit" }, "Show"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(TOKEN, field.value.trim());
      this.locked = false;
      this.poll();
    });
    byId("main").replaceChildren(form);
    field.focus();
  }
}

new Page().run();

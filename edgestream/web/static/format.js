// How values are written for people, and elements made. Text only ever goes in as text.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with attributes and children (elements or text). */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set an element's text if it differs, so that a reader's selection survives. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute if it differs. */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** 1234567 → "1.23 M"; small numbers keep about four digits. */
export function number(value) {
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  const size = Math.abs(value);
  if (size >= 1e12) return value.toExponential(2);
  if (size >= 1e9) return trim(value / 1e9) + " G";
  if (size >= 1e6) return trim(value / 1e6) + " M";
  if (size >= 1e4) return trim(value / 1e3) + " k";
  if (Number.isInteger(value)) return String(value);
  if (size >= 1e-3) return String(Number(value.toPrecision(size >= 100 ? 5 : 4)));
  return value === 0 ? "0" : value.toExponential(2);
}

function trim(value) {
  return String(Number(value.toPrecision(3)));
}

/** A count written out in full, with thin spaces. */
export function count(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** Bytes as "0 B", "1.9 KiB", "12 MiB". */
export function size(bytes) {
  const power = bytes >= 1 ? Math.min(4, Math.floor(Math.log2(bytes) / 10)) : 0;
  return `${trim(bytes / 1024 ** power)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

/** Rows a second; null where it is not known yet. */
export function rate(value) {
  if (value === null) return "…";
  if (value === 0) return "0/s";
  return (value < 10 ? String(Number(value.toFixed(value < 1 ? 2 : 1))) : number(Math.round(value))) + "/s";
}

/** Seconds as "2.1 s", "3 min 20 s", "3 h 12 min", "2 d 4 h". */
export function duration(seconds) {
  const s = Math.max(0, seconds);
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 60) return Math.round(s) + " s";
  const pair = (big, bigUnit, small, smallUnit) => `${big} ${bigUnit}` + (small ? ` ${small} ${smallUnit}` : "");
  if (s < 3600) return pair(Math.floor(s / 60), "min", Math.floor(s % 60), "s");
  if (s < 86400) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return pair(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

/** Epoch seconds as "12:03:40", with the day before it where that is not today (UTC). */
export function clock(epoch, now = Date.now() / 1000) {
  const iso = new Date(epoch * 1000).toISOString();
  const today = new Date(now * 1000).toISOString().slice(0, 10);
  return (iso.slice(0, 10) === today ? "" : iso.slice(0, 10) + " ") + iso.slice(11, 19);
}

/** Epoch seconds of an ISO text, or null; a time without zone is UTC. */
export function epoch(text) {
  if (typeof text !== "string" || !/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)/.test(text)) return null;
  const zoned = /[T ]/.test(text) && !/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text + "Z" : text;
  const millis = Date.parse(zoned.replace(" ", "T"));
  return Number.isNaN(millis) ? null : millis / 1000;
}

/** "1 row", "2 rows". */
export function plural(n, word) {
  return `${count(n)} ${word}${n === 1 ? "" : "s"}`;
}

// Elements, texts, spans of time. A foreign text goes into the page only as text, never as markup.
const $ = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const it = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value);
  it.append(...children);
  return it;
}

function mark(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", "#m-" + name);
  svg.append(use);
  return svg;
}

/** Writes only differences, to avoid flicker and to keep a selection. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function set(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Keeps as many children as items: each is created once, and filled again with each look. */
function each(parent, items, make, fill) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(make());
  items.forEach((item, place) => fill(parent.children[place], item, place));
}

function span(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms === 0) return "0";
  if (ms < 0.1) return "<0.1 ms";
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 1000) return Math.floor(ms) + " ms";
  const seconds = ms / 1000;
  if (seconds < 60) return (Math.floor(seconds * 10) / 10).toFixed(1) + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min " + Math.floor(seconds % 60) + " s";
  if (seconds < 86400) return Math.floor(seconds / 3600) + " h " + Math.floor((seconds % 3600) / 60) + " min";
  return Math.floor(seconds / 86400) + " d " + Math.floor((seconds % 86400) / 3600) + " h";
}

/** Without the smaller unit, which is irrelevant here. */
function about(ms) {
  const parts = span(ms).split(" ");
  return parts.length > 2 ? parts.slice(0, 2).join(" ") : parts.join(" ");
}

const grouped = new Intl.NumberFormat("en").format;
const clock = (at) => new Date(at).toLocaleTimeString("en-GB");
const thread = (number, name) => (number === null ? "task" : "thread " + number + (name ? ", " + name : ""));

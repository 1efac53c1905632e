// Puts a look into the page: one pool, and the list of all.
const PHASES = ["lent", "idle", "opening", "checking", "resetting", "closing", "aborted", "abandoned"];
const TOTALS = [
  ["at_once", "Loans at once"], ["after_waiting", "Loans after waiting"], ["rejected", "Loans rejected"], ["returned", "Returned"],
  ["timed_out", "Timed out"], ["overloaded", "Overloaded"], ["refused", "Refused"], ["refused_closed", "Refused, closed"],
  ["not_available", "Not available"], ["called_from_hook", "Called from a hook"], ["cancelled", "Cancelled"], ["opened", "Opened"],
  ["open_failures", "Failed to open"], ["resets_skipped", "Resets skipped"], ["resets_done", "Resets done"],
  ["resets_failed", "Resets failed"], ["leaks", "Leaks"],
];
const QUIET = new Set(["opened", "closed", "remark"]);
const rings = new Map();
let chosen = null;
let announced = { state: null, at: 0 };

function show(look) {
  const pool = look.pools.find((pool) => pool.key === chosen) ?? look.pools[0];
  chosen = pool?.key ?? null;
  showList(look.pools);
  set($("none"), "hidden", pool ? "hidden" : null);
  for (const section of document.querySelectorAll("main > :not(#none)")) set(section, "hidden", pool ? null : "hidden");
  if (pool) showPool(pool);
  showEvents(look);
  document.documentElement.dataset.look = look.number;
}

function showList(pools) {
  const make = () => element("li", {}, element("button", { type: "button" }));
  each($("pools"), pools, make, (item, pool) => {
    const button = item.firstChild;
    const of = `${pool.counts.lent}/${pool.counts.max_size}` + (pool.counts.waiting ? `, ${pool.counts.waiting} waiting` : "");
    const text = [pool.state, pool.name, of].join("\n");
    if (button.dataset.shows !== text) {
      button.dataset.shows = text;
      button.dataset.state = pool.state;
      const name = element("span", { class: "text" }, pool.name);
      button.replaceChildren(mark(pool.state), name, element("span", { class: "of" }, of), element("span", { class: "unseen" }, ", " + pool.state));
    }
    button.dataset.key = pool.key;
    set(button, "aria-current", pool.key === chosen ? "true" : "false");
  });
}

function showPool(pool) {
  const { counts } = pool;
  document.title = `${pool.title.split(":")[0]} · ${pool.name}`;
  set($("verdict"), "data-state", pool.state);
  write($("name"), pool.name);
  if ($("title").dataset.shows !== pool.title) {
    $("title").dataset.shows = pool.title;
    $("title").replaceChildren(mark(pool.state), pool.title);
  }
  each($("says"), pool.says, () => element("li"), write);
  announce(pool);
  showCapacity(counts);
  drawCharts(rings.get(pool.key)?.points ?? [], counts.max_size);
  const connections = [...pool.connections];
  if ($("order").value === "for") connections.sort((one, other) => other.for_ms - one.for_ms);
  fillTable("connections", connections);
  const hidden = "more connections are not shown: the least relevant ones. All are counted above.";
  more("connections-more", pool.connections_hidden, hidden, connections.length ? "" : "No connection is open.");
  fillTable("holders", pool.holders);
  set($("holders-none"), "hidden", pool.holders.length ? "" : null);
  fillTable("askers", pool.askers);
  set($("askers-none"), "hidden", pool.askers.length ? "" : null);
  fillTable("waiters", pool.waiters);
  if (pool.waiters.length) more("waiters-more", pool.waiters_hidden, "more wait behind these.");
  else more("waiters-more", 0, "", "No request waits.");
  const times = [["Waits", pool.times.wait], ["Loans", pool.times.use], ["Openings", pool.times.open]];
  fillTable("times", times.map(([what, it]) => ({ what, ...it })));
  showTotals(pool.totals);
}

function showCapacity(counts) {
  const shown = PHASES.filter((phase) => counts[phase] || PHASES.indexOf(phase) < 6);
  const items = shown.map((phase) => [phase, counts[phase]]).concat([["waiting", counts.waiting]]);
  if (counts.stuck) items.push(["stuck", counts.stuck]);
  each($("counts"), items, () => element("li", { tabindex: "0" }, "", element("b"), element("span")), (item, [what, count]) => {
    if (item.dataset.tip !== what) {
      item.dataset.tip = what;
      item.dataset.phase = PHASES.includes(what) ? what : "";
      item.replaceChildren(mark(what === "stuck" ? "aborted" : what), element("b"), element("span", {}, what));
    }
    write(item.children[1], grouped(count));
    item.classList.toggle("none", count === 0);
  });
  // The phases that take up slots, and the free slots.
  const parts = PHASES.slice(0, 6).map((phase) => [phase, counts[phase]]);
  const taken = parts.reduce((sum, [, count]) => sum + count, 0);
  const free = Math.max(0, counts.max_size - taken);
  each($("bar"), [...parts, ["free", free]], () => element("span"), (part, [phase, count]) => {
    set(part, "data-phase", phase === "free" ? null : phase);
    part.style.flexGrow = count;
    part.style.background = phase === "free" ? "none" : "";
  });
  const told = parts.filter(([, count]) => count).map(([phase, count]) => `${count} ${phase}`).concat(`${free} free`).join(", ");
  set($("bar"), "aria-label", `${told}, of ${counts.max_size}`);
  write($("size"), `at most ${grouped(counts.max_size)}` + (counts.min_idle ? `, ${grouped(counts.min_idle)} kept idle` : ""));
}

function showTotals(totals) {
  const closed = Object.entries(totals.closed).map(([reason, count]) => ["closed", "Closed: " + reason.replaceAll("_", " "), count]);
  const items = TOTALS.map(([key, name]) => [key, name, totals[key]]).filter(([, , count], place) => count || place < 5).concat(closed);
  each($("totals"), items, () => element("div", { tabindex: "0" }, element("dt"), element("dd")), (item, [key, name, count]) => {
    set(item, "data-tip", key);
    write(item.children[0], name);
    write(item.children[1], grouped(count));
  });
}

function showEvents(look) {
  const events = look.events ?? [];
  const none = look.events ? "None yet." : "Build the pool with a cabrank_monitor::Recorder as its event handler to see them here.";
  write($("events-none"), events.length ? "" : none);
  const make = () => element("li", {}, ...["at", "kind", "pool text faint", "what text"].map((kind) => element("span", { class: kind })));
  each($("events"), events, make, (item, event) => {
    const [at, kind, pool, text] = item.children;
    write(at, clock(event.at));
    set(at, "data-tip", "e_at");
    write(kind, event.kind + (event.times > 1 ? ` ×${grouped(event.times)}` : ""));
    set(kind, "data-tip", event.times > 1 ? "e_times" : null);
    write(pool, event.pool);
    write(text, event.text);
    item.classList.toggle("trouble", !QUIET.has(event.kind));
  });
}

function more(id, count, text, otherwise = "") {
  write($(id), count ? `${grouped(count)} ${text}` : otherwise);
  set($(id), "hidden", count || otherwise ? null : "");
}

/** For screen readers: announces a change of state, at most every five seconds. */
function announce(pool) {
  const state = pool.key + pool.state;
  if (announced.state === state || Date.now() - announced.at < 5000) return;
  announced = { state, at: Date.now() };
  write($("announce"), `${pool.name}: ${pool.title}`);
}

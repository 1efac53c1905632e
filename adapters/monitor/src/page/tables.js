// Tables whose rows are created once. Roles are explicit, because a table that folds on a narrow screen is still a table.
const COLUMNS = {
  connections: [
    { tip: "c_id", head: "No.", kind: "number", show: (it) => (it.id === null ? "–" : String(it.id)) },
    { tip: "c_phase", head: "Phase", kind: "phase", show: (it) => it.phase + (it.stuck ? ", stuck" : "") },
    { tip: "c_for", head: "For", kind: "number for", show: (it) => span(it.for_ms) },
    { tip: "c_age", head: "Age", kind: "number", label: "age", show: (it) => about(it.age_ms) },
    { tip: "c_uses", head: "Loans", kind: "number", label: "loans", show: (it) => grouped(it.uses) },
    { tip: "c_site", head: "Held by", kind: "site", show: (it) => it.site ?? it.remark ?? "" },
    { tip: "c_thread", head: "Thread", kind: "thread", show: (it) => (it.site === null ? "" : thread(it.thread)) },
  ],
  holders: [
    { tip: "s_count", head: "Loans", kind: "number", label: "loans", show: (it) => grouped(it.count) },
    { tip: "s_longest", head: "Longest", kind: "number", label: "longest", show: (it) => span(it.longest_ms) },
    { tip: "s_site", head: "Call site", kind: "site", show: (it) => it.site },
  ],
  askers: [
    { tip: "s_count", head: "Requests", kind: "number", label: "requests", show: (it) => grouped(it.count) },
    { tip: "s_longest", head: "Longest", kind: "number", label: "longest", show: (it) => span(it.longest_ms) },
    { tip: "s_site", head: "Call site", kind: "site", show: (it) => it.site },
  ],
  waiters: [
    { tip: "w_place", head: "Place", kind: "number", show: (it, place) => String(place + 1) },
    { tip: "w_waited", head: "Waited", kind: "number", label: "waited", show: (it) => span(it.waited_ms) },
    { tip: "w_left", head: "Gives up in", kind: "number", label: "gives up in", show: (it) => (it.left_ms === null ? "never" : span(it.left_ms)) },
    { tip: "w_site", head: "Requested at", kind: "site", show: (it) => it.site },
    { tip: "w_thread", head: "Thread", kind: "thread text", show: (it) => thread(it.thread, it.name) },
  ],
  times: [
    { tip: "t_what", head: "", kind: "", show: (it) => it.what },
    { tip: "t_count", head: "Count", kind: "number", show: (it) => grouped(it.count) },
    { tip: "t_mean", head: "Mean", kind: "number", show: (it) => span(it.mean_ms) },
    { tip: "t_p50", head: "p50", kind: "number", show: (it) => span(it.p50_ms) },
    { tip: "t_p99", head: "p99", kind: "number", show: (it) => span(it.p99_ms) },
    { tip: "t_max", head: "Max", kind: "number", show: (it) => span(it.max_ms) },
  ],
};

function makeTables() {
  for (const [id, columns] of Object.entries(COLUMNS)) {
    const heads = columns.map(({ tip, head, kind }) => {
      const it = element("th", { scope: "col", role: "columnheader", class: kind.split(" ")[0], "data-tip": tip, tabindex: "0" }, head);
      if (!head) it.append(element("span", { class: "unseen" }, "What"));
      return it;
    });
    $(id).append(element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)), element("tbody", { role: "rowgroup" }));
  }
}

function fillTable(id, items) {
  const columns = COLUMNS[id];
  const make = () => {
    const cells = columns.map(({ tip, kind, label }, place) => {
      const name = place === 0 ? "th" : "td";
      const cell = element(name, { role: place === 0 ? "rowheader" : "cell", class: kind, "data-tip": tip });
      if (place === 0) cell.setAttribute("scope", "row");
      if (label) cell.setAttribute("data-label", label);
      return cell;
    });
    return element("tr", { role: "row" }, ...cells);
  };
  each($(id).tBodies[0], items, make, (row, item, place) => {
    columns.forEach(({ kind, show }, at) => {
      const cell = row.children[at];
      if (kind === "phase") showPhase(cell, item.phase, show(item));
      else write(cell, show(item, place));
    });
    set(row, "data-long", item.held_ms >= 1000 ? "" : null);
  });
  set($(id), "hidden", items.length ? null : "");
}

function showPhase(cell, phase, text) {
  if (cell.dataset.shows === text) return;
  cell.dataset.shows = text;
  cell.dataset.phase = phase;
  cell.replaceChildren(mark(phase), text);
}

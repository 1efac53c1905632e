// Small charts of the last five minutes. A point is one second, as `history.rs` writes it.
const SECONDS = 300;
const [SECOND, LENT, WAITING, LOANS, , UNSERVED, , FAILED, CLOSED] = Array(9).keys();
const CHARTS = [
  { tip: "chart_lent", name: "Lent", ink: "lent", of: LENT, unit: "" },
  { tip: "chart_waiting", name: "Waiting", ink: "resetting", of: WAITING, trouble: UNSERVED, missed: "unserved", unit: "" },
  { tip: "chart_loans", name: "Loans", ink: "idle", of: LOANS, unit: "/s" },
  { tip: "chart_closed", name: "Closed", ink: "closing", of: CLOSED, trouble: FAILED, missed: "failed to open", unit: "/s" },
];

/** The points of one pool by their seconds, for at most five minutes. */
class Ring {
  points = [];

  add(points) {
    for (const point of points) {
      const last = this.points.at(-1);
      if (!last || point[SECOND] > last[SECOND]) this.points.push(point);
    }
    const from = (this.points.at(-1)?.[SECOND] ?? 0) - SECONDS;
    while (this.points.length > SECONDS || (this.points.length && this.points[0][SECOND] <= from)) this.points.shift();
  }
}

function makeCharts(parent) {
  for (const chart of CHARTS) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    for (const [key, value] of [["viewBox", "0 0 300 50"], ["preserveAspectRatio", "none"], ["role", "img"]]) svg.setAttribute(key, value);
    chart.paths = ["area", "edge", "most", "trouble"].map((name) => {
      const path = document.createElementNS(space, "path");
      path.setAttribute("class", name);
      svg.append(path);
      return path;
    });
    chart.svg = svg;
    chart.now = element("b");
    chart.peak = element("span");
    chart.missedText = element("span");
    const caption = element("figcaption", {}, element("span", {}, chart.name), chart.now);
    const figure = element("figure", { "data-tip": chart.tip, tabindex: "0" }, caption, svg);
    figure.append(element("div", { class: "foot" }, chart.peak, chart.missedText));
    figure.style.setProperty("--ink", `var(--${chart.ink})`);
    parent.append(figure);
  }
}

function drawCharts(points, maxSize) {
  for (const chart of CHARTS) {
    const values = points.map((point) => point[chart.of]);
    const peak = Math.max(0, ...values);
    const top = Math.max(1, peak, chart.of === LENT ? maxSize : 0) * 1.06;
    const last = points.at(-1)?.[SECOND] ?? 0;
    const x = (point) => 300 - (last - point[SECOND]) * (300 / (SECONDS - 1));
    const y = (value) => 50 - (value / top) * 50;
    let [area, edge, trouble] = ["", "", ""];
    for (const run of runs(points)) {
      const line = run.map((point) => `${x(point).toFixed(1)} ${y(point[chart.of]).toFixed(1)}`).join("L");
      edge += "M" + line + (run.length === 1 ? "h.5" : "");
      area += `M${x(run[0]).toFixed(1)} 50L${line}L${x(run.at(-1)).toFixed(1)} 50Z`;
    }
    for (const point of points) if (chart.trouble && point[chart.trouble]) trouble += `M${x(point).toFixed(1)} 50v-9`;
    const most = chart.of === LENT ? `M0 ${y(maxSize).toFixed(1)}H300` : "";
    [area, edge, most, trouble].forEach((d, place) => set(chart.paths[place], "d", d));
    const now = values.at(-1) ?? 0;
    const missed = chart.trouble ? points.reduce((sum, point) => sum + point[chart.trouble], 0) : 0;
    write(chart.now, points.length ? grouped(now) + chart.unit : "–");
    write(chart.peak, points.length ? "max " + grouped(peak) + chart.unit : "nothing yet");
    write(chart.missedText, missed ? `${grouped(missed)} ${chart.missed}` : "");
    const also = missed ? `, ${missed} ${chart.missed}` : "";
    set(chart.svg, "aria-label", `${chart.name} over the last ${points.length} seconds: now ${now}, at most ${peak}${also}`);
  }
}

/** The stretches without a gap: the service may have been suspended, or have taken looks only while somebody read. */
function runs(points) {
  const runs = [];
  for (const point of points) {
    const last = runs.at(-1);
    if (last && point[SECOND] - last.at(-1)[SECOND] <= 2) last.push(point);
    else runs.push([point]);
  }
  return runs;
}

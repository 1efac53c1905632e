// The stream of looks. While the service is away, a new attempt each second.
const base = location.pathname.replace(/\/?$/, "/");
const SILENCE = 5000;
let paused = false;
let last = null;
let heardAt = 0;
let source = null;

function connect() {
  source?.close();
  source = new EventSource(base + "looks");
  heardAt = Date.now();
  source.addEventListener("history", (event) => {
    rings.clear();
    for (const { key, points } of JSON.parse(event.data).pools) ring(key).add(points);
  });
  source.onmessage = (event) => {
    heardAt = Date.now();
    const look = JSON.parse(event.data);
    for (const key of rings.keys()) if (!look.pools.some((pool) => pool.key === key)) rings.delete(key);
    for (const pool of look.pools) ring(pool.key).add(pool.points);
    // This also shows that the connection is back.
    if (paused) return showPaused();
    last = look;
    link("live", `live, look ${look.number}, ${clock(look.at)}`);
    show(look);
  };
  source.onerror = lost;
}

function ring(key) {
  if (!rings.has(key)) rings.set(key, new Ring());
  return rings.get(key);
}

function lost() {
  source?.close();
  source = null;
  const when = last ? `: last update at ${clock(last.at)}` : "";
  link("lost", "connection lost");
  write($("lost"), `Connection lost${when}. The page retries every second.`);
}

function link(state, text) {
  set($("link"), "data-link", state);
  write($("link"), text);
  set($("lost"), "hidden", state === "lost" ? null : "");
  $("main").classList.toggle("stale", state === "lost");
}

function pause() {
  paused = !paused;
  set($("pause"), "aria-pressed", String(paused));
  write($("pause"), paused ? "Resume" : "Pause");
  if (paused) showPaused();
}

function showPaused() {
  if (last) link("paused", `paused at look ${last.number}, ${clock(last.at)}`);
}

makeTables();
makeCharts($("charts"));
tips();
$("pause").addEventListener("click", pause);
$("order").addEventListener("change", () => last && show(last));
$("pools").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button || !last) return;
  chosen = Number(button.dataset.key);
  show(last);
});
setInterval(() => {
  if (!source) connect();
  else if (Date.now() - heardAt > SILENCE) lost();
}, 1000);
connect();

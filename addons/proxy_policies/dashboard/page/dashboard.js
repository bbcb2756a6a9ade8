// Asks the proxy once a second for what is new, and draws it. Texts of clients are only ever set as text.
"use strict";

const EVERY = 1000;
const SLOWER = 4; // the tables are asked for every so many times
const FEW = 2000; // responses stored: the list of more is asked for on demand only, for it takes the proxy its time
const KEPT = 300; // points of a chart, a second each
const csrfToken = document.querySelector("meta[name=csrf-token]").content;
const points = [];
let since = 0, isPaused = false, turn = 0, stored = 0, before = new Map();

const $ = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Numbers as people read them

function bytes(count) {
  let unit = 0;
  for (; count >= 1000 && unit < 5; unit++) count /= 1024;
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
}

const number = (count) => count >= 100 || Number.isInteger(count) ? Math.round(count).toLocaleString("en") : count.toFixed(1);

function seconds(count) {
  if (count == null) return "–";
  return count < 0.0995 ? `${number(Math.round(count * 10000) / 10)} ms` : count < 10 ? `${count.toFixed(2)} s` : count < 120 ? `${Math.round(count)} s` : `${Math.round(count / 60)} min`;
}

const share = (part, whole) => whole ? `${Math.round(100 * part / whole)} %` : "–";

// Asking

async function ask(name, asked, isChange = false) {
  const url = `ask/${name}` + (isChange ? "" : "?" + new URLSearchParams(asked));
  const change = { method: "POST", headers: { "X-CSRF-Token": csrfToken, "Content-Type": "application/json" }, body: JSON.stringify(asked) };
  const response = await fetch(url, isChange ? change : {});
  if (response.status === 401) { location.reload(); throw new Error("enter again"); }
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error);
  return answer.result;
}

function say(text, isWrong = false) {
  if ($("said").textContent !== text) $("said").textContent = text;
  $("said").className = isWrong ? "wrong" : "";
}

async function change(name, asked, table) {
  try {
    say(String([].concat(await ask(name, asked, true)).join(", ")));
    await table();
  } catch (error) { say(error.message, true); }
}

// Charts

const CHARTS = [
  ["Requests a second", number, ["all", (p) => p.requests || 0], ["hits", (p) => p["cache: hit"] || 0]],
  ["Bytes a second", bytes, ["sent", (p) => p["bytes sent"] || 0], ["saved", (p) => (p["bytes saved by the cache"] || 0) + (p["bytes saved by encoding"] || 0)]],
  ["Errors and tunnels a second", number, ["errors", (p) => p.errors || 0], ["tunnels ended", (p) => p.tunnels || 0]],
];

function chart([title, format, ...lines]) {
  const svg = drawn("svg", { viewBox: `0 0 ${KEPT} 100`, preserveAspectRatio: "none", role: "img" });
  const area = drawn("polygon", {}), said = lines.map(([name], at) => element("span", { class: ["first", "second"][at] }));
  const drawnLines = lines.map((_, at) => drawn("polyline", { class: ["first", "second"][at] }));
  svg.append(drawn("line", { class: "axis", x1: 0, x2: KEPT, y1: 100, y2: 100 }), drawn("line", { class: "axis", x1: 0, x2: KEPT, y1: 0, y2: 0 }), area, ...drawnLines);
  const most = element("span");
  $("charts").append(element("figure", {}, element("figcaption", {}, element("strong", {}, title), ...said, most), svg));
  return () => {
    const values = lines.map(([, read]) => points.map(read));
    const top = Math.max(1, ...values.flat());
    values.forEach((all, at) => {
      const line = all.map((value, x) => `${KEPT - all.length + x},${100 - 100 * value / top}`);
      drawnLines[at].setAttribute("points", line.join(" "));
      if (!at && all.length) area.setAttribute("points", `${KEPT - all.length},100 ${line.join(" ")} ${KEPT - 1},100`);
      said[at].textContent = `${at ? "┅" : "━"} ${lines[at][0]} ${format(all.at(-1) || 0)}`;
    });
    most.textContent = `most ${format(top)}`;
    svg.setAttribute("aria-label", `${title}: ${lines.map(([name], at) => `${name} ${format(values[at].at(-1) || 0)}`).join(", ")}, at most ${format(top)} in five minutes`);
  };
}

const redraw = CHARTS.map(chart);

// Tiles and tables

function tiles(now) {
  const last = points.slice(-10), rate = last.reduce((sum, p) => sum + (p.requests || 0), 0) / (last.length || 1);
  const { totals, percentiles, policies } = now, cache = policies.cache || {}, home = policies.home || {};
  const asked = Object.entries(totals).filter(([name]) => name.startsWith("cache: ")).reduce((sum, [, count]) => sum + count, 0);
  const shown = {
    "requests a second": number(Math.round(rate * 10) / 10),
    requests: number(totals.requests),
    "hit ratio": share(totals["cache: hit"] || 0, asked),
    "saved by the cache": bytes(totals["bytes saved by the cache"]),
    "saved by encoding": bytes(totals["bytes saved by encoding"]),
    "half took less than": seconds(percentiles.p50),
    "90 % took less than": seconds(percentiles.p90),
    "99 % took less than": seconds(percentiles.p99),
    errors: number(totals.errors),
    clients: number((policies.fastlane || {}).clients || 0),
    [cache.limit ? `stored, of ${bytes(cache.limit)}` : "stored"]: "bytes" in cache ? bytes(cache.bytes) : "off",
    "responses stored": number(cache.responses || 0),
    ..."works" in home ? { works: number(home.works), sessions: number(home.sessions) } : {},
  };
  fill("tiles", Object.entries(shown), ([name, text]) => keyed(element("div", {}, element("dt", {}, name), element("dd", {}, text)), name));
}

// What has changed of a row is put in its place. The rest stays: a button made anew while it is pressed would not be clicked.
function renew(row, made) {
  const parts = [...made.childNodes];
  if (parts.length !== row.childNodes.length) return made;
  [...row.childNodes].forEach((part, at) => { if (part.textContent !== parts[at].textContent) part.replaceWith(parts[at]); });
  return row;
}

// Rows keep their places, their focus, and whether they are open, by their keys: only what has changed is made anew.
function fill(id, items, make) {
  const place = $(id), old = new Map(), made = items.map(make), seen = new Map();
  for (const row of place.children) old.set(row.dataset.key, row);
  const wanted = made.map((row) => {
    const key = row.dataset.key ?? "", times = seen.get(key) || 0;
    seen.set(key, times + 1);
    row.dataset.key = times ? `${key} ${times}` : key;
    const before = old.get(row.dataset.key);
    return before ? renew(before, row) : row;
  });
  const focused = place.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  const kept = new Set(wanted);
  for (const row of [...place.children]) if (!kept.has(row)) row.remove();
  wanted.forEach((row, at) => { if (place.children[at] !== row) place.insertBefore(row, place.children[at] || null); });
  if (focused != null && !place.contains(document.activeElement)) {
    wanted.find((row) => row.dataset.key === focused)?.querySelector("button, summary")?.focus();
  }
}

const cell = (text, isNumber) => element("td", isNumber ? { class: "number" } : {}, text);

function action(name, about, act) {
  const button = element("button", { type: "button", "aria-label": `${name} ${about}` }, name);
  button.addEventListener("click", act);
  return element("td", {}, button);
}

function keyed(row, key) { row.dataset.key = key; return row; }

const nothing = (text, columns) => element("tr", {}, element("td", { colspan: columns, class: "nothing" }, text));

function rows(id, items, make, columns, none) {
  fill(id, items.length ? items : [null], (item) => item === null ? nothing(none, columns) : make(item));
}

async function tunnels() {
  const { streams, home } = await ask("tunnels", {});
  const at = performance.now(), now = new Map(streams.map((s) => [s.id, [at, s.up + s.down]]));
  rows("streams", streams, (s) => {
    const [then, had] = before.get(s.id) || [at, 0], rate = at > then ? (s.up + s.down - had) * 1000 / (at - then) : 0;
    const close = action("Close", `the tunnel to ${s.target}`, () => confirm(`Close the tunnel of ${s.client} to ${s.target}?`) && change("close", { stream: s.id }, tunnels));
    return keyed(element("tr", {}, cell(s.client), cell(s.target), cell(bytes(s.up), true), cell(bytes(s.down), true), cell(`${bytes(rate)}/s`, true), cell(seconds(Math.round(s.seconds)), true), close), s.id);
  }, 7, "no tunnel is open");
  before = now;
  fill("home", home, (line) => {
    const item = element("li", {}, line), session = /^session (\d+):/.exec(line);
    if (session) {
      const button = element("button", { type: "button", "aria-label": `Close session ${session[1]}` }, "Close");
      button.addEventListener("click", () => confirm(`Close session ${session[1]}?`) && change("close", { session: session[1] }, tunnels));
      item.append(" ", button);
    }
    return keyed(item, session ? session[1] : "");
  });
}

async function entries() {
  let found;
  try { found = await ask("entries", { text: $("entries-text").value }); } catch (error) { found = { all: 0, rows: [] }; }
  $("entries-count").textContent = found.all > found.rows.length ? `${found.rows.length} of ${number(found.all)}` : "";
  rows("entries", found.rows, (e) => keyed(element("tr", {}, cell(e.shown), cell(e.state), action("Purge", e.shown, () => change("purge", { entry: e.id }, entries))), e.id), 3, "nothing is stored");
}

async function flows() {
  const found = await ask("flows", { text: $("flows-text").value });
  fill("flows", found.length ? found : [null], (f) => f === null ? element("p", { class: "nothing" }, "no flow has ended")
    : keyed(element("details", {}, element("summary", {}, `${f.flow} → ${f.outcome}`), element("pre", {}, f.lines.join("\n"))), `${f.ended} ${f.flow}`));
}

async function now() {
  const found = await ask("now", { since });
  for (const point of found.points) { points.push(point); since = point.at; }
  points.splice(0, Math.max(0, points.length - KEPT));
  const { addresses, version, mitmproxy, worker, pid } = found.status;
  $("about").textContent = `${addresses.join(", ") || "no port"} · ${version} · mitmproxy ${mitmproxy} · process ${pid}${worker ? ` · worker ${worker}` : ""}`;
  stored = found.policies.cache?.responses || 0;
  tiles(found);
  redraw.forEach((draw) => draw());
  rows("hosts", found.hosts, ([host, requests, sent]) => keyed(element("tr", {}, cell(host || "–"), cell(number(requests), true), cell(bytes(sent), true)), host), 3, "no requests recently");
  rows("slowest", found.slowest, (s) => element("tr", {}, cell(s.request || "–"), cell(String(s.status), true), cell(seconds(s.seconds), true)), 3, "no requests recently");
}

async function go() {
  if (!isPaused && !document.hidden) {
    try {
      await now();
      await tunnels();
      if (turn % SLOWER === 0) await flows();
      if (turn % SLOWER === 0 && (!turn || stored <= FEW)) await entries();
      turn++;
      if ($("said").className === "wrong") say("");
    } catch (error) { say(`no response from the proxy: ${error.message}`, true); }
  }
  setTimeout(go, EVERY);
}

$("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  $("pause").setAttribute("aria-pressed", isPaused);
});
for (const [name, table] of [["entries", entries], ["flows", flows]]) {
  $(`${name}-form`).addEventListener("submit", (event) => { event.preventDefault(); table(); });
  $(`${name}-text`).addEventListener("change", table);
}
go();

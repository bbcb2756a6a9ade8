"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const state = { show: data.counts.changed || data.counts.error ? "changed" : "all", text: "", host: "", kind: "", path: "", at: 0, inline: false };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    name.startsWith("on") ? element.addEventListener(name.slice(2), value) : element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));
const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${Math.round(value)} ms`);
const total = Object.values(data.counts).reduce((sum, count) => sum + count, 0);
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// What is searched: everything a reader could have seen of an entry.
const haystacks = data.outcomes.map((o) =>
  [o.title, o.url, o.why, ...o.changes.flatMap((c) => [c.location, asText(c.old ?? ""), asText(c.new ?? "")])].join("\n").toLowerCase());

const fits = { all: () => true, changed: (o) => o.verdict === "changed" || o.verdict === "error",
  same: (o) => o.verdict === "same", skipped: (o) => o.verdict === "skipped" };
const shown = () => data.outcomes.map((_, i) => i)
  .filter((i) => fits[state.show](data.outcomes[i]) && haystacks[i].includes(state.text) && isChosen(data.outcomes[i]));

const hostOf = (o) => { try { return new URL(o.url).host; } catch { return ""; } };
const pathOf = (o) => { try { return new URL(o.url).pathname; } catch { return ""; } };
const kindsOf = (o) => o.changes.map((c) => c.location.split(":")[0]);
// `*` in a path is anything; a path without one is a beginning.
const pathPattern = (text) => new RegExp("^" + text.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*"));
const isChosen = (o) => (!state.host || hostOf(o) === state.host) && (!state.kind || kindsOf(o).includes(state.kind))
  && (!state.path || pathPattern(state.path).test(pathOf(o)));

function choices(id, all, values) {
  const element = byId(id), sorted = [...new Set(values)].filter(Boolean).sort();
  element.replaceChildren(...["", ...sorted].map((value) => make("option", { value }, value || all)));
  element.hidden = sorted.length < 2 && id === "host";
  element.addEventListener("change", () => { state[id] = element.value; refresh(); });
}

function header() {
  const { counts } = data, differ = (counts.changed || 0) + (counts.error || 0);
  byId("verdict").textContent = differ ? `${plural(differ, "request")} of ${total} differ` : `All ${counts.same} requests are the same`;
  byId("verdict").className = differ ? "bad" : "good";
  const when = new Date(data.started * 1000).toLocaleString();
  byId("about").textContent = `${data.capture} — ${data.old} against ${data.new} — ${when}, took ${data.seconds.toFixed(1)} s`
    + (data.secrets_not_compared ? ` — values of secrets not compared: ${data.secrets_not_compared}` : "");
  const names = { changed: differ, same: counts.same, skipped: counts.skipped, all: total };
  byId("filters").replaceChildren(...Object.entries(names).map(([name, count]) =>
    make("button", { "aria-pressed": state.show === name, onclick: () => { state.show = name; refresh(); } }, `${name} ${count}`)));
}

function list() {
  const numbers = shown();
  if (!numbers.includes(state.at)) state.at = numbers[0] ?? -1;
  byId("list").replaceChildren(...numbers.map((i) => {
    const o = data.outcomes[i];
    const note = o.changes.length ? plural(o.changes.length, "change") : o.why ? "" : ms(o.ms[1]);
    return make("a", { href: `#${o.entry}`, class: i === state.at ? "on" : "", onclick: (event) => { event.preventDefault(); open(i); } },
      make("span", { class: `dot ${o.verdict}`, title: o.verdict }), make("b", {}, o.title), make("small", {}, note));
  }));
  if (!numbers.length) byId("list").append(make("div", { class: "empty" }, "Nothing matches."));
}

function chart() {
  const outcomes = data.outcomes, width = 1000, height = 80;
  const most = Math.max(1, ...outcomes.flatMap((o) => o.ms)), step = width / Math.max(1, outcomes.length), bar = Math.min(12, step * 0.4);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  outcomes.forEach((o, i) => o.ms.forEach((value, side) => {
    const rect = document.createElementNS(svg.namespaceURI, "rect");
    const tall = Math.max(1, Math.sqrt(value / most) * height); // square root: a slow one does not flatten the rest
    const place = { x: i * step + step / 2 + (side ? 0 : -bar), y: height - tall, width: bar, height: tall };
    for (const [name, number] of Object.entries(place)) rect.setAttribute(name, number.toFixed(2));
    rect.setAttribute("class", side ? `new ${o.verdict}` : "old");
    rect.append(Object.assign(document.createElementNS(svg.namespaceURI, "title"), { textContent: `${o.title}: ${ms(o.ms[0])} → ${ms(o.ms[1])}` }));
    rect.addEventListener("click", () => { state.show = "all"; state.text = byId("search").value = ""; open(i); });
    svg.append(rect);
  }));
  const key = (color, text) => make("span", {}, make("i", { style: `background: var(${color})` }), text);
  byId("chart").replaceChildren(make("figcaption", {}, key("--soft", "before"), key("--accent", "now"), key("--bad", "now, changed"),
    make("span", {}, `slowest ${ms(most)} (square-root scale)`)), svg);
}

// What two lines have at their beginning and end stays plain; what is between is marked.
function marked(line, other) {
  if (other === null || line === null) return [line ?? ""];
  let head = 0, tail = 0;
  while (head < Math.min(line.length, other.length) && line[head] === other[head]) head++;
  while (tail < Math.min(line.length, other.length) - head && line.at(-1 - tail) === other.at(-1 - tail)) tail++;
  return [line.slice(0, head), make("mark", {}, line.slice(head, line.length - tail)), line.slice(line.length - tail)];
}

const cell = (kind, ...content) => make("td", { class: kind }, ...content);
const old = { "!": "o", "-": "o", "~": "z", "=": "", "+": "x" }, now = { "!": "w", "+": "w", "~": "z", "=": "", "-": "x" };

function sideBySide([tag, before, after], a, b) {
  const differ = tag === "!";
  return [make("tr", {}, cell("n", before === null ? "" : a), cell(old[tag], ...(differ ? marked(before, after) : [before ?? ""])),
    cell("n", after === null ? "" : b), cell(now[tag], ...(differ ? marked(after, before) : [after ?? ""])))];
}

function inline([tag, before, after], a, b) {
  if (tag === "=" || tag === "~") return [make("tr", {}, cell("n", a), cell("n", b), cell(old[tag], `  ${after}`))];
  const differ = tag === "!", found = [];
  if (before !== null) found.push(make("tr", {}, cell("n", a), cell("n", ""), cell("o", "- ", ...(differ ? marked(before, after) : [before]))));
  if (after !== null) found.push(make("tr", {}, cell("n", ""), cell("n", b), cell("w", "+ ", ...(differ ? marked(after, before) : [after]))));
  return found;
}

// Rows far from any change are folded; a button unfolds them.
function diff(rows) {
  const near = rows.map((_, i) => rows.slice(Math.max(0, i - 3), i + 4).some(([tag]) => "!-+".includes(tag)));
  const body = make("tbody"), shape = state.inline ? inline : sideBySide;
  let a = 0, b = 0, fold = [];
  const flush = () => {
    if (!fold.length) return;
    const hidden = fold, unfold = make("button", { onclick: () => line.replaceWith(...hidden) }, `⋯ ${plural(hidden.length, "line")} ⋯`);
    const line = make("tr", { class: "fold" }, make("td", { colspan: state.inline ? 3 : 4 }, unfold));
    body.append(line);
    fold = [];
  };
  rows.forEach((row, i) => {
    if (row[1] !== null) a++;
    if (row[2] !== null) b++;
    const made = shape(row, a, b);
    if (near[i]) { flush(); body.append(...made); } else fold.push(...made);
  });
  flush();
  const columns = state.inline ? ["44px", "44px", ""] : ["44px", "", "44px", ""];
  return make("table", { class: "diff" }, make("colgroup", {}, ...columns.map((width) => make("col", width ? { style: `width: ${width}` } : {}))), body);
}

function changes(items, kind) {
  return make("table", { class: `changes ${kind}` }, ...items.map((c) => make("tr", {}, cell("", c.location),
    cell(c.old === null ? "" : "was", c.old === null ? "—" : asText(c.old)), cell(c.new === null ? "" : "is", c.new === null ? "—" : asText(c.new)))));
}

function detail() {
  const o = data.outcomes[state.at], article = byId("detail");
  if (!o) return article.replaceChildren(make("div", { class: "empty" }, "Pick a request."));
  article.replaceChildren(make("h2", {}, o.title),
    make("p", {}, `entry ${o.entry} — ${o.status[0]} → ${o.status[1] || "no response"} — ${ms(o.ms[0])} → ${ms(o.ms[1])}`));
  if (o.why) article.append(make("p", {}, o.why));
  if (o.changes.length) article.append(make("h3", {}, "Changes"), changes(o.changes, ""));
  for (const [part, title] of [["head", "Status and fields"], ["body", "Body"]])
    if (o[part]?.some(([tag]) => tag !== "=")) article.append(make("h3", {}, title), diff(o[part]));
  if (o.request) article.append(make("h3", {}, "Request"), make("pre", { id: "request" }, o.request));
  if (o.curl) article.append(make("button", { class: "copy", onclick: copy(o.curl) }, "Copy as curl"));
  if (o.ignored.length) article.append(make("details", {}, make("summary", {}, `${plural(o.ignored.length, "difference")} taken for noise`), changes(o.ignored, "ignored")));
  for (const [name, title] of [["noise", "Rules of noise in force"], ["links", "Values carried over"]])
    if (data[name].length) article.append(make("details", {}, make("summary", {}, `${title} (${data[name].length})`), make("ul", {}, ...data[name].map((t) => make("li", {}, t)))));
}

// Pages opened from a file may not use the clipboard's own interface everywhere.
function copy(text) {
  return async (event) => {
    const button = event.target, area = make("textarea", {});
    try { await navigator.clipboard.writeText(text); } catch {
      area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy as curl"; }, 1500);
  };
}

function open(number) {
  state.at = number;
  history.replaceState(null, "", `#${data.outcomes[number].entry}`);
  refresh();
  byId("list").querySelector(".on")?.scrollIntoView({ block: "nearest" });
  byId("detail").scrollTop = 0;
}

function move(by) {
  const numbers = shown(), next = numbers[numbers.indexOf(state.at) + by];
  if (next !== undefined) open(next);
}

function reshape() { state.inline = !state.inline; byId("shape").textContent = state.inline ? "Side by side" : "Inline"; detail(); }
function isDark() { const chosen = document.documentElement.dataset.theme; return chosen === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark"; }
function retheme() { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; byId("theme").textContent = isDark() ? "Light" : "Dark"; }
function refresh() { header(); list(); detail(); }

byId("search").addEventListener("input", (event) => { state.text = event.target.value.toLowerCase(); refresh(); });
byId("path").addEventListener("input", (event) => { state.path = event.target.value; refresh(); });
choices("host", "All hosts", data.outcomes.map(hostOf));
choices("kind", "All kinds", data.outcomes.flatMap(kindsOf));
byId("shape").addEventListener("click", reshape);
byId("theme").addEventListener("click", retheme);
document.addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT"].includes(event.target.tagName)) { if (event.key === "Escape") event.target.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = { j: () => move(1), k: () => move(-1), d: reshape, t: retheme, "/": () => byId("search").focus() };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});

const wanted = data.outcomes.findIndex((o) => `#${o.entry}` === location.hash);
if (wanted >= 0) { state.at = wanted; state.show = "all"; } else state.at = shown()[0] ?? 0;
byId("theme").textContent = isDark() ? "Light" : "Dark";
chart();
refresh();

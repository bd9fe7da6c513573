"use strict";
// Everything that comes from the coordinator is put in as text, never as markup: names and logs are machines' words.

const KINDS = [
  ["all", "nodes"], ["trouble", "in trouble"], ["waiting", "wait for you"], ["working", "at work"],
  ["idle", "not started"], ["done", "done"],
];
const WORDS = { started: "at work", failed: "failed, tries again", stopped: "stopped", done: "done", skipped: "skipped" };
const BADGES = { pending: "pending", issued: "not started", bound: "enrolled", closed: "done", revoked: "revoked" };
const find = (id) => document.getElementById(id);
const pieces = new Map();
const rows = new Map();
let kind = "all";
let offset = 0;

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) return `${whole}s`;
  if (whole < 6000) return `${Math.floor(whole / 60)}m${whole % 60 ? ` ${whole % 60}s` : ""}`;
  if (whole < 172800) return `${(whole / 3600).toFixed(1)} h`;
  return `${Math.round(whole / 86400)} days`;
}

const now = () => Date.now() / 1000 - offset;
const nodeNames = () => pieces.get("order") || [];
const nodeOf = (name) => pieces.get(`node ${name}`);
const troubled = (word) => word && (word[0] === "failed" || word[0] === "stopped");

// What an operator sorts nodes by.
function kindOf(node) {
  if (node.state === "pending") return "waiting";
  if (node.state === "revoked" || node.stages.some(troubled) || (node.boot && node.boot.state === "failed")) return "trouble";
  if (node.state === "closed") return "done";
  if (node.state === "issued" && !(node.boot && ["offered", "installing"].includes(node.boot.state))) return "idle";
  return "working";
}

function badgeOf(node) {
  const stopped = node.stages.some((word) => word && word[0] === "stopped");
  if (node.state === "revoked") return "revoked";
  if (stopped) return "stopped";
  if (node.stages.some(troubled)) return "tries again";
  if (node.boot && node.state === "issued" && node.boot.state !== "armed") return node.boot.state;
  return BADGES[node.state] || node.state;
}

function cellText(word) {
  if (!word || word[0] === "skipped") return "";
  const seconds = span(word[0] === "started" ? now() - word[3] : word[1]);
  return word[2] > 1 ? `${seconds} ×${word[2]}` : seconds;
}

function makeRow(name) {
  const node = make("div", "node");
  const row = make("button", "row");
  row.type = "button";
  row.setAttribute("aria-expanded", "false");
  const label = make("span", "name", name);
  const roles = make("small");
  label.append(roles);
  const badge = make("span", "badge");
  const strip = make("span", "strip");
  const doing = make("span", "doing");
  row.append(label, badge, strip, doing);
  node.append(row);
  const parts = { node, row, roles, badge, strip, doing, cells: [], detail: null, running: false };
  row.addEventListener("click", () => toggle(name));
  rows.set(name, parts);
  return parts;
}

function showCells(parts, stages, words) {
  while (parts.cells.length < stages.length) {
    const cell = make("span", "cell");
    parts.cells.push(cell);
    parts.strip.append(cell);
  }
  while (parts.cells.length > stages.length) parts.cells.pop().remove();
  words.forEach((word, at) => {
    const cell = parts.cells[at];
    const text = cellText(word);
    const state = word ? word[0] : "";
    if (cell.textContent === text && (cell.dataset.state || "") === state && cell.title) return;
    if (word) cell.dataset.state = state; else delete cell.dataset.state;
    cell.title = word ? `${stages[at]}: ${WORDS[state]} ${text}` : stages[at];
    put(cell, text);
  });
}

function showRow(name) {
  const node = nodeOf(name);
  const stages = pieces.get("head").stages;
  const parts = rows.get(name) || makeRow(name);
  const current = kindOf(node);
  const badge = badgeOf(node);
  parts.node.className = `node ${current}${badge === "tries again" ? " retry" : ""}`;
  put(parts.roles, node.roles.join(", "));
  put(parts.badge, badge);
  showCells(parts, stages, node.stages);
  parts.running = node.stages.some((word) => word && word[0] === "started");
  put(parts.doing, doingOf(node, stages));
  if (parts.detail) showDetail(name, parts);
  return parts;
}

function doingOf(node, stages) {
  const at = node.stages.findLastIndex((word) => word && word[0] !== "done" && word[0] !== "skipped");
  return at < 0 ? "" : `${stages[at]}: ${WORDS[node.stages[at][0]]}, ${cellText(node.stages[at])}`;
}

function toggle(name) {
  const parts = rows.get(name);
  if (parts.detail) {
    parts.detail.remove();
    parts.detail = null;
  } else {
    parts.detail = make("div", "detail");
    parts.node.append(parts.detail);
    showDetail(name, parts);
  }
  parts.row.setAttribute("aria-expanded", String(Boolean(parts.detail)));
}

function showDetail(name, parts) {
  const node = nodeOf(name);
  const facts = make("dl");
  const fact = (term, value) => value && facts.append(make("dt", "", term), make("dd", "", value));
  fact("address", node.address);
  fact("generation", String(node.generation));
  fact("network boot", node.boot ? [node.boot.state, node.boot.cause].filter(Boolean).join(": ") : "");
  const table = make("table");
  const logs = [];
  pieces.get("head").stages.forEach((stage, at) => {
    const word = node.stages[at];
    const line = make("tr");
    const first = make("td");
    const mark = make("i", "mark cell");
    if (word) mark.dataset.state = word[0];
    first.append(mark, stage);
    const tries = word && word[2] > 1 ? `${word[2]} attempts` : "";
    line.append(first, make("td", "", word ? WORDS[word[0]] : "not yet"), make("td", "", word ? span(word[0] === "started" ? now() - word[3] : word[1]) : ""), make("td", "", tries));
    table.append(line);
    if (word && word[4]) logs.push(make("p", "hint", `${stage} said`), make("pre", "", word[4]));
  });
  parts.detail.replaceChildren(facts, ...logs, table);
}

function showHead() {
  const head = pieces.get("head");
  document.documentElement.style.setProperty("--columns", String(head.stages.length));
  document.title = `${head.cluster} · kubeseed`;
  put(find("cluster"), head.cluster);
  const slot = head.slot ? `; ${head.slot.node} is joining` : "";
  const states = { none: "waiting for the first master", claimed: `${head.init.node} initialises it`, "pki-delivered": `${head.init.node} initialises it`, complete: "the cluster exists" };
  put(find("init"), `${states[head.init.state] || head.init.state}, epoch ${head.init.epoch}${slot}`);
  const titles = make("span", "strip");
  titles.append(...head.stages.map((stage) => make("span", "", stage)));
  find("head").replaceChildren(make("span", "", "node"), make("span", "", "enrolment"), titles);
  showBackup(head.backup, head.init.state === "complete");
  showStrangers(head.strangers);
}

function showBackup(backup, complete) {
  const place = find("backup");
  place.hidden = backup.taken === null && !(backup.stale && complete);
  place.className = backup.stale ? "stale" : "good";
  if (backup.taken === null) put(place, "no backup has arrived yet");
  else put(place, `backup ${span(now() - backup.taken)} old${backup.stale ? ": TOO OLD" : ""}`);
}

function showStrangers(strangers) {
  find("strangers").hidden = strangers.length === 0;
  find("strangers").querySelector("ul").replaceChildren(...strangers.map((seen) => {
    const marks = [seen.mac, seen.serial, seen.productUuid].filter(Boolean).join(", ");
    return make("li", "", `${marks}: ${seen.reason} (seen ${seen.count} times, from ${seen.peer})`);
  }));
}

function showWaiting() {
  const out = pieces.get("head").out;
  const pending = nodeNames().filter((name) => nodeOf(name).state === "pending");
  find("waiting").hidden = pending.length === 0;
  find("waiting").querySelector("ul").replaceChildren(...pending.map((name) => {
    const { fingerprint, facts } = nodeOf(name);
    const item = make("li");
    const machine = [facts.serial, facts.product_uuid, ...facts.macs].filter(Boolean).join(", ");
    item.append(make("b", "", name), make("span", "print", fingerprint), make("span", "machine", machine),
      make("code", "", `kubeseed approve ${quoted(out)} ${name} ${fingerprint}`));
    return item;
  }));
}

// For a shell: what is not plain goes between single quotes.
const quoted = (text) => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

function showFilters() {
  const counts = Object.fromEntries(KINDS.map(([name]) => [name, 0]));
  nodeNames().forEach((name) => { counts[kindOf(nodeOf(name))] += 1; });
  counts.all = nodeNames().length;
  find("filters").replaceChildren(...KINDS.map(([name, label]) => {
    const button = make("button", counts[name] ? name : `${name} empty`);
    button.type = "button";
    button.setAttribute("aria-pressed", String(name === kind));
    button.append(make("b", "", String(counts[name])), label);
    button.addEventListener("click", () => { kind = name; showFilters(); choose(); });
    return button;
  }));
  const share = counts.all ? 100 * counts.done / counts.all : 0;
  find("progress").firstElementChild.style.width = `${share}%`;
  find("progress").setAttribute("aria-valuenow", String(Math.round(share)));
}

function choose() {
  const wanted = find("search").value.trim().toLowerCase();
  let shown = 0;
  nodeNames().forEach((name) => {
    const node = nodeOf(name);
    const words = `${name} ${node.roles.join(" ")} ${node.address}`.toLowerCase();
    const hit = (kind === "all" || kindOf(node) === kind) && words.includes(wanted);
    rows.get(name).node.hidden = !hit;
    shown += hit;
  });
  find("none").hidden = shown > 0;
}

function take(news) {
  if (news.whole) {
    pieces.clear();
  }
  offset = Date.now() / 1000 - news.now;
  const changed = new Set(Object.keys(news.pieces));
  const stagesBefore = JSON.stringify((pieces.get("head") || {}).stages);
  for (const [name, piece] of Object.entries(news.pieces)) pieces.set(name, piece);
  news.gone.forEach((name) => pieces.delete(name));
  const every = news.whole || stagesBefore !== JSON.stringify(pieces.get("head").stages);
  if (changed.has("head")) showHead();
  const fresh = nodeNames().filter((name) => every || changed.has(`node ${name}`));
  fresh.forEach(showRow);
  if (changed.has("order") || every) arrange();
  showWaiting();
  showFilters();
  choose();
}

function arrange() {
  const names = new Set(nodeNames());
  for (const [name, parts] of rows) {
    if (!names.has(name)) {
      parts.node.remove();
      rows.delete(name);
    }
  }
  find("nodes").append(...nodeNames().map((name) => rows.get(name).node));
}

function tick() {
  if (!pieces.has("head")) return;
  showBackup(pieces.get("head").backup, pieces.get("head").init.state === "complete");
  nodeNames().filter((name) => rows.get(name).running).forEach(showRow);
}

function link(state, text) {
  find("link").className = state;
  put(find("link"), text);
}

function listen() {
  const source = new EventSource("stream");
  source.addEventListener("open", () => link("live", "live"));
  source.addEventListener("error", () => link("lost", "no connection: what you see may be old"));
  source.addEventListener("message", (message) => take(JSON.parse(message.data)));
}

find("search").addEventListener("input", choose);
setInterval(tick, 1000);
listen();

"use strict";
// The page of a heapwarden report. Data comes from the element #data; every
// text of it is set as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const { texts, frames, stacks } = data;
const KINDS = ["definite", "indirect", "possible", "hidden", "reachable"];
const ROW = 28;

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function amount(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes, unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(1)} ${units[unit]}`;
}

const functionOf = (frame) => texts[frames[frame][0]];
const fileOf = (frame) => (frames[frame][1] < 0 ? "" : texts[frames[frame][1]]);
const moduleOf = (frame) => (frames[frame][3] < 0 ? "" : texts[frames[frame][3]]);
function locationOf(frame) {
  const line = frames[frame][2];
  return fileOf(frame) === "" ? "" : fileOf(frame) + (line < 0 ? "" : `:${line}`);
}
function placeOf(stack) {
  const isSystem = (path) => /^\/(lib|lib64|usr\/lib\w*|usr\/include)\//.test(path);
  const own = stack.find((f) => fileOf(f) !== "" && !isSystem(fileOf(f)) && !isSystem(moduleOf(f)));
  return own ?? stack[0];
}

const sites = data.sites.map(([kind, blocks, bytes, records, stack, title, details]) => ({
  kind: texts[kind], blocks, bytes, records, stack: stacks[stack], title: texts[title], details,
}));
for (const site of sites) {
  const frame = placeOf(site.stack);
  const location = frame === undefined ? "" : locationOf(frame);
  const name = frame === undefined ? "an unknown place" : functionOf(frame);
  site.place = location === "" ? name : `${name} ${location}`;
  site.short = location === "" ? name : `${name} ${location.split("/").pop()}`;
}

// ---- totals ---------------------------------------------------------------

const state = { kind: null, words: [], column: null, order: "down", chosen: null };

function totals() {
  const sums = new Map();
  for (const site of sites) {
    const sum = sums.get(site.kind) ?? { bytes: 0, blocks: 0, sites: 0 };
    sum.bytes += site.bytes; sum.blocks += site.blocks; sum.sites += 1;
    sums.set(site.kind, sum);
  }
  for (const [kind, sum] of sums) {
    const card = element("button", undefined, { type: "button", "data-kind": kind, "aria-pressed": "false" });
    card.append(element("span", kind, { class: "kind" }));
    card.append(element("strong", KINDS.includes(kind) ? amount(sum.bytes) : `${number.format(sum.blocks)}×`));
    card.append(element("small", `${number.format(sum.blocks)} blocks, ${number.format(sum.sites)} sites`));
    card.addEventListener("click", () => {
      state.kind = state.kind === kind ? null : kind;
      for (const other of $("totals").children) {
        other.setAttribute("aria-pressed", String(other.dataset.kind === state.kind));
      }
      select();
    });
    $("totals").append(card);
  }
  return sums;
}

// ---- table: only the rows in view exist -----------------------------------

let visible = sites;

function words(site) {
  site.words ??= (site.kind + " " + site.stack.map((f) =>
    `${functionOf(f)} ${fileOf(f)} ${moduleOf(f)}`).join(" ")).toLowerCase();
  return site.words;
}

function select() {
  visible = sites.filter((site) => (state.kind === null || site.kind === state.kind)
    && state.words.every((word) => words(site).includes(word)));
  if (state.column !== null) {
    const sign = state.order === "down" ? -1 : 1, column = state.column;
    const compare = ["bytes", "blocks", "records"].includes(column)
      ? (a, b) => a[column] - b[column]
      : (a, b) => (a[column] < b[column] ? -1 : a[column] > b[column] ? 1 : 0);
    visible = visible.slice().sort((a, b) => sign * compare(a, b));
  }
  $("shown").textContent = `${number.format(visible.length)} of ${number.format(sites.length)} sites`;
  $("spacer").style.height = `${visible.length * ROW}px`;
  $("rows").scrollTop = 0;
  draw();
}

function draw() {
  const box = $("rows");
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 10);
  const last = Math.min(visible.length, first + Math.ceil(box.clientHeight / ROW) + 20);
  for (const row of box.querySelectorAll(".row")) row.remove();
  for (let index = first; index < last; index += 1) {
    const site = visible[index];
    const row = element("div", undefined, { class: "row", role: "row", "data-index": index,
      "aria-selected": String(site === state.chosen) });
    row.style.top = `${index * ROW}px`;
    row.append(element("span", site.kind, { class: "kind", "data-kind": site.kind }));
    for (const column of ["bytes", "blocks", "records"]) {
      row.append(element("span", number.format(site[column]), { class: "number" }));
    }
    row.append(element("span", site.short, { title: site.place }));
    box.append(row);
  }
}

function choose(site) {
  state.chosen = site;
  draw();
  show(site);
}

// ---- panel ----------------------------------------------------------------

function excerpt(frame) {
  const lines = data.excerpts[locationOf(frame)];
  if (lines === undefined) return null;
  const made = element("pre");
  lines.slice(1).forEach((line, index) => {
    const at = lines[0] + index;
    const text = `${String(at).padStart(5)}  ${line}`;
    made.append(element("span", text, at === frames[frame][2] ? { class: "here" } : {}));
  });
  return made;
}

function stackList(stack) {
  const list = element("ol", undefined, { class: "stack", start: 0 });
  let excerpts = 0;
  for (const frame of stack) {
    const item = element("li", functionOf(frame) + " ");
    item.append(element("small", locationOf(frame) || moduleOf(frame)));
    const source = excerpts < 2 ? excerpt(frame) : null;
    if (source !== null) { item.append(source); excerpts += 1; }
    list.append(item);
  }
  return list;
}

function evidenceBars(evidence) {
  const box = element("div");
  const bar = (name, share, text) => {
    const line = element("div", undefined, { class: "bar" });
    const track = element("div"), fill = element("i");
    fill.style.width = `${Math.min(100, share * 100)}%`;
    track.append(fill);
    line.append(element("span", name), track, element("span", text));
    box.append(line);
  };
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  const growth = Math.abs(evidence.growth_bytes_per_s);
  bar("never freed", 1 - evidence.freed_share, percent(1 - evidence.freed_share));
  if (evidence.idle_share !== undefined) bar("not touched", evidence.idle_share, percent(evidence.idle_share));
  bar("growth a second", Math.log2(1 + growth) / 30, amount(growth));
  return box;
}

function show(site) {
  const panel = $("panel");
  panel.replaceChildren(element("h2", `${site.kind}: ${site.title}`));
  for (const note of site.details.notes) panel.append(element("p", note));
  if (site.details.evidence !== undefined) panel.append(evidenceBars(site.details.evidence));
  for (const [what, stack] of site.details.stacks) {
    panel.append(element("h3", texts[what]), stackList(stacks[stack]));
  }
}

// ---- flame graph ----------------------------------------------------------

const flame = { root: null, zoom: null };

function grow() {
  const by = $("flame-by").value, kind = $("flame-kind").value;
  const root = { name: kind === "" ? "all" : kind, value: 0, children: new Map(), parent: null };
  for (const site of sites) {
    if (!KINDS.includes(site.kind) || (kind !== "" && site.kind !== kind)) continue;
    const value = site[by];
    let node = root;
    node.value += value;
    for (let depth = site.stack.length - 1; depth >= 0; depth -= 1) {
      const name = functionOf(site.stack[depth]);
      let child = node.children.get(name);
      if (child === undefined) {
        child = { name, value: 0, children: new Map(), parent: node };
        node.children.set(name, child);
      }
      child.value += value;
      node = child;
    }
  }
  flame.root = flame.zoom = root;
  drawFlame();
}

function colour(name) {
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 9973;
  return `hsl(${20 + (hash % 40)} ${70 + (hash % 20)}% ${64 + (hash % 12)}%)`;
}

function drawFlame() {
  const graph = $("flame-graph"), total = flame.zoom.value;
  const unit = $("flame-by").value === "bytes" ? amount : (count) => `${number.format(count)} blocks`;
  graph.replaceChildren();
  const above = [];
  for (let node = flame.zoom.parent; node !== null; node = node.parent) above.unshift(node);
  let deepest = above.length;
  const box = (node, left, width, depth) => {
    deepest = Math.max(deepest, depth);
    const share = flame.root.value === 0 ? 0 : (node.value / flame.root.value) * 100;
    const made = element("div", node.name, { class: "box",
      title: `${node.name}: ${unit(node.value)}, ${share.toFixed(1)} %` });
    Object.assign(made.style, { left: `${left}%`, width: `${width}%`, top: `${depth * 20}px`,
      background: colour(node.name) });
    made.addEventListener("click", () => { flame.zoom = node; drawFlame(); });
    graph.append(made);
  };
  above.forEach((node, depth) => box(node, 0, 100, depth));
  const fill = (node, left, width, depth) => {
    if (width < 0.08) return;
    box(node, left, width, depth);
    let at = left;
    const children = [...node.children.values()].sort((a, b) => b.value - a.value);
    for (const child of children) {
      const share = node.value === 0 ? 0 : (child.value / node.value) * width;
      fill(child, at, share, depth + 1);
      at += share;
    }
  };
  fill(flame.zoom, 0, 100, above.length);
  graph.style.height = `${(deepest + 1) * 20}px`;
  $("flame-info").textContent = `${flame.zoom.name}: ${unit(total)}`;
}

// ---- growth over several checks -------------------------------------------

function drawGrowth() {
  const NAME = "http://www.w3.org/2000/svg";
  const make = (tag, attributes, text) => {
    const made = document.createElementNS(NAME, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const points = data.history.slice().sort((a, b) => (a.time < b.time ? -1 : 1));
  const top = Math.max(1, ...points.flatMap((point) => Object.values(point.bytes)));
  const svg = make("svg", { viewBox: "0 0 1000 320", preserveAspectRatio: "none", role: "img" });
  const x = (index) => 20 + (index * 960) / Math.max(1, points.length - 1);
  const y = (bytes) => 290 - (bytes / top) * 260;
  for (const kind of KINDS) {
    if (points.every((point) => point.bytes[kind] === 0)) continue;
    const line = points.map((point, index) => `${x(index)},${y(point.bytes[kind])}`).join(" ");
    const drawn = make("polyline", { points: line, fill: "none", "stroke-width": 2.5, "data-kind": kind });
    drawn.style.stroke = "var(--kind)";
    drawn.append(make("title", {}, kind));
    svg.append(drawn);
    const last = points[points.length - 1];
    svg.append(make("text", { x: 970, y: y(last.bytes[kind]) - 6, "text-anchor": "end" }, `${kind} ${amount(last.bytes[kind])}`));
  }
  svg.append(make("text", { x: 20, y: 312 }, points[0].time));
  svg.append(make("text", { x: 980, y: 312, "text-anchor": "end" }, points[points.length - 1].time));
  $("growth").replaceChildren(element("h2", `Bytes over ${points.length} checks`), svg);
}

// ---- exhaustion: who held the memory --------------------------------------

function treemap(items, left, top, width, height, place) {
  // Slices along the longer side, half of the weight at a time.
  if (items.length === 0) return;
  if (items.length === 1) { place(items[0], left, top, width, height); return; }
  const total = items.reduce((sum, item) => sum + item.value, 0);
  let half = 0, count = 0;
  while (count < items.length - 1 && (count === 0 || half + items[count].value <= total / 2)) {
    half += items[count].value; count += 1;
  }
  const share = total === 0 ? 0.5 : half / total;
  const [one, two] = [items.slice(0, count), items.slice(count)];
  if (width >= height) {
    treemap(one, left, top, width * share, height, place);
    treemap(two, left + width * share, top, width * (1 - share), height, place);
  } else {
    treemap(one, left, top, width, height * share, place);
    treemap(two, left, top + height * share, width, height * (1 - share), place);
  }
}

function drawHolders(site) {
  const tree = element("div", undefined, { class: "tree" });
  const items = site.details.holders.map(([bytes, blocks, stack]) =>
    ({ value: bytes, blocks, stack: stacks[stack] }));
  const rest = site.details.in_use - items.reduce((sum, item) => sum + item.value, 0);
  if (rest > 0) items.push({ value: rest, blocks: 0, stack: [] });
  items.sort((a, b) => b.value - a.value);
  treemap(items, 0, 0, 100, 100, (item, left, top, width, height) => {
    const frame = placeOf(item.stack);
    const name = frame === undefined ? "all others" : `${functionOf(frame)} ${locationOf(frame)}`;
    const box = element("div", `${name} — ${amount(item.value)}`, { class: "box", title: item.stack.map(functionOf).join(" < ") });
    Object.assign(box.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%`,
      background: colour(name) });
    tree.append(box);
  });
  $("holders").append(element("h2", site.title), tree);
}

// ---- the page -------------------------------------------------------------

function view(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.setAttribute("aria-selected", String(tab.dataset.view === name));
  }
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== name;
  if (name === "flame" && flame.root === null) grow();
}

function start() {
  $("sum").textContent = data.sum;
  for (const notice of data.notices) $("notices").append(element("li", notice));
  const sums = totals();
  $("flame-kind").append(element("option", "all", { value: "" }));
  for (const kind of KINDS) {
    if (sums.has(kind)) $("flame-kind").append(element("option", kind, { value: kind }));
  }
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => view(tab.dataset.view));
  }
  if (data.history.length > 1) {
    document.querySelector("[data-view=growth]").hidden = false;
    drawGrowth();
  }
  const exhausted = sites.filter((site) => site.details.holders !== undefined);
  if (exhausted.length > 0) {
    document.querySelector("[data-view=holders]").hidden = false;
    exhausted.forEach(drawHolders);
  }
  for (const column of document.querySelectorAll("[data-column]")) {
    column.addEventListener("click", () => {
      const again = state.column === column.dataset.column;
      state.order = again && state.order === "down" ? "up" : "down";
      state.column = column.dataset.column;
      for (const other of document.querySelectorAll("[data-column]")) delete other.dataset.order;
      column.dataset.order = state.order;
      select();
    });
  }
  $("search").addEventListener("input", () => {
    state.words = $("search").value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    select();
  });
  $("rows").addEventListener("scroll", draw);
  $("rows").addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row !== null) choose(visible[Number(row.dataset.index)]);
  });
  $("rows").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || visible.length === 0) return;
    event.preventDefault();
    const at = Math.min(visible.length - 1, Math.max(0, visible.indexOf(state.chosen) + step));
    $("rows").scrollTop = Math.max(0, at * ROW - $("rows").clientHeight / 2);
    choose(visible[at]);
  });
  for (const id of ["flame-kind", "flame-by"]) $(id).addEventListener("change", grow);
  $("flame-reset").addEventListener("click", () => { flame.zoom = flame.root; drawFlame(); });
  $("theme").addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  });
  select();
  if (sites.length > 0) show(sites[0]);
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start();

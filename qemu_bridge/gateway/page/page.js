// The page: machines, the live picture, and tables about what is chosen. All text goes in as text, never as HTML.

import { LivePicture } from "./live.js";
import { followEvents, get, post, setToken, takeToken } from "./service.js";

const MOST_ROWS = 300;
const MOST_EVENTS = 200;
const REFRESH_MS = 3000;
const RECORDING = "page.gbt";
const MOST_SHOWN = 8;
const SETTLE_MS = 500;
const NO_MACHINE = "No machine runs. Start one with 'glassbox start demo'.";
const $ = (id) => document.getElementById(id);

let machine = "";
let mayControl = false;
let following = null;

const picture = new LivePicture($("live"), $("words"), $("over"), {
  ready: ({ title }) => {
    $("wait").hidden = true;
    document.title = `${title} – Glass Box`;
    picture.send({ do: "activate", machine });
  },
  picked: showPicked,
  legend: showLegend,
  problem: ({ message, is_end }) => { if (is_end) wait(message); else complain(message); },
  end: () => wait("The picture has ended. Choose the machine again, or wait for its return."),
});

// --- small things ---------------------------------------------------------------------------------------------

const operation = (name, of = machine) => `api/machines/${encodeURIComponent(of)}/${name}`;

function complain(message) {
  $("problem").textContent = message;
  $("problem").hidden = !message;
}

function wait(message) {
  $("wait").textContent = message;
  $("wait").hidden = false;
}

/** Do what a user asked for; an error becomes a sentence, which stays until something else is asked, a missing token a question. */
async function attempt(action, isAsked = true) {
  try {
    if (isAsked) complain("");
    await action();
  } catch (error) {
    if (error.status === 401) askForToken();
    else if (error.name !== "AbortError") complain(error.message);
  }
}

// Who closes the question without an answer is not asked again by itself.
function askForToken() {
  $("enter-token").hidden = false;
  if ($("ask-token").dataset.refused) complain("This page shows nothing without the token that 'glassbox serve' printed.");
  else if (!$("ask-token").open) $("ask-token").showModal();
}

const inWords = (bytes) => (bytes >= 1 << 20 ? `${(bytes / (1 << 20)).toFixed(1)} MiB` : `${(bytes / 1024).toFixed(bytes % 1024 ? 1 : 0)} KiB`);

const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** A table of rows of cells: text, numbers, or [text, action] for what can be pressed; without columns that are empty. */
function table(headings, rows, caption) {
  const isFilled = headings.map((_, column) => rows.some((row) => (row[column] ?? "") !== ""));
  if (rows.length) {
    headings = headings.filter((_, column) => isFilled[column]);
    rows = rows.map((row) => row.filter((_, column) => isFilled[column]));
  }
  const box = document.createElement("div");
  box.className = "scroll";
  // A table that is wider than its panel is a stop of its own, as it is scrolled by keys.
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `${caption}, whole table`);
  const made = box.appendChild(document.createElement("table"));
  made.setAttribute("aria-label", caption);
  const head = made.createTHead().insertRow();
  for (const heading of headings) {
    const cell = head.appendChild(document.createElement("th"));
    cell.scope = "col";
    cell.textContent = heading;
  }
  const body = made.createTBody();
  for (const row of rows.slice(0, MOST_ROWS)) {
    const line = body.insertRow();
    for (const value of row) {
      const cell = line.insertCell();
      if (Array.isArray(value)) {
        const button = cell.appendChild(document.createElement("button"));
        button.textContent = value[0];
        button.addEventListener("click", () => attempt(value[1]));
      } else {
        cell.textContent = value ?? "–";
        if (typeof value === "number") cell.className = "number";
      }
    }
  }
  if (rows.length > MOST_ROWS) {
    const more = box.appendChild(document.createElement("p"));
    more.className = "quiet";
    more.textContent = `${rows.length - MOST_ROWS} more rows are not shown.`;
  }
  return box;
}

function facts(list, pairs) {
  list.replaceChildren();
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.appendChild(document.createElement("dt")).textContent = name;
    list.appendChild(document.createElement("dd")).textContent = value;
  }
}

function options(select, values, chosen) {
  select.replaceChildren(...values.map(([value, label]) => new Option(label, value, false, value === chosen)));
}

// --- tabs -----------------------------------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[role=tab]")];
const opened = { processes: showProcesses, overlays: showOverlays, trace: showRecordings };

function openTab(name, focus = false) {
  // What is pressed in a panel may open another one: the keyboard goes on there.
  const left = document.activeElement?.closest("[role=tabpanel]");
  for (const tab of tabs) {
    const isChosen = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !isChosen;
    if (isChosen && focus) tab.focus();
  }
  if (left && left.id !== name) $(name).focus();
  if (machine && opened[name]) attempt(opened[name]);
}

tabs.forEach((tab, number) => {
  tab.addEventListener("click", () => openTab(tab.getAttribute("aria-controls")));
  tab.addEventListener("keydown", ({ key }) => {
    const to = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: tabs.length - 1 }[key];
    if (to !== undefined) openTab(tabs.at(to % tabs.length).getAttribute("aria-controls"), true);
  });
});

// --- machines -------------------------------------------------------------------------------------------------

let machines = [];
let shown = [];
let choosing = 0;

/** Whether the picture has several machines. */
const areSeveral = () => shown.length > 1;

async function listMachines() {
  machines = await get("api/machines");
  const names = machines.map((each) => each.name);
  if (!names.includes(machine)) {
    // Of several that are shown another one is left, and the picture goes on.
    const left = shown.find((name) => names.includes(name));
    await (left ? activate(left) : show(names.slice(0, 1)));
  }
  listChoices(names);
  showState();
}

// Only what changed is made anew: a list that somebody has open stays open.
function listChoices(names) {
  const select = $("machine");
  if ([...select.options].map((option) => option.value).join() !== names.join()) options(select, names.map((name) => [name, name]), machine);
  select.value = machine;
  const others = [...new Set([...names, ...shown])].filter((name) => name !== machine);
  $("beside").hidden = !others.length;
  const beside = shown.filter((name) => name !== machine);
  $("beside-names").textContent = beside.join(", ") || "none";
  const list = $("beside-list");
  const boxes = () => [...list.querySelectorAll("input")];
  if (boxes().map((box) => box.value).join() !== others.join()) {
    list.replaceChildren(list.firstElementChild, ...others.map((name) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
      box.addEventListener("change", chooseBeside);
      label.append(box, name);
      return label;
    }));
  }
  // What was just chosen, and is not shown yet, stays chosen.
  if (choosing) return;
  for (const box of boxes()) {
    box.checked = beside.includes(box.value);
    box.disabled = !box.checked && shown.length >= MOST_SHOWN;
  }
}

function chooseBeside() {
  clearTimeout(choosing);
  choosing = setTimeout(() => {
    choosing = 0;
    const chosen = [...$("beside-list").querySelectorAll("input:checked")].map((box) => box.value);
    attempt(() => show([machine, ...chosen]));
  }, SETTLE_MS);
}

function showState() {
  const found = machines.find((each) => each.name === machine);
  const state = found?.runstate ?? "";
  $("state").textContent = found ? found.error ?? `${state}, ${inWords(found.ram_bytes)}, ${found.image || found.machine}` : "";
  const [pause, resume] = [$("pause"), $("resume")];
  const focused = document.activeElement;
  pause.hidden = !mayControl || state !== "running";
  resume.hidden = !mayControl || state !== "paused";
  // The one takes the place of the other, for who uses keys too.
  if (focused === pause && pause.hidden) resume.focus();
  if (focused === resume && resume.hidden) pause.focus();
}

/** Show `names` side by side, as they are listed; tables are about the first of them. */
async function show(names) {
  const chosen = names[0] ?? "";
  const order = machines.map((each) => each.name);
  shown = [...names].sort((one, other) => order.indexOf(one) - order.indexOf(other));
  wait(chosen ? "Loading the memory …" : NO_MACHINE);
  const equal = $("mode").querySelector("[value=equal]");
  equal.hidden = equal.disabled = !areSeveral();
  if (equal.selected && equal.disabled) $("mode").value = "class";
  picture.show(shown, $("mode").value === "class" ? "" : `mode=${$("mode").value}`);
  if (!chosen) showLegend({ title: "", colours: [] });
  await activate(chosen);
}

/** Let tables, and what names no machine, be about `name`. */
async function activate(name) {
  const isOther = name !== machine;
  machine = name;
  picture.send({ do: "activate", machine });
  listChoices(machines.map((each) => each.name));
  showState();
  if (!isOther) return;
  following?.abort();
  for (const id of ["event-list", "byte-facts", "byte-mappings", "process-table", "overlay-table", "trace-table"]) $(id).replaceChildren();
  $("byte-hint").hidden = false;
  if (!name) return;
  following = new AbortController();
  followEvents(name, takeEvent, following.signal).catch(() => {});
  openTab(tabs.find((tab) => tab.getAttribute("aria-selected") === "true")?.getAttribute("aria-controls") ?? "byte");
}

/** A machine was chosen: one of the picture becomes the active one, another one takes the place of that. */
async function choose(name) {
  if (shown.includes(name)) await activate(name);
  else await show([name, ...shown.filter((each) => each !== machine)]);
}

/** What `ask` of the address of an operation gives for each machine shown, the active one first: [name, value, error]. */
function everywhere(name, query) {
  const names = [machine, ...shown.filter((each) => each !== machine)];
  return Promise.all(names.map((each) => get(operation(name, each), query).then((answer) => [each, answer, null], (error) => [each, null, error])));
}

/** Make a row of a table that is about several machines. */
const ofMachine = (name, row) => (areSeveral() ? [name, ...row] : row);

/** Go to the byte at `place`, of machine `name`. */
async function goTo(name, place) {
  await activate(name);
  const { ram_offset } = await identify(place);
  picture.send({ do: "select", ram_offset, machine: name });
}

function takeEvent(event) {
  const { event: kind, machine: _, time, ...rest } = event;
  const line = document.createElement("li");
  line.textContent = `${new Date(1000 * time).toLocaleTimeString()} ${kind} ${JSON.stringify(rest)}`;
  $("event-list").append(line);
  while ($("event-list").children.length > MOST_EVENTS) $("event-list").firstChild.remove();
  const found = machines.find((each) => each.name === machine);
  if (kind === "runstate" && found) found.runstate = event.runstate;
  showState();
  if (kind === "exited" && !areSeveral()) wait(`The machine has ended: ${event.reason}`);
}

// --- whose is this byte? --------------------------------------------------------------------------------------

async function showPicked(picked) {
  if (picked.ram_offset === undefined || picked.ram_offset === null) {
    $("byte-hint").hidden = false;
    $("byte-hint").textContent = "There is nothing. Click on a brick.";
    $("byte-facts").replaceChildren();
    $("byte-mappings").replaceChildren();
    openTab("byte");
    return;
  }
  await attempt(async () => {
    await activate(picked.machine);
    await identify(picked.physical, picked.content);
  });
}

async function identify(place, content = "", query = {}) {
  const { value, grade } = await get(operation("identify"), { place, ...query });
  openTab("byte");
  $("byte-hint").hidden = true;
  const symbol = value.symbol;
  facts($("byte-facts"), [
    ["Machine", areSeveral() ? machine : ""],
    ["It is", value.page_class],
    ["Owner", value.owners.map((owner) => (owner.pid ? `${owner.name} (${owner.pid})` : owner.name || owner.kind)).join(", ")],
    ["Symbol", symbol && `${symbol.module ? `${symbol.module}:` : ""}${symbol.name}+${symbol.offset}`],
    ["Slab object", value.slab && `${value.slab.cache} at ${value.slab.start}, byte ${value.slab.offset} of ${value.slab.size}`],
    ["File", value.file && `${value.file} at byte ${value.file_offset}`],
    ["Physical", value.physical],
    ["Kernel address", value.kernel_address],
    ["Page frame", `0x${value.frame.toString(16)}`],
    ["RAM offset", `0x${value.ram_offset.toString(16)}`],
    ["Bytes around", content.replace(/../g, "$& ")],
    ["Read while", grade],
    ["Not known", value.skipped.join("; ")],
  ]);
  const rows = value.mappings.map((each) => [each.pid, [each.name, () => find(`pid:${each.pid}`)], each.virtual, each.permissions, each.area]);
  $("byte-mappings").replaceChildren(rows.length ? table(["pid", "process", "virtual", "access", "area"], rows, "Who maps it") : "");
  return value;
}

// --- search ---------------------------------------------------------------------------------------------------

async function find(text) {
  $("query").value = text;
  if (/^(0x[0-9a-f]+|va:|\d+$)/i.test(text) && !/[&+]/.test(text.slice(1))) {
    return goTo(machine, text);
  }
  openTab("found");
  if (/[a-z] |\?$/i.test(text) && !/[&+:]/.test(text)) return ask(text);
  try {
    await showTarget(text);
  } catch (error) {
    const answers = await everywhere("find_symbols", { part: text });
    const rows = answers.flatMap(([name, answer]) => (answer?.value ?? []).map((symbol) =>
      ofMachine(name, [[symbol.name, () => goTo(name, symbol.name)], symbol.address, symbol.symbol_type, symbol.module])));
    if (!rows.length) throw error;
    $("found-summary").textContent = `${counted(rows.length, "symbol")} like ${text}.`;
    $("found-table").replaceChildren(table(ofMachine("machine", ["symbol", "address", "type", "module"]), rows, "Symbols"));
  }
}

async function ask(question) {
  const { understood, command, operation: name, arguments: given, answer, note, reason, alternatives } = await post(operation("ask"), { question });
  if (!understood) {
    $("found-summary").textContent = `Not sure what is asked: ${reason}.`;
    const rows = alternatives.map((each) => [each.understood, each.command]);
    $("found-table").replaceChildren(rows.length ? table(["it may mean", "command"], rows, "What may have been meant") : "");
    return;
  }
  if (name === "highlight") highlight(given.target);
  $("found-summary").textContent = [`${understood}: ${command}`, note].filter(Boolean).join(" · ");
  $("found-table").replaceChildren(answered(answer));
}

// Rows as a table, all else as it is.
function answered(answer) {
  const rows = Array.isArray(answer) ? answer : answer?.rows ?? answer?.ranges;
  if (rows?.length && typeof rows[0] === "object") {
    const columns = answer.columns?.map((each) => each.split(":")[0]) ?? Object.keys(rows[0]);
    return table(columns, rows.map((row) => columns.map((column) => String(row[column]))), "Answer");
  }
  const text = document.createElement("pre");
  text.textContent = answer === null ? "" : typeof answer === "string" ? answer : JSON.stringify(answer, null, 2);
  return text;
}

async function showTarget(target) {
  const answers = await everywhere("resolve", { target });
  if (answers.every(([, answer]) => !answer)) throw answers[0][2];
  highlight(target);
  const sentences = answers.map(([name, answer, error]) => {
    const found = answer ? `${inWords(answer.value.total_bytes)} in ${counted(answer.value.ranges.length, "range")}.` : `${error.message}.`;
    return [areSeveral() ? `${name}: ${found}` : found, ...(answer?.skipped ?? [])].join(" ");
  });
  $("found-summary").textContent = `${target}: ${sentences.join(" ")}`;
  const rows = answers.flatMap(([name, answer]) => (answer?.value.ranges ?? []).map((range) =>
    ofMachine(name, [[range.physical, () => goTo(name, range.physical)], inWords(range.size), range.page_class, range.owner])));
  $("found-table").replaceChildren(table(ofMachine("machine", ["physical", "size", "class", "owner"]), rows, `Memory of ${target}`));
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("query").value.trim();
  if (text && machine) attempt(() => find(text));
});
$("clear").addEventListener("click", () => {
  $("query").value = "";
  highlight("");
  picture.send({ do: "select", ram_offset: null });
});
let completing = 0;
$("query").addEventListener("input", () => {
  clearTimeout(completing);
  const prefix = $("query").value;
  completing = setTimeout(async () => {
    if (!machine || !prefix) return;
    const found = await get(operation("targets"), { prefix }).catch(() => null);
    if (found && $("query").value === prefix) options($("targets"), found.value.slice(0, 30).map((each) => [each, each]));
  }, 150);
});
// What stands out goes on to do so: a view that does not name it would end that.
$("mode").addEventListener("change", () => picture.send({ do: "look", view: `mode=${$("mode").value}${glow && `,glow=${encodeURIComponent(glow)}`}` }));

let glow = "";

/** Let the memory of `target` stand out in all machines of the picture; an empty one for nothing. */
function highlight(target) {
  glow = target;
  picture.send({ do: "show", target });
}

function showLegend({ title, colours, shown = "", shown_bytes }) {
  glow = shown;
  $("legend-title").textContent = title;
  const rows = [...colours];
  if (shown) rows.push({ label: shown, colour: "#ffe861", size_bytes: shown_bytes });
  $("colours").replaceChildren(...rows.map(({ label, colour, size_bytes }) => {
    const row = document.createElement("li");
    row.appendChild(document.createElement("i")).style.background = colour;
    row.append(label);
    if (size_bytes !== null) row.appendChild(document.createElement("b")).textContent = inWords(size_bytes);
    return row;
  }));
}

// --- processes, overlays, trace -------------------------------------------------------------------------------

async function showProcesses() {
  const { value } = await get(operation("ps"));
  const part = $("process-filter").value.toLowerCase();
  const wanted = value.filter((each) => `${each.pid} ${each.name} ${each.command_line}`.toLowerCase().includes(part));
  // Processes first: kernel threads have no memory of their own.
  wanted.sort((one, other) => (one.page_table === null) - (other.page_table === null) || one.pid - other.pid);
  const rows = wanted.map((each) => [
    each.pid,
    each.page_table === null ? each.name : [each.name, () => find(`pid:${each.pid}`)],
    each.state, each.uid, each.page_table === null ? "" : inWords(4096 * each.resident_pages), each.command_line,
  ]);
  $("process-table").replaceChildren(table(["pid", "name", "state", "uid", "resident", "command line"], rows, "Processes"));
}
$("process-filter").addEventListener("input", () => attempt(showProcesses));

async function showOverlays() {
  const chosen = $("overlay").value;
  const { value } = await get(operation("overlays"));
  options($("overlay"), value.map((each) => [each.name, `${each.name}: ${each.summary}`]), chosen || value[0]?.name);
  await showOverlay();
}

async function showOverlay() {
  const { value } = await get(operation("overlay"), { overlay: $("overlay").value });
  const names = value.columns.map((column) => column.split(":")[0]);
  const cell = (entry) => (entry !== null && typeof entry === "object" ? JSON.stringify(entry) : entry);
  $("overlay-summary").textContent = [`${counted(value.rows.length, "row")}.`, ...value.skipped].join(" ");
  $("overlay-table").replaceChildren(table(names, value.rows.map((row) => names.map((name) => cell(row[name]))), value.name));
}
$("overlay").addEventListener("change", () => attempt(showOverlay));

async function showRecordings(chosen = $("recording").value) {
  $("record").hidden = !mayControl;
  const files = (await get(operation("files"))).filter((file) => file.name.endsWith(".gbt"));
  options($("recording"), files.map((file) => [file.name, `${file.name}, ${inWords(file.size_bytes)}`]), chosen || files[0]?.name);
  if (files.length) await showTop();
  else {
    $("trace-table").replaceChildren();
    $("trace-summary").textContent = mayControl
      ? "Record what the machine executes, and see what is executed most."
      : "There is no recording, and this service may not make one; start it with 'glassbox serve --allow-control'.";
  }
}

async function showTop() {
  $("trace-summary").textContent = "Counting …";
  const top = await post(operation("trace_top"), { file: $("recording").value, options: { count: 20 } });
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  $("trace-summary").textContent = `${top.instructions.toLocaleString()} instructions.`;
  const place = ({ code: [first] }) => first.symbol || first.address;
  const blocks = top.blocks.map((each) => [share(each.share), place(each), each.process, each.executions]);
  const processes = top.processes.map((each) => [share(each.share), each.process, each.instructions]);
  $("trace-table").replaceChildren(
    table(["share", "process", "instructions"], processes, "Processes of the trace"),
    table(["share", "block", "mostly of", "executions"], blocks, "Blocks of the trace"),
  );
}
$("recording").addEventListener("change", () => attempt(showTop));
// Not disabled meanwhile: that would take the keyboard's focus away.
$("record").addEventListener("click", () => $("record").ariaDisabled === "true" || attempt(async () => {
  $("record").ariaDisabled = "true";
  $("trace-summary").textContent = "Recording …";
  try {
    await post(operation("trace_record"), { output: RECORDING, options: { seconds: 2, force: true } });
    await showRecordings(RECORDING);
  } finally {
    $("record").ariaDisabled = "false";
  }
}));

// --- beginning ------------------------------------------------------------------------------------------------

document.addEventListener("pointerdown", ({ target }) => {
  if (!$("beside").contains(target)) $("beside").open = false;
});
$("beside").addEventListener("focusout", ({ relatedTarget }) => {
  if (relatedTarget && !$("beside").contains(relatedTarget)) $("beside").open = false;
});
$("beside").addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  $("beside").open = false;
  $("beside").querySelector("summary").focus();
});
for (const name of ["pause", "resume"]) $(name).addEventListener("click", () => attempt(() => post(operation(name))));
$("machine").addEventListener("change", () => attempt(() => choose($("machine").value)));
$("ask-token").addEventListener("cancel", () => {
  $("ask-token").dataset.refused = "yes";
  $("token").value = "";
});
$("ask-token").addEventListener("close", () => {
  if ($("token").value) setToken($("token").value);
  attempt(begin);
});
$("enter-token").addEventListener("click", () => {
  delete $("ask-token").dataset.refused;
  $("ask-token").showModal();
});

async function begin() {
  mayControl = (await get("api/permissions")).includes("control");
  $("enter-token").hidden = true;
  await listMachines();
}

takeToken();
openTab("byte");
await attempt(begin);
setInterval(() => {
  if (!document.hidden && !$("ask-token").open) attempt(listMachines, false);
}, REFRESH_MS);

"use strict";
/* Asks nlbd every two seconds and shows the answers. Everything that comes from
 * there is put in as text. */

const STATUS_MS = 2000;
const HISTORY_MS = 5000;
const EVENTS_SHOWN = 200;

const VERDICTS = {
  ok: "✓ All is well",
  degraded: "▲ Degraded",
  failing: "✗ Failing",
};
const STATES = {
  healthy: ["✓", "ok"],
  initial: ["…", "degraded"],
  unhealthy: ["✗", "failing"],
  "unhealthy.draining": ["✗", "failing"],
  unavailable: ["?", "failing"],
  draining: ["↓", "degraded"],
  unused: ["–", ""],
};

const $ = (id) => document.getElementById(id);

function element(tag, text, attributes) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  Object.entries(attributes || {}).forEach(([name, value]) => {
    node.setAttribute(name, value);
  });
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/* Pairs of a term and its value. */
function setPairs(list, pairs) {
  list.replaceChildren(...pairs.map(([term, value]) => {
    const group = element("div");
    group.append(element("dt", term), element("dd", value));
    return group;
  }));
}

function duration(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const words = [];
  parts.forEach(([size, unit]) => {
    const n = Math.floor(seconds / size);
    seconds -= n * size;
    if (n > 0 && words.length < 2) words.push(`${n} ${unit}`);
  });
  return words.join(" ") || "0 s";
}

function localTime(text) {
  return text ? stamp(new Date(text)) : "never";
}

/* ---- what /v1/status says ------------------------------------------------ */

function showBanner(status) {
  const reload = status.config.last_reload;
  setText($("name"), `nlbd: ${status.load_balancer}`);
  document.title = `${VERDICTS[status.health]} · ${status.load_balancer}`;
  setText($("verdict"), status.stopping ? "↓ Stopping: no new flows"
    : VERDICTS[status.health]);
  $("verdict").className = status.health;
  setPairs($("facts"), [
    ["Zone", `${status.zone.name || "none"}, ${status.zone.healthy
      ? "✓ healthy" : "✗ unhealthy for DNS"}`],
    ["Up", duration(status.uptime_seconds)],
    ["Version", status.version],
    ["Configuration", `${status.config.hash}, generation ${
      status.config.generation}`],
    ["Last reload", reload.verdict === "none" ? "none yet"
      : `${reload.verdict === "accepted" ? "✓" : "✗"} ${reload.verdict} ${
        localTime(reload.time)}: ${reload.message}`],
  ]);
}

function showProblems(problems) {
  $("problems").hidden = problems.length === 0;
  $("problem-list").replaceChildren(
    ...problems.map((text) => element("li", text)));
}

let tileBefore = null;

function showTiles(status) {
  const sum = (key) => status.listeners.reduce((n, l) => n + l[key], 0);
  const groups = status.target_groups;
  const now = {
    at: Date.now(),
    flows: sum("new_flows"),
    bytes: sum("client_to_target_bytes") + sum("target_to_client_bytes"),
    resets: sum("client_resets") + sum("target_resets") + sum("elb_resets"),
  };
  const seconds = tileBefore ? (now.at - tileBefore.at) / 1000 : 0;
  const perSecond = (key, unit) => (seconds > 0
    ? siNumber(grown(now[key], tileBefore[key]) / seconds, unit) : "–");
  setPairs($("tiles"), [
    ["Active flows", siNumber(status.active_flows)],
    ["New flows a second", perSecond("flows")],
    ["Payload a second", perSecond("bytes", "B")],
    ["Resets a second", perSecond("resets")],
    ["Healthy targets", `${groups.reduce((n, g) => n + g.healthy, 0)} of ${
      groups.reduce((n, g) => n + g.registered, 0)}`],
    ["Workers serving", `${status.workers
      .filter((w) => w.state === "serving").length} of ${
      status.workers.length}`],
  ]);
  tileBefore = now;
}

function details(target) {
  const parts = [];
  if (target.reason) parts.push(`${target.reason}: ${target.description}`);
  if (target.state !== "healthy" && target.last_check)
    parts.push(`last check: ${target.last_check}`);
  if (target.fail_open) parts.push("gets flows by fail open");
  if (target.standby) parts.push("standby");
  parts.push(`for ${duration(target.state_seconds)}`);
  return parts.join("; ");
}

function cell(label, text, kind) {
  return element("td", text,
    { role: "cell", "data-label": label, ...(kind && { class: kind }) });
}

function showTargets(targets) {
  $("target-rows").replaceChildren(...targets.map((target) => {
    const [sign, kind] = STATES[target.state] || ["?", ""];
    const row = element("tr", undefined, { role: "row" });
    row.append(
      cell("Target group", target.target_group),
      cell("IP address", target.address),
      cell("Port", String(target.port), "number"),
      cell("Zone", target.availability_zone || "–"),
      cell("Health status", `${sign} ${target.state}`, `state ${kind}`.trim()),
      cell("Details", details(target)),
      cell("Flows", String(target.active_flows), "number"));
    return row;
  }));
}

function showStatus(status) {
  showBanner(status);
  showProblems(status.problems);
  showTiles(status);
  showTargets(status.targets);
}

/* ---- events, history ------------------------------------------------------ */

let lastEvent = 0;

function showEvents(answer) {
  /* nlbd was started anew: its ids begin again. */
  if (answer.last_id < lastEvent) $("event-list").replaceChildren();
  lastEvent = answer.last_id;
  answer.events.forEach((event) => {
    const item = element("li");
    item.append(
      element("time", localTime(event.time), { datetime: event.time }),
      element("span", event.priority),
      element("span", event.message));
    $("event-list").prepend(item);
  });
  while ($("event-list").children.length > EVENTS_SHOWN)
    $("event-list").lastChild.remove();
}

let samples = [];

function lastSampleTime() {
  return samples.length ? samples[samples.length - 1].time_ms : 0;
}

function showHistory(answer) {
  const since = lastSampleTime() - MINUTES * 60000;
  samples = samples.concat(answer.samples)
    .filter((sample) => sample.time_ms >= since);
  charts.show({ ...answer, samples });
}

/* ---- asking --------------------------------------------------------------- */

let silentSince = null;

async function ask(path, show) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  show(await answer.json());
}

async function repeatedly(work, ms) {
  try {
    await work();
    silentSince = null;
  } catch (error) {
    silentSince = silentSince || new Date();
    setText($("verdict"), `✗ No answer from nlbd since ${
      stamp(silentSince)}: what is shown is old`);
    $("verdict").className = "failing";
  }
  setTimeout(repeatedly, ms, work, ms);
}

const charts = new Charts();
repeatedly(async () => {
  await ask("v1/status?include=targets", showStatus);
  await ask(`v1/events?since=${lastEvent}`, showEvents);
}, STATUS_MS);
repeatedly(() => ask(`v1/history?since=${lastSampleTime()}`, showHistory),
  HISTORY_MS);

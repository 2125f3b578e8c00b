// The live page. The server says only "changed" (server-sent events); this module then fetches the whole
// picture and rebuilds the sections that differ. Nothing is lost when an event is: the next picture has it.
// All text reaches the page through text nodes, never as markup.

const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 15000;
const FETCH_TIMEOUT_MS = 10000;
const SILENCE_MAX_MS = 38000; // two and a half keepalives of the server
const NOW_MS = 4000; // a gate's reads are "now" for so long
const HEARD_MAX_MS = 30000; // three heartbeats of a gateway

const texts = JSON.parse(document.getElementById("texts").textContent);
const language = document.documentElement.lang;
const isChinese = language.startsWith("zh");

let picture = JSON.parse(document.getElementById("picture").textContent);
let clockAheadMs = Date.parse(picture.at) - Date.now();
const shown = new Map(); // section → what it was built from
const seen = new Map(); // list → keys that were there before, to mark what is new

// ── Words and numbers ──

function t(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function named(row, name = "item") {
  const [first, second] = isChinese ? ["_zh", "_en"] : ["_en", "_zh"];
  return row[name + first] || row[name + second] || "";
}

/** Groups digits of a decimal text without ever making it a float. */
function grouped(text) {
  if (text === null || text === undefined) return "";
  const [whole, fraction] = text.replace("-", "").split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return (text.startsWith("-") ? "−" : "") + spaced + (fraction === undefined ? "" : "." + fraction);
}

const clock = new Intl.DateTimeFormat(language, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: picture.company.time_zone,
});
const day = new Intl.DateTimeFormat(language, {
  month: "2-digit", day: "2-digit", timeZone: picture.company.time_zone,
});

function timeCell(at) {
  if (at === null) return [];
  const moment = new Date(at);
  const isToday = day.format(moment) === day.format(now());
  const time = el("time", { datetime: at, title: at }, clock.format(moment));
  return isToday ? [time] : [time, el("small", {}, day.format(moment))];
}

function now() {
  return new Date(Date.now() + clockAheadMs);
}

function age(at) {
  const seconds = Math.max(0, Math.round((now() - Date.parse(at)) / 1000));
  if (seconds < 90) return t("age.seconds", { n: seconds });
  if (seconds < 5400) return t("age.minutes", { n: Math.round(seconds / 60) });
  if (seconds < 129600) return t("age.hours", { n: Math.round(seconds / 3600) });
  return t("age.days", { n: Math.round(seconds / 86400) });
}

// ── Building ──

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function chip(text, look) {
  return el("span", { class: "chip", "data-look": look }, text);
}

function chips(row) {
  return (row.tags ?? []).map((tag) => chip(t("tag." + tag), "warn"));
}

/** A table. Columns are [heading, class]; each row is {key, cells}. New keys are marked. */
function table(list, columns, rows, none) {
  if (rows.length === 0) return [el("p", { class: "none" }, none)];
  const before = seen.get(list);
  seen.set(list, new Set(rows.map((row) => row.key)));
  const head = el("tr", {}, columns.map(([text, look]) => el("th", { class: look, scope: "col" }, text)));
  const body = rows.map((row) => {
    const isNew = before !== undefined && !before.has(row.key);
    const look = [isNew ? "fresh" : "", row.look ?? ""].join(" ").trim();
    return el("tr", { class: look || null }, row.cells.map((cell, i) => el("td", { class: columns[i][1] }, cell)));
  });
  return [el("table", { class: list }, el("thead", {}, head), el("tbody", {}, body))];
}

function itemCell(row) {
  return [el("b", {}, row.item ?? "?"), el("small", {}, named(row))];
}

function more(some) {
  if (some.total <= some.rows.length) return [];
  return [el("p", { class: "more" }, t("table.more", { shown: some.rows.length, total: some.total }))];
}

// ── Sections ──

const sections = {
  agreement: () => picture.agreement,
  attention: () => [picture.counts, gatewayStates()],
  gates: () => [picture.gates, gateStates()],
  gateways: () => [picture.gateways, gatewayStates(), picture.gateways.map((row) => row.heard_at && age(row.heard_at))],
  passages: () => picture.passages,
  movements: () => picture.movements,
  balances: () => picture.balances,
  pools: () => picture.pools,
  entries: () => picture.entries,
};

const builders = {
  agreement(node) {
    const { stock, ledger, difference, agrees } = picture.agreement;
    const figure = (key, value, look) =>
      el("div", { class: look }, el("dt", {}, t(key)), el("dd", {}, grouped(value), el("small", {}, picture.company.currency)));
    node.dataset.agrees = agrees;
    return [
      el("h1", {}, el("span", { class: "mark", "aria-hidden": "true" }, agrees ? "✓" : "!"),
        t(agrees ? "agreement.title" : "agreement.broken")),
      el("dl", {},
        figure("agreement.stock", stock, "figure"),
        figure("agreement.ledger", ledger, "figure"),
        figure("agreement.difference", difference, "figure difference")),
    ];
  },

  attention() {
    const counts = picture.counts;
    const states = gatewayStates();
    const online = states.filter((state) => state === "online").length;
    const troubles = [];
    if (counts.stopped_logs) troubles.push(t("attention.stopped", { count: counts.stopped_logs }));
    if (counts.unknown_gateways) troubles.push(t("attention.unknown", { count: counts.unknown_gateways }));
    const tile = (id, look, value, title, sub) =>
      el("div", { class: "tile", id, "data-look": look }, el("b", {}, value), el("span", {}, title), el("small", {}, sub));
    return [
      tile("count-clarification", counts.clarification_items ? "warn" : "good", String(counts.clarification_items),
        t("attention.clarification"), t("attention.clarification_sub", { amount: grouped(counts.clarification_amount) })),
      tile("count-open", counts.open_observations ? "warn" : "good", String(counts.open_observations),
        t("attention.open"), t("attention.open_sub")),
      tile("count-quarantine", counts.quarantine ? "bad" : "good", String(counts.quarantine),
        t("attention.quarantine"), t("attention.quarantine_sub")),
      tile("count-gateways", troubles.length ? "bad" : online < states.length ? "warn" : "good",
        `${online}/${states.length}`, t("attention.gateways"), troubles.join(" · ") || t("attention.gateways_ok")),
    ];
  },

  gates() {
    if (picture.gates.length === 0) return [el("p", { class: "none" }, t("gates.none"))];
    const states = gateStates();
    return picture.gates.map((gate, i) => gateCard(gate, states[i]));
  },

  gateways() {
    const states = gatewayStates();
    if (states.length === 0) return [el("p", { class: "none" }, t("gateways.none"))];
    return [el("ul", { class: "gateways" }, picture.gateways.map((row, i) => gatewayRow(row, states[i])))];
  },

  passages() {
    const columns = [[t("table.time"), "time"], [t("passages.gate"), "gate"], [t("passages.tag"), "item"],
      [t("passages.direction"), "direction"], [t("passages.outcome"), "outcome"]];
    const arrows = { in: "→", out: "←", turned_back: "↩", undecided: "?" };
    const looks = { moved: "good", unregistered: "warn" };
    return table("passages", columns, picture.passages.map((row) => ({
      key: row.id,
      cells: [
        timeCell(row.at),
        [row.gate ?? "?"],
        row.item ? [el("b", {}, named(row) || row.item), el("small", { class: "epc" }, row.epc)]
          : [el("b", { class: "epc" }, row.epc), el("small", {}, t("gates.unknown_tag"))],
        [el("a", { class: "way", "data-way": row.direction, href: "/passages/" + row.id,
          "aria-label": t("passages.why", { direction: t("direction." + row.direction), tag: row.epc }) },
          el("span", { class: "arrow", "aria-hidden": "true" }, arrows[row.direction]), t("direction." + row.direction)),
        el("small", { title: row.reason || null }, `${Math.round(row.confidence * 100)} %`)],
        // Turned back and undecided are both direction and outcome; once is enough.
        row.outcome === row.direction ? [] : [chip(t("outcome." + row.outcome), looks[row.outcome] ?? "quiet")],
      ],
    })), t("passages.none"));
  },

  movements() {
    const columns = [[t("table.time"), "time"], [t("movements.kind"), "kind"],
      [`${t("movements.item")} · ${t("movements.way")}`, "item"], [t("movements.quantity"), "number"]];
    return table("movements", columns, picture.movements.map((row) => ({
      key: row.id,
      cells: [
        timeCell(row.at),
        [el("span", {}, t("kind." + row.kind)), el("small", {}, [row.document, row.party].filter(Boolean).join(" · ")),
          ...(row.is_correction ? [chip(t("movements.correction"), "warn")] : []), ...chips(row)],
        [el("b", {}, row.item ?? "?"), el("span", { class: "name" }, named(row)),
          el("small", {}, `${row.from ?? "?"} → ${row.to ?? "?"}`)],
        [el("b", {}, grouped(row.quantity)), el("small", {}, row.unit ?? "")],
      ],
    })), t("movements.none"));
  },

  balances() {
    const columns = [[t("movements.item"), "item"], [t("balances.location"), "place"], [t("movements.quantity"), "number"]];
    const special = ["clarification", "in_transit"];
    let last = null;
    const rows = picture.balances.rows.map((row) => {
      const isSame = row.item === last;
      last = row.item;
      return {
        key: `${row.item}|${row.location}|${row.quantity}`,
        look: isSame ? "same" : "",
        cells: [
          isSame ? [] : itemCell(row),
          [el("span", {}, row.location), special.includes(row.location_kind)
            ? chip(t("location_kind." + row.location_kind), "warn") : el("small", {}, row.location_name)],
          [el("b", { class: row.quantity.startsWith("-") ? "negative" : null }, grouped(row.quantity)), el("small", {}, row.unit)],
        ],
      };
    });
    return [...table("balances", columns, rows, t("balances.none")), ...more(picture.balances)];
  },

  pools() {
    const columns = [[t("movements.item"), "item"], [t("movements.quantity"), "number"],
      [t("pools.unit_cost"), "number cost"], [t("pools.value"), "number"]];
    const rows = picture.pools.rows.flatMap((pool) => [poolRow(pool), ...layerRows(pool)]);
    return [...table("pools", columns, rows, t("pools.none")), ...more(picture.pools)];
  },

  entries() {
    if (picture.entries.length === 0) return [el("p", { class: "none" }, t("entries.none"))];
    const before = seen.get("entries");
    seen.set("entries", new Set(picture.entries.map((entry) => entry.id)));
    const head = [[t("entries.account"), "account"], [t("entries.debit"), "number"], [t("entries.credit"), "number"]];
    return [el("div", { class: "entries" }, picture.entries.map((entry) => {
      const isNew = before !== undefined && !before.has(entry.id);
      return el("article", { class: isNew ? "entry fresh" : "entry" },
        el("header", {}, el("time", { datetime: entry.date }, entry.date), el("b", {}, t("kind." + entry.kind)),
          el("span", {}, entry.document), ...(entry.is_adjustment ? [chip(t("entries.adjustment"), "warn")] : []), ...chips(entry)),
        el("table", {}, el("thead", {}, el("tr", {}, head.map(([text, look]) => el("th", { class: look, scope: "col" }, text)))),
          el("tbody", {}, entry.lines.map((line) => el("tr", {},
            el("td", { class: line.credit === null ? "account" : "account credit" },
              el("div", {}, el("b", {}, line.account), el("span", {}, named(line, "account")))),
            el("td", { class: "number" }, grouped(line.debit)),
            el("td", { class: "number" }, grouped(line.credit)))))));
    }))];
  },
};

function gateStates() {
  return picture.gates.map((gate) => {
    if (gate.seen_at === null) return "never";
    return now() - Date.parse(gate.seen_at) < NOW_MS && gate.tags.length > 0 ? "reading" : "quiet";
  });
}

function gatewayStates() {
  return picture.gateways.map((row) => {
    if (row.stopped) return "stopped";
    if (row.heard_at === null) return "never";
    if (!row.online) return "offline";
    return now() - Date.parse(row.heard_at) > HEARD_MAX_MS ? "silent" : "online";
  });
}

function gateCard(gate, state) {
  const strongest = Math.max(1, ...gate.tags.map((tag) => tag.reads));
  const tags = state !== "reading" ? [] : gate.tags.map((tag) => {
    const bar = el("meter", { min: 0, max: strongest, value: tag.reads, "aria-hidden": "true" });
    return el("li", {},
      el("span", { class: "what" }, el("b", {}, named(tag) || tag.item || t("gates.unknown_tag")), el("small", { class: "epc" }, tag.epc),
        ...(tag.provisional ? [el("span", { class: "chip provisional", "data-look": "warn", title: t("gates.provisional_why") },
          t("gates.provisional", { direction: t("direction." + tag.provisional) }))] : [])),
      bar,
      el("span", { class: "signal" }, el("b", {}, String(tag.reads)),
        el("small", {}, `${Math.round(tag.rssi_dbm)} dBm · ${t("gates.antennas", { list: tag.antennas.join(" ") })}`)));
  });
  const words = { reading: t("gates.reads", { count: gate.reads }), quiet: t("gates.quiet"), never: t("gates.never") };
  return el("article", { class: "gate-card", "data-state": state },
    el("header", {}, el("b", {}, gate.code), el("small", {}, `${gate.outside} → ${gate.inside}`),
      el("span", { class: "state" }, el("span", { class: "dot" }), words[state])),
    ...(tags.length ? [el("ul", {}, tags)] : []),
    el("footer", {}, [
      state === "reading" && gate.more_tags ? t("gates.more", { count: gate.more_tags }) : null,
      gate.reads_total ? t("gates.reads_total", { count: grouped(String(gate.reads_total)) }) : null,
      gate.shed ? t("gates.shed", { count: gate.shed }) : null,
    ].filter(Boolean).join(" · ")));
}

function gatewayRow(row, state) {
  const notes = [];
  if (row.stopped) notes.push(t("gateways.stopped", { reason: row.stopped }));
  if (row.heard_at !== null) notes.push(t("gateways.heard", { age: age(row.heard_at) }));
  if (row.waiting_since) notes.push(t("gateways.waiting", { age: age(row.waiting_since) }));
  const ahead = Math.round(Number(row.clock_ahead_s ?? 0) * 10) / 10;
  if (Math.abs(ahead) >= 2) notes.push(t(ahead > 0 ? "gateways.clock_ahead" : "gateways.clock_behind", { seconds: Math.abs(ahead) }));
  if (row.left_out.length) {
    const list = row.left_out.map((one) => `${one.name} ${grouped(String(one.count))}`).join(", ");
    notes.push(t("gateways.left_out", { list }));
  }
  const devices = row.devices.map((device) => chip(device.name, device.connected ? "good" : "bad"));
  const words = { stopped: t("gateways.offline"), never: t("gateways.never"), offline: t("gateways.offline"),
    silent: t("gateways.silent"), online: t("gateways.online") };
  const looks = { online: "good", never: "quiet", silent: "warn", offline: "bad", stopped: "bad" };
  return el("li", {}, el("b", {}, row.name), chip(words[state], looks[state]), ...devices, el("small", {}, notes.join(" · ")));
}

function poolRow(pool) {
  return {
    key: `${pool.id}|${pool.quantity}|${pool.value}`,
    look: "pool",
    cells: [
      [el("b", {}, pool.item), el("span", { class: "name" }, named(pool)),
        el("small", {}, [t("method." + pool.method), `${pool.account} ${named(pool, "account")}`, pool.site].filter(Boolean).join(" · ")),
        ...(pool.is_late ? [chip(t("pools.late"), "warn")] : [])],
      [el("b", {}, grouped(pool.quantity)), el("small", {}, pool.unit)],
      [grouped(pool.unit_cost)],
      [el("b", {}, grouped(pool.value))],
    ],
  };
}

/** A pool of one layer says it all in its own row. */
function layerRows(pool) {
  const isAverage = ["moving_average", "periodic_average", "standard"].includes(pool.method);
  if (isAverage && !pool.layers.some((layer) => layer.uncosted || layer.quantity.startsWith("-"))) return [];
  const rows = pool.layers.map((layer) => {
    const isShort = layer.quantity.startsWith("-");
    return {
      key: `${pool.id}/${layer.no}|${layer.quantity}`,
      look: "layer",
      cells: [
        [el("span", {}, isShort ? t("pools.shortage") : t("pools.layer", { no: layer.no })), ...timeCell(layer.at),
          ...(layer.uncosted ? [chip(t("tag.uncosted"), "warn")] : [])],
        [grouped(layer.quantity)], [grouped(layer.unit_cost)], [grouped(layer.value)],
      ],
    };
  });
  if (pool.more_layers > 0) {
    rows.push({ key: `${pool.id}/more`, look: "layer", cells: [[t("pools.more", { count: pool.more_layers })], [], [], []] });
  }
  return rows;
}

function render() {
  for (const [id, source] of Object.entries(sections)) {
    const basis = JSON.stringify(source());
    if (shown.get(id) === basis) continue;
    shown.set(id, basis);
    const node = document.getElementById(id);
    node.replaceChildren(...builders[id](node));
  }
  document.getElementById("as-of").textContent = t("live.as_of", { time: clock.format(new Date(picture.at)) });
}

// ── Staying in touch ──

const connection = document.getElementById("connection");
let isFetching = false;
let isStale = false;
let retryMs = RETRY_FIRST_MS;
let heardMs = Date.now();
let stream = null;
let retryTimer = null;

function setConnection(state) {
  if (connection.dataset.state === state) return;
  connection.dataset.state = state;
  connection.querySelector(".word").textContent = t("connection." + state);
}

/** Fetches the newest picture; a change during a fetch is fetched after it. */
async function refresh() {
  if (isFetching) {
    isStale = true;
    return;
  }
  isFetching = true;
  try {
    do {
      isStale = false;
      const response = await fetch("/live/state", { cache: "no-store", signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
      if (response.status === 401) {
        location.assign("/sign-in");
        return;
      }
      if (!response.ok) throw new Error(`/live/state: expected 200, got ${response.status}`);
      picture = await response.json();
      clockAheadMs = Date.parse(picture.at) - Date.now();
      render();
      setConnection("live");
    } while (isStale);
  } catch {
    setConnection("reconnecting");
    reconnectSoon();
  } finally {
    isFetching = false;
  }
}

function connect() {
  stream?.close();
  stream = new EventSource("/live");
  heardMs = Date.now();
  const heard = () => { heardMs = Date.now(); };
  stream.addEventListener("hello", () => { heard(); retryMs = RETRY_FIRST_MS; refresh(); });
  stream.addEventListener("alive", heard);
  stream.addEventListener("changed", () => { heard(); refresh(); });
  stream.addEventListener("signed-out", () => location.assign("/sign-in"));
  stream.addEventListener("error", () => {
    setConnection("reconnecting");
    // A refused stream (401, 503) is closed for good, and its status is not told: the fetch finds out.
    if (stream.readyState === EventSource.CLOSED) reconnectSoon();
  });
}

function reconnectSoon() {
  stream?.close();
  if (retryTimer !== null) return;
  retryTimer = setTimeout(() => {
    retryTimer = null;
    refresh();
    connect();
  }, retryMs);
  retryMs = Math.min(2 * retryMs, RETRY_MAX_MS);
}

setInterval(() => {
  render(); // ages, and gates that went quiet
  if (Date.now() - heardMs > SILENCE_MAX_MS) {
    heardMs = Date.now();
    setConnection("reconnecting");
    reconnectSoon();
  }
}, 1000);

// A laptop that wakes up, a phone that comes back from the pocket.
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
window.addEventListener("online", () => { if (retryTimer === null) reconnectSoon(); });
window.addEventListener("pagehide", () => stream?.close());
window.addEventListener("pageshow", (event) => { if (event.persisted) connect(); });

render();
connect();

const { facts, figures, frames, words, daily } = JSON.parse(document.getElementById("content").textContent);
const at = (id) => document.getElementById(id);
const language = () => (at("zh").checked ? "zh" : "en");
const chosen = () => ["industry", "provider"].map((id) => at(id)?.value ?? "*");

/** A text of the page in its language, with values where it holds names in braces. */
const text = (name, values = {}) => words[language()].text[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
const column = (name) => words[language()].columns[name];
const number = (value, form = { maximumFractionDigits: 2 }) => new Intl.NumberFormat(text("locale"), form).format(value);
const fixed = (value, digits, form = {}) =>
  number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits, ...form });
const signed = { signDisplay: "exceptZero" };

function rowsOf(name) {
  const { columns, rows } = frames[name];
  return rows.map((row) => Object.fromEntries(columns.map((column, place) => [column, row[place]])));
}

/** Rows of one cube that tell of exactly the chosen industry and provider. */
function cube(name) {
  const [industry, provider] = chosen();
  return rowsOf(name).filter((row) => row.industry === industry && row.provider === provider);
}

/** Rows of one list whose merchant belongs to the chosen industry and provider. */
function listed(name) {
  const [industry, provider] = chosen();
  return rowsOf(name).filter((row) => [row.industry, "*"].includes(industry) && [row.provider, "*"].includes(provider));
}

/** The row with words in place of ids. */
function named(row) {
  const { values } = words[language()];
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, values[column]?.[value] ?? value]));
}

function element(tag, content, className) {
  const made = document.createElement(tag);
  if (content !== undefined) made.textContent = content;
  if (className) made.className = className;
  return made;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" ? number(value) : String(value);
}

/** Whether a stream lacks days: those that are not due daily come when there is something to deliver. */
const isLate = (row) => row.days_behind > 0 && daily.includes(row.stream);

/** A table of rows: columns are a name, and what a cell shows where it is not simply the value. */
function table(rows, columns, most = 400) {
  if (!rows.length) return element("p", text("nothing"), "empty");
  const made = element("table");
  const said = rows.slice(0, most).map((row) => [row, named(row)]);
  const numeric = columns.map(([key]) => said.some(([, words]) => typeof words[key] === "number"));
  const head = made.createTHead().insertRow();
  columns.forEach(([key], place) => {
    const cell = element("th", column(key), numeric[place] ? "num" : "");
    cell.scope = "col";
    head.append(cell);
  });
  const body = made.createTBody();
  for (const [row, words] of said) {
    const line = body.insertRow();
    columns.forEach(([key, told], place) => {
      const cell = element(place ? "td" : "th", told ? told(words) : shown(words[key]), numeric[place] ? "num" : "");
      if (!place) cell.scope = "row";
      if (words[key] !== row[key] && typeof row[key] === "string") cell.title = row[key]; // what commands take
      if (key === "days_behind" && isLate(row)) cell.classList.add("late");
      line.append(cell);
    });
  }
  return made;
}

const money = (fen) => {
  try {
    const style = { style: "currency", currency: facts.currency };
    // A compact form has digits of its own: none, whatever the currency.
    const minor = new Intl.NumberFormat(text("locale"), style).resolvedOptions().maximumFractionDigits;
    return number(fen / 10 ** minor, { ...style, notation: "compact", maximumSignificantDigits: 3, useGrouping: "always" });
  } catch {
    return number(fen);
  }
};
const percent = (share, digits = 1, form = {}) =>
  Number.isFinite(share) ? text("percent", { number: fixed(100 * share, digits, form) }) : "–";
const against = (now, before) => text("against", { change: percent(now / before - 1, 1, signed) });

function tiles() {
  const growth = cube("growth").at(-1);
  const [trade] = cube("trade");
  const drift = cube("drift").at(-1);
  const points = cube("points").filter((row) => row.asset === "POINT");
  const sum = (name) => shown(points.reduce((all, row) => all + row[name], 0));
  const late = rowsOf("freshness").filter(isLate);
  const active = growth ? growth.new + growth.retained + growth.resurrected : 0;
  const quick = growth?.churned ? fixed((growth.new + growth.resurrected) / growth.churned, 2) : "–";
  const scored = drift && { scored: shown(drift.scored), merchants: shown(drift.merchants) };
  const told = [
    ["active", shown(active), against(active, growth ? growth.retained + growth.churned : 0)],
    ["quick_ratio", quick, text("quick_ratio_note")],
    ["net_sales", trade ? money(trade.net_fen) : "–", trade ? against(trade.net_fen, trade.net_before_fen) : ""],
    ["median_score", shown(drift?.median), scored ? text("scored", scored) : ""],
    ["points", sum("outstanding"), text("points_note", { granted: sum("granted") })],
    ["late", shown(late.length), late.map((row) => row.stream).join(text("comma")) || text("on_time")],
  ];
  at("tiles").replaceChildren(
    ...told.map(([name, value, note]) => {
      const tile = element("div", undefined, "tile");
      const told = element("dd", value);
      told.append(element("small", note));
      tile.append(element("dt", text(name)), told);
      return tile;
    }),
  );
  const share = trade?.events ? trade.simulated_events / trade.events : 0;
  at("simulated").hidden = !share;
  at("simulated").textContent = text("simulated", { share: percent(share) });
}

const drawn = {};

async function draw(figure) {
  const rows = figure.filtered ? cube(figure.frame) : rowsOf(figure.frame);
  const place = at(figure.id);
  const told = frames[figure.frame].columns.filter((c) => !figure.filtered || !["industry", "provider"].includes(c));
  at(`${figure.id}-table`).replaceChildren(table(rows, told.map((c) => [c])));
  const values = rows.filter((row) => !figure.needs || row[figure.needs]).map(named);
  drawn[figure.id]?.finalize();
  delete drawn[figure.id];
  if (!values.length) {
    place.replaceChildren(element("p", figure.empty[language()], "empty"));
    return;
  }
  const bands = new Set(values.map((row) => figure.bands.map((column) => row[column]).join("|"))).size;
  const chart = figure.specs[language()];
  const height = figure.bands.length ? Math.max(24 * bands, 48) : chart.height;
  // One line of a legend is wider than a phone, and two columns than what labels of several parts leave of it.
  const columns = place.clientWidth > 460 ? 0 : figure.bands.length > 2 ? 1 : 2;
  const config = { ...chart.config, legend: { ...chart.config.legend, columns } };
  const spec = { ...chart, height, config, data: { values } };
  // A layer of a column that no row has would be an empty mark, which a screen reader meets without a name.
  const known = ({ field }) => !(field in values[0]) || values.some((row) => row[field] !== null);
  if (spec.layer) spec.layer = spec.layer.filter((layer) => Object.values(layer.encoding ?? {}).every(known));
  drawn[figure.id] = await vegaEmbed(place, spec, { actions: false, renderer: "svg", tooltip: { theme: "light" } });
  // Vega names the kinds of its marks in English.
  if (language() !== "en") place.querySelectorAll("svg *").forEach((mark) => mark.removeAttribute("aria-roledescription"));
}

function lists() {
  const merchant = ["name", (row) => text("merchant", { name: row.name ?? "", id: row.merchant_id })];
  const score = (key) => [key, (row) => fixed(row[key], 1)];
  at("movers").replaceChildren(table(listed("movers").slice(0, 12), [
    merchant, score("total_from"), score("total_to"), ["change", (row) => fixed(row.change, 1, signed)],
    ["driver", (row) => (row.driver ? `${row.driver} ${number(row.driver_change, { ...signed, maximumFractionDigits: 2 })}` : "–")]]));
  at("at_risk").replaceChildren(table(listed("at_risk").slice(0, 12), [
    merchant, ["active_before"], ["active"], ["change", (row) => percent(row.change, 1, signed)],
    ["gmv_before_fen", (row) => money(row.gmv_before_fen)], ["total_score"]]));
  at("freshness").replaceChildren(table(rowsOf("freshness"), [
    ["stream"], ["last_delivery"],
    ["days_behind", (row) => (daily.includes(row.stream) ? shown(row.days_behind) : text("as_delivered"))],
    ["rows_read"], ["duplicate"], ["rejected"], ["rejected_share", (row) => percent(row.rejected_share, 2)]]));
}

/** What stands in attributes, options and the title, where two texts side by side cannot. */
function page() {
  document.documentElement.lang = language() === "zh" ? "zh-Hans" : "en";
  document.title = text("title", { day: facts.business_date ?? "" });
  for (const option of document.querySelectorAll("option[data-text]")) option.textContent = text(option.dataset.text);
}

async function show() {
  const [industry, provider] = chosen();
  page();
  tiles();
  lists();
  await Promise.all(figures.map(draw));
  const narrowed = [at("industry"), at("provider")].filter((select) => select && select.value !== "*");
  const who = narrowed.map((select) => select.selectedOptions[0].textContent).join(" · ");
  at("shown").textContent = who ? text("shown", { who }) : "";
  document.body.dataset.ready = `${language()}|${industry}|${provider}`;
}

let turn = Promise.resolve();
/** Once after the other: a chart that is still being drawn would stand beside the next. */
const again = () => (turn = turn.finally(show));
at("filters").addEventListener("change", again);
at("filters").addEventListener("reset", () => setTimeout(again));
at("filters").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["en", "zh"]) at(id).addEventListener("change", again);
again();

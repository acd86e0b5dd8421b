"use strict";
const { facts, figures, frames, metrics, daily } = JSON.parse(document.getElementById("content").textContent);
const number = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });
const chosen = () => ["industry", "provider"].map((id) => document.getElementById(id)?.value ?? "*");

function rowsOf(name) {
  const { columns, rows } = frames[name];
  return rows.map((row) => Object.fromEntries(columns.map((column, at) => [column, row[at]])));
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

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" ? number.format(value) : String(value);
}

/** Whether a stream lacks days: those that are not due daily come when there is something to deliver. */
const isLate = (row) => row.days_behind > 0 && daily.includes(row.stream);

function table(rows, columns, most = 400) {
  if (!rows.length) return element("p", "Nothing to show.", "empty");
  const made = element("table");
  const numeric = columns.map(([key]) => rows.some((row) => typeof row[key] === "number"));
  const head = made.createTHead().insertRow();
  columns.forEach(([, title], at) => {
    const cell = element("th", title, numeric[at] ? "num" : "");
    cell.scope = "col";
    head.append(cell);
  });
  const body = made.createTBody();
  for (const row of rows.slice(0, most)) {
    const line = body.insertRow();
    columns.forEach(([key, , told], at) => {
      const cell = element(at ? "td" : "th", told ? told(row) : shown(row[key]), numeric[at] ? "num" : "");
      if (!at) cell.scope = "row";
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
    const minor = new Intl.NumberFormat("en-GB", style).resolvedOptions().maximumFractionDigits;
    return new Intl.NumberFormat("en-GB", { ...style, notation: "compact", maximumSignificantDigits: 3 }).format(fen / 10 ** minor);
  } catch {
    return number.format(fen);
  }
};
const percent = (share) => (share === null || !isFinite(share) ? "–" : `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)} %`);

function tiles() {
  const growth = cube("growth").at(-1);
  const [trade] = cube("trade");
  const drift = cube("drift").at(-1);
  const points = cube("points").filter((row) => row.asset === "POINT");
  const late = rowsOf("freshness").filter(isLate);
  const active = growth ? growth.new + growth.retained + growth.resurrected : 0;
  const before = growth ? growth.retained + growth.churned : 0;
  const told = [
    ["Active users, 28 days", shown(active), `${percent(active / before - 1)} against the 28 days before`],
    ["Quick ratio", growth && growth.churned ? ((growth.new + growth.resurrected) / growth.churned).toFixed(2) : "–", "(new + resurrected) / churned"],
    ["Net sales, 28 days", trade ? money(trade.net_fen) : "–", trade ? `${percent(trade.net_fen / trade.net_before_fen - 1)} against the 28 days before` : ""],
    ["Median total score", shown(drift?.median), drift ? `${shown(drift.scored)} of ${shown(drift.merchants)} merchants scored` : ""],
    ["Points outstanding", shown(points.reduce((sum, row) => sum + row.outstanding, 0)), `of ${shown(points.reduce((sum, row) => sum + row.granted, 0))} granted`],
    ["Late streams", shown(late.length), late.length ? late.map((row) => row.stream).join(", ") : "every stream that is due daily is up to date"],
  ];
  document.getElementById("tiles").replaceChildren(
    ...told.map(([name, value, note]) => {
      const tile = element("div", undefined, "tile");
      const told = element("dd", value);
      told.append(element("small", note));
      tile.append(element("dt", name), told);
      return tile;
    }),
  );
  const share = trade?.events ? trade.simulated_events / trade.events : 0;
  const notice = document.getElementById("simulated");
  notice.hidden = !share;
  notice.textContent = `Simulated data: ${(100 * share).toFixed(1)} % of the events of the last 56 days carry origin = simulated.`;
}

async function draw(figure) {
  const rows = figure.filtered ? cube(figure.frame) : rowsOf(figure.frame);
  const place = document.getElementById(figure.id);
  const columns = frames[figure.frame].columns.filter((c) => !figure.filtered || !["industry", "provider"].includes(c));
  document.getElementById(`${figure.id}-table`).replaceChildren(table(rows, columns.map((c) => [c, c.replaceAll("_", " ")])));
  const values = rows.filter((row) => !figure.needs || row[figure.needs]);
  if (!values.length) {
    place.replaceChildren(element("p", figure.empty, "empty"));
    return;
  }
  const bands = new Set(values.map((row) => figure.bands.map((column) => row[column]).join("|"))).size;
  const height = figure.bands.length ? Math.max(24 * bands, 48) : figure.spec.height;
  const spec = { ...figure.spec, height, data: { values } };
  // A layer of a column that no row has would be an empty mark, which a screen reader meets without a name.
  const drawn = ({ field }) => !(field in values[0]) || values.some((row) => row[field] !== null);
  if (spec.layer) spec.layer = spec.layer.filter((layer) => Object.values(layer.encoding ?? {}).every(drawn));
  await vegaEmbed(place, spec, { actions: false, renderer: "svg", tooltip: { theme: "light" } });
}

function lists() {
  const moved = listed("movers").slice(0, 12);
  document.getElementById("movers").replaceChildren(table(moved, [
    ["name", "Merchant", (row) => `${row.name ?? ""} (${row.merchant_id})`], ["total_from", "From", (row) => row.total_from.toFixed(1)],
    ["total_to", "To", (row) => row.total_to.toFixed(1)],
    ["change", "Change", (row) => `${row.change > 0 ? "+" : ""}${row.change.toFixed(1)}`],
    ["driver", "Driver", (row) => `${metrics[row.driver] ?? row.driver ?? "–"} ${row.driver_change > 0 ? "+" : ""}${shown(row.driver_change)}`]]));
  const risk = listed("at_risk").slice(0, 12);
  document.getElementById("at_risk").replaceChildren(table(risk, [
    ["name", "Merchant", (row) => `${row.name ?? ""} (${row.merchant_id})`], ["active_before", "Before"], ["active", "Now"],
    ["change", "Change", (row) => percent(row.change)], ["gmv_before_fen", "Sales before", (row) => money(row.gmv_before_fen)],
    ["total_score", "Score"]]));
  document.getElementById("freshness").replaceChildren(table(rowsOf("freshness"), [
    ["stream", "Stream"], ["last_delivery", "Last delivery"], ["days_behind", "Days behind", (row) => (daily.includes(row.stream) ? shown(row.days_behind) : "as delivered")], ["rows_read", "Rows read"],
    ["duplicate", "Duplicate"], ["rejected", "Refused"], ["rejected_share", "Share refused", (row) => (row.rejected_share === null ? "–" : `${(100 * row.rejected_share).toFixed(2)} %`)]]));
}

async function show() {
  const [industry, provider] = chosen();
  tiles();
  lists();
  await Promise.all(figures.map(draw));
  const who = [industry, provider].filter((value) => value !== "*").join(" · ");
  document.getElementById("shown").textContent = who ? `Shown: ${who}. Pools, lift and data are the whole platform's.` : "";
  document.body.dataset.ready = `${industry}|${provider}`;
}

const form = document.getElementById("filters");
form.addEventListener("change", show);
form.addEventListener("reset", () => setTimeout(show));
form.addEventListener("submit", (event) => event.preventDefault());
show();

/** The model card: what the artifact's manifest says, for people. */

import { element, say } from "./dom.js";
import { date, metricName, number, percent, t } from "./strings.js";

const MOST_CELLS = 20;
const MOST_ERRORS = 6;

/** Fills a node with the card of a model. */
export function showCard(node, { manifest, version }) {
  node.hidden = false;
  if (!manifest) {
    node.replaceChildren(title("card"), say(element("p.note"), () => t("no_card")));
    return;
  }
  const of = say(element("p.note"), () => t("card_newest", { version }));
  node.replaceChildren(
    element("div.heading", {}, title("card"), of),
    ...accuracy(manifest),
    ...data(manifest.data),
    ...metrics(manifest.metrics),
    ...confusion(manifest),
    ...facts(manifest),
    ...classes(manifest.labels),
  );
}

const title = (key) => say(element("h2"), () => t(key));
const section = (key) => say(element("h3"), () => t(key));

function accuracy({ metrics: values, data: { counts } }) {
  if (values.accuracy === undefined) return [];
  const big = say(element("strong"), () => percent(values.accuracy));
  const note = say(element("span"), () => t("accuracy_note", { count: number(counts.test) }));
  return [element("p.big", {}, big, note)];
}

function data({ name, source, counts }) {
  const list = element("dl.counts");
  for (const split of ["train", "validation", "test"]) {
    const value = say(element("dd"), () => number(counts[split]));
    const term = say(element("dt"), () => t(`pictures_${split}`));
    list.append(element("div", {}, value, term));
  }
  const from = element("p.source", {}, element("b", {}, name));
  if (source && source !== name) from.append(" ", element("span.note", {}, source));
  return [section("learned"), from, list];
}

function metrics(values) {
  const rest = Object.entries(values).filter(([name]) => name !== "accuracy");
  if (!rest.length) return [];
  const rows = rest.map(([name, value]) =>
    row(() => metricName(name), () => number(value, Math.abs(value) < 0.01 ? 5 : 4)),
  );
  return [section("metrics"), element("dl.rows", {}, ...rows)];
}

function facts(manifest) {
  const { input, fit } = manifest;
  const rows = [
    ["document", () => manifest.document],
    ["recipe", () => manifest.recipe],
    manifest.backbone && ["backbone", () => manifest.backbone],
    manifest.task !== "classification" && ["task", () => manifest.task],
    ["parameters", () => number(manifest.parameters)],
    input && ["input", () => inputText(input)],
    ["epochs", () => t("epochs_kept", { epochs: number(fit.epochs), kept: number(fit.epoch_kept) })],
    fit.augmentation && ["augmentation", () => fit.augmentation],
    ["device", () => fit.device],
    ["created", () => date(manifest.created)],
  ];
  const made = rows.filter(Boolean).map(([key, text]) => row(() => t(key), text));
  return [section("facts"), element("dl.rows", {}, ...made)];
}

function inputText({ width, height, channels }) {
  if (width === null) return t("input_any");
  return t(channels === 1 ? "input_grey" : "input_colour", { width, height });
}

function classes(labels) {
  if (!labels.length) return [];
  const summary = say(element("summary"), () => `${t("classes")} (${number(labels.length)})`);
  const list = element("ul.labels", {}, ...labels.map((label) => element("li", {}, label)));
  return [element("details", {}, summary, list)];
}

function row(term, text) {
  return element("div", {}, say(element("dt"), term), say(element("dd"), text));
}

function confusion({ confusion_matrix: matrix, labels }) {
  if (!matrix) return [];
  const errors = worst(matrix, labels);
  const list = element("ul.errors", {}, ...errors.map(({ truth, said, count }) =>
    element("li", {}, say(element("span"), () => t("taken_for", { truth, said })), element("b", {}, String(count))),
  ));
  const summary = errors.length ? list : say(element("p.note"), () => t("never_wrong"));
  return [section("confusion"), summary, ...(labels.length <= MOST_CELLS ? heat(matrix, labels) : [])];
}

/** The most frequent errors, those of the matrix's cells off the diagonal. */
function worst(matrix, labels) {
  return matrix
    .flatMap((cells, truth) => cells.map((count, said) => ({ count, truth, said })))
    .filter(({ count, truth, said }) => truth !== said && count > 0)
    .sort((one, other) => other.count - one.count)
    .slice(0, MOST_ERRORS)
    .map(({ count, truth, said }) => ({ count, truth: labels[truth], said: labels[said] }));
}

function heat(matrix, labels) {
  const caption = say(element("caption.note"), () => t("confusion_note"));
  const columns = labels.map((label) =>
    element("th", { scope: "col", title: label }, element("span", {}, label)),
  );
  const head = element("thead", {}, element("tr", {}, element("td"), ...columns));
  const body = element("tbody", {}, ...matrix.map((cells, truth) => {
    const total = cells.reduce((sum, count) => sum + count, 0) || 1;
    const name = element("th", { scope: "row", title: labels[truth] }, labels[truth]);
    return element("tr", {}, name, ...cells.map((count, said) => cell(count / total, count, truth === said)));
  }));
  const table = element("table.heat", {}, caption, head, body);
  const scroll = element("div.scroll", { tabindex: "0", role: "group" }, table);
  return [say(scroll, () => t("confusion"), "aria-label")];
}

function cell(share, count, right) {
  const node = element(right ? "td.right" : "td.wrong", {}, count ? String(count) : "");
  // A square root shows what is rare: a class is mostly right, and its errors are what matters.
  node.style.setProperty("--share", `${Math.round(Math.sqrt(share) * 100)}%`);
  if (share > 0.3) node.classList.add("strong");
  return node;
}

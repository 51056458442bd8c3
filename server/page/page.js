/** The page: which model is asked, the pictures that come in, and the order of the questions. */

import { showCard } from "./card.js";
import { element, say, sayAgain } from "./dom.js";
import * as gateway from "./gateway.js";
import { errorText, Picture } from "./picture.js";
import { language, number, percent, setLanguage, t } from "./strings.js";

const AT_A_TIME = 3;
const AGAIN_SECONDS = 2;
const node = (id) => document.getElementById(id);

const state = { pictures: [], queue: [], running: 0, card: null, started: 0, unexplained: new Set() };

/** What the pictures get of the page. */
const page = {
  remove,
  askForKey,
  announce: (text) => (node("status").textContent = text),
  explains: ({ model, version }) => {
    if (state.unexplained.has(`${model} ${version}`)) return false;
    const { card } = state;
    // The card is the newest version's; of another one only trying tells.
    return card.name !== model || card.version !== version || Boolean(card.manifest?.explanation);
  },
  explainsNot: ({ model, version }) => state.unexplained.add(`${model} ${version}`),
};

function speak() {
  document.documentElement.lang = language();
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()));
  }
}

function prepareLanguages() {
  for (const place of document.querySelectorAll("[data-say]")) say(place, () => t(place.dataset.say));
  for (const place of document.querySelectorAll("[data-say-label]")) {
    say(place, () => t(place.dataset.sayLabel), "aria-label");
  }
  say(node("zone"), () => t("drop_here"), "data-drop");
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      setLanguage(button.dataset.language);
      speak();
      sayAgain();
    });
  }
  speak();
}

function trouble(text) {
  const line = node("trouble");
  line.hidden = !text;
  if (text) say(line, text);
}

/* The models ----------------------------------------------------------------------------------- */

async function start() {
  const turn = (state.started += 1);
  try {
    const models = await gateway.models();
    if (turn !== state.started) return;
    node("key").hidden = true;
    trouble(models.length ? null : () => t("no_models"));
    const wanted = node("model").value || new URLSearchParams(location.search).get("model");
    const options = models.map(({ name }) => element("option", { value: name }, name));
    node("model").replaceChildren(...options);
    node("model").disabled = models.length < 1;
    if (models.some(({ name }) => name === wanted)) node("model").value = wanted;
    if (models.length) await chooseModel();
  } catch (error) {
    if (turn === state.started) refused(error, start);
  }
}

async function chooseModel() {
  const turn = (state.started += 1);
  const model = node("model").value;
  fit(node("model"));
  node("version").disabled = true;
  try {
    const card = await gateway.card(model);
    if (turn !== state.started) return;
    state.card = card;
    showVersions(card);
    showCard(node("card"), card);
    brief(card);
    trouble(card.ready ? null : () => t("model_away", { model }));
    askAll();
    if (!card.ready) later(turn, chooseModel);
  } catch (error) {
    if (turn === state.started) refused(error, chooseModel);
  }
}

/** The box is as wide as the name in it: the heading reads as a sentence. */
function fit(select) {
  const probe = element("span.probe", {}, select.value);
  select.parentElement.append(probe);
  select.style.inlineSize = `calc(${Math.ceil(probe.getBoundingClientRect().width)}px + .8em)`;
  probe.remove();
}

function showVersions({ version, model_version_status: versions }) {
  const newest = element("option", { value: "" });
  say(newest, () => (version ? t("newest_is", { version }) : t("newest")));
  const others = versions.filter(({ state: said }) => said === "AVAILABLE");
  const options = others.map(({ version: name }) => element("option", { value: name }, name));
  node("version").replaceChildren(newest, ...options);
  node("version").disabled = false;
  node("versions").hidden = false;
}

function brief({ manifest }) {
  say(node("brief"), () => {
    if (!manifest?.classes) return "";
    const { accuracy } = manifest.metrics;
    const key = accuracy === undefined ? "brief_plain" : "brief";
    return t(key, { classes: number(manifest.classes), accuracy: percent(accuracy ?? 0) });
  });
}

function refused(error, again) {
  if (error.status === 401) {
    askForKey();
    return;
  }
  trouble(() => errorText(error));
  if ([0, 429, 503, 504].includes(error.status)) later(state.started, again);
}

function later(turn, again) {
  setTimeout(() => turn === state.started && again(), AGAIN_SECONDS * 1000);
}

/* The key -------------------------------------------------------------------------------------- */

function askForKey() {
  trouble(gateway.key() ? () => t("key_wrong") : null);
  const first = node("key").hidden;
  node("key").hidden = false;
  if (first) node("key-text").focus();
}

function prepareKey() {
  node("key").addEventListener("submit", (event) => {
    event.preventDefault();
    gateway.setKey(node("key-text").value.trim());
    node("key-text").value = "";
    node("key").hidden = true;
    start();
  });
}

/* The pictures --------------------------------------------------------------------------------- */

function add(files) {
  const pictures = [...files].map((file) => new Picture(file, page));
  state.pictures.unshift(...pictures);
  node("pictures").prepend(...pictures.map((picture) => picture.node));
  state.queue.push(...pictures);
  count();
  work();
}

function remove(picture) {
  const place = state.pictures.indexOf(picture);
  forget([picture]);
  const next = state.pictures[Math.min(place, state.pictures.length - 1)];
  (next?.node.querySelector(".remove") ?? node("choose")).focus();
}

function forget(pictures) {
  for (const picture of pictures) {
    picture.release();
    picture.node.remove();
  }
  state.pictures = state.pictures.filter((picture) => !pictures.includes(picture));
  state.queue = state.queue.filter((picture) => !pictures.includes(picture));
  count();
}

function count() {
  const { length } = state.pictures;
  node("tools").hidden = !length;
  document.body.classList.toggle("has-pictures", length > 0);
  say(node("count"), () => t(length === 1 ? "count_one" : "count_many", { count: number(length) }));
}

/** Asks the chosen model about all pictures, those that another has answered for too. */
function askAll() {
  for (const picture of state.pictures) picture.reset();
  state.queue = [...state.pictures];
  work();
}

async function work() {
  if (!state.card?.ready || state.running >= AT_A_TIME || !state.queue.length) return;
  const picture = state.queue.shift();
  state.running += 1;
  work();
  await picture.ask(node("model").value, node("version").value);
  state.running -= 1;
  work();
}

function prepareIntake() {
  const opens = { choose: "files", take: "camera" };
  for (const [button, input] of Object.entries(opens)) {
    node(button).addEventListener("click", () => node(input).click());
    node(input).addEventListener("change", () => {
      add(node(input).files);
      node(input).value = "";
    });
  }
  node("clear").addEventListener("click", () => {
    forget(state.pictures);
    node("choose").focus();
  });
  document.addEventListener("paste", (event) => {
    const { files } = event.clipboardData;
    if (!files.length) return;
    event.preventDefault();
    add(files);
  });
  prepareDrop();
}

function prepareDrop() {
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const over = (is) => document.body.classList.toggle("over", is);
  let depth = 0; // a drag enters and leaves every element that it passes
  document.addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) over((depth += 1) > 0);
  });
  document.addEventListener("dragleave", (event) => {
    if (holdsFiles(event)) over((depth = Math.max(0, depth - 1)) > 0);
  });
  document.addEventListener("dragover", (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    over((depth = 0) > 0);
    add(event.dataTransfer.files);
  });
}

prepareLanguages();
prepareKey();
prepareIntake();
node("model").addEventListener("change", chooseModel);
node("version").addEventListener("change", askAll);
start();

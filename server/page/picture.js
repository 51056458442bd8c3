/** One picture on the page: its thumbnail, what the model says of it, and its explanation. */

import { element, say } from "./dom.js";
import { classify, explain } from "./gateway.js";
import { duration, percent, problemText, stageName, t } from "./strings.js";

/**
 * What a picture asks of the page that it is on.
 * @typedef {object} Page
 * @property {(picture: Picture) => void} remove
 * @property {(text: string) => void} announce says something to those who listen to the page
 * @property {() => void} askForKey
 * @property {(answer: {model: string, version: string}) => boolean} explains whether it may
 *   have a heat map
 * @property {(answer: {model: string, version: string}) => void} explainsNot it has none
 */

export class Picture {
  /** @param {File} file @param {Page} page */
  constructor(file, page) {
    this.file = file;
    this.page = page;
    this.name = file.name || "clipboard.png";
    this.url = URL.createObjectURL(file);
    this.overlay = null;
    this.aborting = new AbortController();
    this.node = element("li.picture");
    this.frame = element("div.frame");
    this.body = element("div.body");
    const remove = element("button.plain.remove", { type: "button", click: () => page.remove(this) }, "×");
    say(remove, () => t("remove_named", { name: this.name }), "aria-label");
    const name = element("p.name", { title: this.name }, this.name);
    this.node.append(this.frame, element("div.told", {}, name, this.body), remove);
    this.showPicture();
    this.note("waiting");
  }

  /** Lets go of what the browser holds for the picture. */
  release() {
    this.aborting.abort();
    URL.revokeObjectURL(this.url);
    if (this.overlay) URL.revokeObjectURL(this.overlay);
  }

  /** Stops what is under way and waits for the next `ask`. */
  reset() {
    this.aborting.abort();
    this.aborting = new AbortController();
    if (this.overlay) URL.revokeObjectURL(this.overlay);
    this.overlay = null;
    this.showPicture();
    this.note("waiting");
  }

  /** Asks a model what the picture shows, and shows its answer or its problem. */
  async ask(model, version) {
    const { signal } = this.aborting;
    this.note("looking");
    try {
      const asked = { file: this.file, model, version, signal };
      const answered = await classify(asked, (seconds) => this.note("busy", { seconds }));
      if (!signal.aborted) this.showAnswer(answered);
    } catch (error) {
      if (!signal.aborted) this.showError(error, () => this.ask(model, version));
    }
  }

  note(key, values = {}) {
    const line = say(element("p.note.pending"), () => t(key, values));
    this.body.replaceChildren(line);
    this.node.setAttribute("aria-busy", String(key !== "waiting"));
  }

  showPicture() {
    const image = element("img", { src: this.url, alt: "", decoding: "async" });
    image.addEventListener("error", () => {
      const blank = say(element("span.blank"), () => t("no_preview"));
      image.replaceWith(blank);
    });
    this.frame.replaceChildren(image);
  }

  showAnswer({ answer, milliseconds, stages }) {
    const [result] = answer.results;
    this.node.setAttribute("aria-busy", "false");
    const best = say(element("strong"), () => percent(result.probability));
    const head = element("p.best", {}, element("span", {}, result.label), best);
    const bars = element("ol.bars", {}, ...result.top_k.map(bar));
    say(bars, () => t("bars_named", { name: this.name }), "aria-label");
    this.extra = element("p.note.extra", { hidden: true });
    const actions = element("div.actions", {}, this.explainButton(answer, result));
    this.body.replaceChildren(head, bars, actions, this.extra, times(answer, milliseconds, stages));
    this.say("announced", { label: result.label, share: result.probability });
  }

  showError(error, again) {
    this.node.setAttribute("aria-busy", "false");
    const text = () => errorText(error);
    const line = say(element("p.error"), text);
    const children = [line];
    if (error.detail && problemText(error.kind)) {
      children.push(element("p.note", { lang: "en" }, error.detail));
    }
    if ([0, 401, 408, 429, 500, 502, 503, 504].includes(error.status)) {
      const button = element("button.quiet", { type: "button", click: again });
      children.push(element("div.actions", {}, say(button, () => t("again"))));
    }
    this.body.replaceChildren(...children);
    this.say("announced_error", { error: text() });
    if (error.status === 401) this.page.askForKey();
  }

  explainButton(answer, result) {
    if (!this.page.explains(answer)) return null;
    const button = element("button.quiet.explain", { type: "button", "aria-pressed": "false" });
    const named = () => t("explain_named", { name: this.name });
    say(button, () => t("explain"));
    say(button, named, "aria-label");
    button.addEventListener("click", () => this.toggleExplanation(button, answer, result));
    return button;
  }

  async toggleExplanation(button, answer, result) {
    if (button.getAttribute("aria-pressed") === "true") {
      button.setAttribute("aria-pressed", "false");
      this.showPicture();
      this.extra.hidden = true;
      return;
    }
    if (!this.overlay && !(await this.fetchOverlay(button, answer))) return;
    button.setAttribute("aria-pressed", "true");
    const image = element("img", { src: this.overlay });
    say(image, () => t("explained", { label: result.label }), "alt");
    this.frame.replaceChildren(image);
    this.tell(() => t("explained", { label: result.label }));
    this.say("explained_named");
  }

  async fetchOverlay(button, { model, version }) {
    const { signal } = this.aborting;
    button.setAttribute("aria-busy", "true");
    try {
      const blob = await explain({ file: this.file, model, version, signal });
      if (signal.aborted) return false;
      this.overlay = URL.createObjectURL(blob);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (error.kind === "not-explainable") {
        this.page.explainsNot({ model, version });
        button.disabled = true;
      }
      const text = () => (error.kind === "not-explainable" ? t("not_explainable") : errorText(error));
      this.tell(text);
      this.say("announced_error", { error: text() });
      if (error.status === 401) this.page.askForKey();
      return false;
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  tell(text) {
    say(this.extra, text);
    this.extra.hidden = false;
  }

  say(key, { share, ...values } = {}) {
    const more = share === undefined ? {} : { percent: percent(share) };
    this.page.announce(t(key, { name: this.name, ...values, ...more }));
  }
}

function bar({ label, probability }) {
  const fill = element("i");
  // Set by the object model, not as an attribute: the page's policy allows no inline style.
  fill.style.inlineSize = `${Math.max(0, Math.min(1, probability)) * 100}%`;
  const value = say(element("span.value"), () => percent(probability));
  const track = element("span.track", { "aria-hidden": "true" }, fill);
  return element("li", {}, element("span.label", { title: label }, label), track, value);
}

function times(answer, milliseconds, stages) {
  const by = say(element("span"), () => t("by", answer));
  const all = say(element("span"), () => t("time", { total: duration(milliseconds) }));
  const parts = stages.filter(({ name }) => name !== "total").map(({ name, milliseconds: part }) =>
    say(element("span"), () => `${stageName(name)} ${duration(part)}`),
  );
  return element("p.times", {}, by, all, ...parts);
}

/** Returns what went wrong in the page's language; the gateway's own words where it has none. */
export function errorText(error) {
  if (error.status === 0) return t("offline");
  if (error.status === 401) return t("key_wanted");
  return problemText(error.kind) ?? (error.detail || t("problem", { status: error.status }));
}

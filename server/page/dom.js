/** Small helpers to build the page: elements, and text that follows the language. */

/**
 * Makes an element.
 * @param {string} tag its name, with classes: "p.note"
 * @param {Object<string, unknown>} attributes what is false or null is left out; functions listen
 * @param {...(Node|string|null)} children
 */
export function element(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(key, value === true ? "" : String(value));
    }
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const texts = new WeakMap();
const MARK = "data-said";

/**
 * Gives a node a text, now and again whenever the language changes.
 * @param {Element} node
 * @param {() => string} text
 * @param {string} attribute the attribute that gets it; by default the node's content does
 */
export function say(node, text, attribute = "") {
  if (!texts.has(node)) texts.set(node, new Map());
  texts.get(node).set(attribute, text);
  node.setAttribute(MARK, "");
  put(node, attribute, text());
  return node;
}

/** Says everything on the page again. */
export function sayAgain() {
  for (const node of document.querySelectorAll(`[${MARK}]`)) {
    for (const [attribute, text] of texts.get(node) ?? []) put(node, attribute, text());
  }
}

function put(node, attribute, text) {
  if (attribute) node.setAttribute(attribute, text);
  else if (node.textContent !== text) node.textContent = text;
}

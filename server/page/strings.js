/** What the page says, in each of its languages, and numbers as each language writes them. */

const STRINGS = {
  en: {
    skip: "Skip to the pictures",
    api: "API",
    language: "Language",
    model: "Model",
    ask_before: "What does ",
    ask_after: " see?",
    version: "Version",
    newest: "newest",
    newest_is: "newest ({version})",
    brief: "{classes} classes · {accuracy} right on the test set",
    brief_plain: "{classes} classes",
    pictures: "Pictures",
    choose: "Choose pictures",
    take: "Take a picture",
    drop_or_paste: "or drop them anywhere on the page, or paste",
    formats: "JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF. They go to this server and nowhere else.",
    drop_here: "Drop them here",
    clear: "Remove all",
    count_one: "1 picture",
    count_many: "{count} pictures",
    waiting: "waiting",
    looking: "looking",
    busy: "the server is busy, trying again in {seconds} s",
    remove: "Remove",
    remove_named: "Remove {name}",
    again: "Try again",
    explain: "Explain",
    explaining: "explaining",
    explain_named: "Explain {name}: show what the model looked at",
    picture_again: "Show the picture",
    explained: "What spoke for “{label}”: bright counted most",
    explained_named: "{name}: the heat map is shown",
    not_explainable: "This model can't show what it looked at.",
    no_preview: "no preview",
    sure: "{label}, {percent}",
    announced: "{name}: {label}, {percent}",
    announced_error: "{name}: {error}",
    bars_named: "Probabilities for {name}",
    time: "{total} in all",
    stage_read: "read",
    stage_queue: "queue",
    stage_decode: "decode",
    stage_predict: "model",
    stage_total: "server",
    stage_cache: "cache",
    by: "{model}, version {version}",
    key_wanted: "This gateway asks for an API key",
    key_use: "Use it",
    key_note: "It stays in this tab and is gone when you close it.",
    key_wrong: "The gateway does not take this key.",
    no_models: "This gateway serves no model.",
    model_away: "{model} has no version that is ready. Trying again.",
    offline: "The gateway can't be reached.",
    problem: "The gateway answered {status}.",
    card: "Model card",
    card_of: "Model card",
    card_newest: "Of version {version}, the newest.",
    no_card: "This artifact does not describe itself.",
    accuracy_note: "right of {count} test pictures",
    learned: "Learned from",
    pictures_train: "to learn",
    pictures_validation: "to choose",
    pictures_test: "to test",
    metrics: "On the test set",
    facts: "The model",
    document: "Document",
    recipe: "Recipe",
    backbone: "Stands on",
    parameters: "Parameters",
    input: "Sees",
    input_grey: "{width} × {height}, grey",
    input_colour: "{width} × {height}, colour",
    input_any: "any size",
    epochs: "Epochs",
    epochs_kept: "{epochs}, number {kept} kept",
    augmentation: "Augmentation",
    device: "Fitted on",
    created: "Made",
    classes: "Classes",
    task: "Task",
    confusion: "Where it errs",
    confusion_note: "Rows are the true classes, columns what the model said, of the test set.",
    taken_for: "{truth} taken for {said}",
    truth: "true",
    said: "said",
    never_wrong: "No error on the test set.",
    kinds: {
      "not-an-image": "This is not an image that the server can read.",
      "broken-image": "The image is truncated or corrupt.",
      "image-too-large": "The image has too many pixels.",
      "body-too-large": "The file is too large for this server.",
      "unknown-model": "The server no longer has this model.",
      "unknown-version": "The model no longer has this version.",
      "not-a-classifier": "This model does not classify images.",
      unavailable: "The model is not available now.",
      overloaded: "The server has too much to do now.",
      "rate-limited": "Too many requests with this key.",
      timeout: "The model took too long.",
      "internal-error": "The server failed.",
      "bad-model-answer": "The model's answer makes no sense.",
    },
    metric_names: { accuracy: "Accuracy", loss: "Loss", auc: "AUC", f1: "F1", recall: "Recall", precision: "Precision" },
  },
  es: {
    skip: "Ir a las imágenes",
    api: "API",
    language: "Idioma",
    model: "Modelo",
    ask_before: "¿Qué ve ",
    ask_after: "?",
    version: "Versión",
    newest: "la más reciente",
    newest_is: "la más reciente ({version})",
    brief: "{classes} clases · {accuracy} de aciertos en el conjunto de prueba",
    brief_plain: "{classes} clases",
    pictures: "Imágenes",
    choose: "Elegir imágenes",
    take: "Tomar una foto",
    drop_or_paste: "o suéltalas en cualquier parte de la página, o pégalas",
    formats: "JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF. Se envían a este servidor y a ningún otro.",
    drop_here: "Suéltalas aquí",
    clear: "Quitar todas",
    count_one: "1 imagen",
    count_many: "{count} imágenes",
    waiting: "en espera",
    looking: "mirando",
    busy: "el servidor está ocupado, nuevo intento en {seconds} s",
    remove: "Quitar",
    remove_named: "Quitar {name}",
    again: "Reintentar",
    explain: "Explicar",
    explaining: "explicando",
    explain_named: "Explicar {name}: mostrar en qué se fijó el modelo",
    picture_again: "Ver la imagen",
    explained: "Lo que habló a favor de «{label}»: lo claro contó más",
    explained_named: "{name}: se muestra el mapa de calor",
    not_explainable: "Este modelo no puede mostrar en qué se fijó.",
    no_preview: "sin vista previa",
    sure: "{label}, {percent}",
    announced: "{name}: {label}, {percent}",
    announced_error: "{name}: {error}",
    bars_named: "Probabilidades de {name}",
    time: "{total} en total",
    stage_read: "lectura",
    stage_queue: "cola",
    stage_decode: "decodificación",
    stage_predict: "modelo",
    stage_total: "servidor",
    stage_cache: "caché",
    by: "{model}, versión {version}",
    key_wanted: "Este servidor pide una clave de API",
    key_use: "Usarla",
    key_note: "Se queda en esta pestaña y desaparece al cerrarla.",
    key_wrong: "El servidor no acepta esta clave.",
    no_models: "Este servidor no sirve ningún modelo.",
    model_away: "{model} no tiene ninguna versión lista. Se intenta de nuevo.",
    offline: "No se puede contactar con el servidor.",
    problem: "El servidor respondió {status}.",
    card: "Ficha del modelo",
    card_of: "Ficha del modelo",
    card_newest: "De la versión {version}, la más reciente.",
    no_card: "Este artefacto no se describe a sí mismo.",
    accuracy_note: "de aciertos en {count} imágenes de prueba",
    learned: "Aprendió de",
    pictures_train: "para aprender",
    pictures_validation: "para elegir",
    pictures_test: "para probar",
    metrics: "En el conjunto de prueba",
    facts: "El modelo",
    document: "Documento",
    recipe: "Receta",
    backbone: "Se apoya en",
    parameters: "Parámetros",
    input: "Ve",
    input_grey: "{width} × {height}, grises",
    input_colour: "{width} × {height}, color",
    input_any: "cualquier tamaño",
    epochs: "Épocas",
    epochs_kept: "{epochs}, se conserva la {kept}",
    augmentation: "Aumento de datos",
    device: "Ajustado en",
    created: "Creado",
    classes: "Clases",
    task: "Tarea",
    confusion: "Dónde se equivoca",
    confusion_note: "Las filas son las clases verdaderas; las columnas, lo que dijo el modelo, en el conjunto de prueba.",
    taken_for: "{truth} tomado por {said}",
    truth: "verdad",
    said: "dicho",
    never_wrong: "Ningún error en el conjunto de prueba.",
    kinds: {
      "not-an-image": "No es una imagen que el servidor pueda leer.",
      "broken-image": "La imagen está cortada o dañada.",
      "image-too-large": "La imagen tiene demasiados píxeles.",
      "body-too-large": "El archivo es demasiado grande para este servidor.",
      "unknown-model": "El servidor ya no tiene este modelo.",
      "unknown-version": "El modelo ya no tiene esta versión.",
      "not-a-classifier": "Este modelo no clasifica imágenes.",
      unavailable: "El modelo no está disponible ahora.",
      overloaded: "El servidor tiene demasiado trabajo ahora.",
      "rate-limited": "Demasiadas peticiones con esta clave.",
      timeout: "El modelo tardó demasiado.",
      "internal-error": "El servidor falló.",
      "bad-model-answer": "La respuesta del modelo no tiene sentido.",
    },
    metric_names: { accuracy: "Exactitud", loss: "Pérdida", auc: "AUC", f1: "F1", recall: "Exhaustividad", precision: "Precisión" },
  },
};

const STORED = "lince-language";

function preferred() {
  const stored = localStorage.getItem(STORED);
  const wanted = [stored, ...navigator.languages, navigator.language];
  const known = wanted.map((tag) => (tag ?? "").slice(0, 2).toLowerCase());
  return known.find((tag) => tag in STRINGS) ?? "en";
}

let current = preferred();

/** The language in use: "en" or "es". */
export const language = () => current;

/** Uses another language from now on, also after a reload. */
export function setLanguage(tag) {
  current = tag;
  localStorage.setItem(STORED, tag);
}

/** Returns a text; what is in braces is replaced by values. */
export function t(key, values = {}) {
  return STRINGS[current][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Returns what a problem means in words, or null for a kind that has none here. */
export const problemText = (kind) => STRINGS[current].kinds[kind] ?? null;

/** Returns a metric's name: known ones in the language, others as they are written. */
export function metricName(name) {
  return STRINGS[current].metric_names[name] ?? name.replaceAll("_", " ");
}

/** Returns a stage's name of a Server-Timing header. */
export const stageName = (name) => STRINGS[current][`stage_${name}`] ?? name;

export const number = (value, digits = 0) =>
  value.toLocaleString(current, { maximumFractionDigits: digits });

/** Returns a share as percent, with as many digits as say something. */
export function percent(share) {
  const digits = share > 0.9995 || share < 0.0005 ? 2 : 1;
  const options = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: digits };
  return share.toLocaleString(current, options);
}

/** Returns milliseconds in words. */
export function duration(milliseconds) {
  if (milliseconds >= 1000) return `${number(milliseconds / 1000, 1)} s`;
  return `${number(milliseconds, milliseconds < 10 ? 1 : 0)} ms`;
}

export const date = (text) =>
  new Date(text).toLocaleDateString(current, { year: "numeric", month: "long", day: "numeric" });

// The explorer in one page: unpack what the page carries, tokenize as CLIP does, run the text encoder, compare, show.
// `zsc.explorer.page` fills the page. What somebody typed, or what names a class or a file, becomes text of an element
// (never markup); nothing is fetched. `window.zsc` has what a test, or the console, can call.
"use strict";

const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"; // as Python's strip
const STEP = 8; // texts that go through the encoder before the page is drawn again
const Z = 1.959963984540054; // of a 95 % interval
const ANSWER_AFTER = 80, REMEMBER_AFTER = 1500; // milliseconds without a key
const PAGE = 12, MANY = 12; // pictures of a page; so many classes get a list in place of a map
const ANY = "any class", WRONG = "a wrong class";

/** A sentence for the reader, and the class whose box is at fault ("": the templates). */
class Fault extends Error {
  constructor(sentence, box = null) {
    super(sentence);
    this.box = box;
  }
}

// ---- texts -> tokens, as zsc/models/tokens.py, with what ftfy, html and regex do for it --------------------------

class Tokenizer {
  constructor({ merges, limit, literals, entities, capitals, ligatures, bad }) {
    Object.assign(this, { limit, literals, capitals, words: new Map() });
    this.entities = new Map(Object.entries(entities));
    this.capitals = new Map(Object.entries(capitals));
    this.ligatures = new Map(Object.entries(ligatures));
    // a verbose expression of Python's: blanks and comments outside of brackets do not count
    const plain = bad.replace(/\[[^\]]*\]|\\.|#.*|\s+/gu, (part) => ("[\\".includes(part[0]) ? part : ""));
    this.bad = new RegExp(plain.replace(/\\w/g, "[\\p{L}\\p{N}_]").replace(/\\s/g, "\\p{White_Space}"), "u");
    const shown = [];
    for (let byte = 0; byte < 256; byte++) {
      if ((byte > 32 && byte < 127) || (byte > 160 && byte !== 173)) shown.push(byte); // they stand for themselves
    }
    const others = [...Array(256).keys()].filter((byte) => !shown.includes(byte));
    this.letters = Array(256);
    shown.forEach((byte) => (this.letters[byte] = String.fromCharCode(byte)));
    others.forEach((byte, k) => (this.letters[byte] = String.fromCharCode(256 + k)));
    const order = [...shown, ...others].map((byte) => this.letters[byte]);
    this.ranks = new Map(merges.map((pair, rank) => [pair, rank]));
    const names = [...order, ...order.map((letter) => `${letter}</w>`), ...merges.map((pair) => pair.replace(" ", "")), ...literals];
    this.numbers = new Map(names.map((name, number) => [name, number]));
    [this.start, this.end] = [names.length - 2, names.length - 1];
    const escaped = literals.map((text) => text.replace(/[|]/g, "\\|"));
    const kinds = ["'s|'t|'re|'ve|'m|'ll|'d", "\\p{L}+", "\\p{N}", "[^\\p{White_Space}\\p{L}\\p{N}]+"];
    this.pattern = new RegExp([...escaped, ...kinds].join("|"), "gu");
  }

  /** The ids of a text, start and end included: neither cut nor padded. */
  ids(text) {
    const found = [this.start];
    for (const [word] of this.cleaned(text).matchAll(this.pattern)) {
      if (!this.words.has(word)) this.words.set(word, this.parts(word).map((part) => this.numbers.get(part)));
      found.push(...this.words.get(word));
    }
    return [...found, this.end];
  }

  parts(word) {
    if (this.literals.includes(word)) return [word];
    let parts = Array.from(new TextEncoder().encode(word), (byte) => this.letters[byte]);
    parts[parts.length - 1] += "</w>";
    for (;;) {
      let best = Infinity, pair = null;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(`${parts[i]} ${parts[i + 1]}`);
        if (rank < best) [best, pair] = [rank, [parts[i], parts[i + 1]]];
      }
      if (!pair) return parts;
      const merged = [];
      for (let i = 0; i < parts.length; i++) {
        const is = parts[i] === pair[0] && parts[i + 1] === pair[1];
        merged.push(is ? parts[i] + parts[++i] : parts[i]);
      }
      parts = merged;
    }
  }

  cleaned(text) {
    if (!/^[ -%'-~]*$/.test(text)) text = this.unescaped(this.unescaped(this.fixed(text)));
    return text.split(new RegExp(`[${SPACE}]+`)).filter(Boolean).join(" ").toLowerCase();
  }

  /** ftfy.fix_text; letters that look wrongly decoded are refused, as only Python mends them. */
  fixed(text) {
    let isHtml = false, made = "";
    for (let line of text.match(/[^\n]*\n|[^\n]+/g) || []) {
      isHtml ||= line.includes("<");
      for (let before = null; before !== line; ) {
        before = line;
        if (!isHtml) line = line.replace(/&#?[0-9A-Za-z]{1,24};/g, (name) => this.named(name));
        if (this.bad.test(line)) {
          throw new Fault(`“${text}” has letters as of a wrongly decoded text (“${this.bad.exec(line)[0]}”); type it again without them.`);
        }
        line = line.replace(/[\u0132-\uFB06]/g, (letter) => this.ligatures.get(letter) ?? letter);
        line = line.replace(/[\u3000\uFF01-\uFFEF]/g, (wide) => wide.normalize("NFKC"));
        line = line.replace(/[\u201c-\u201f]/g, '"').replace(/[\u02bc\u2018-\u201b]/g, "'");
        line = line.replace(/\r\n|[\r\u2028\u2029\x85]/g, "\n").replace(/\x1b\[[\p{Nd};]*[a-zA-Z]/gu, "");
        line = line.replace(/[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, "").normalize("NFC");
      }
      made += line;
    }
    return made;
  }

  named(name) {
    if (this.capitals.has(name)) return this.capitals.get(name);
    if (this.entities.has(name.slice(1))) return this.entities.get(name.slice(1));
    const made = name.startsWith("&#") ? this.unescaped(name) : ";";
    return made.includes(";") ? name : made;
  }

  /** html.unescape. */
  unescaped(text) {
    return text.replace(/&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu, (all, name) => {
      if (name[0] === "#") return letterOf(/^#x/i.test(name) ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10));
      for (let end = name.length; end > 1; end--) {
        const known = this.entities.get(name.slice(0, end));
        if (known !== undefined) return known + name.slice(end);
      }
      return all;
    });
  }
}

function letterOf(code) {
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  if (code >= 0x80 && code <= 0x9f) return new TextDecoder("windows-1252").decode(Uint8Array.of(code));
  const isControl = (code < 0x20 && ![9, 10, 12, 13].includes(code)) || code === 0x7f;
  if (isControl || (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe) return "";
  return String.fromCodePoint(code);
}

// ---- boxes -> prompts, as zsc/explorer/session.py ----------------------------------------------------------------

function fromLines(text) {
  const ends = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/).map((line) => line.replace(ends, ""));
  const plain = { "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\t": "\t" };
  const read = (found) => plain[found] ?? String.fromCharCode(parseInt(found.slice(2), 16));
  return lines.filter(Boolean).map((line) => line.replace(/\\(?:[\\nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})/g, read));
}

/** From [[class, box], ...] and templates to [[class, prompts], ...]. */
function filled(texts, templates) {
  const chosen = fromLines(templates);
  for (const template of chosen) {
    if (template.split("{}").length !== 2) {
      throw new Fault(`the template “${template}” must have exactly one {}, such as: a photo of a {}`, "");
    }
  }
  if (texts.length < 2) throw new Fault("a choice needs two classes; add one.");
  return texts.map(([name, text]) => {
    const lines = fromLines(text);
    const prompts = lines.flatMap((line) => (chosen.length ? chosen : ["{}"]).map((one) => one.split("{}").join(line)));
    if (!prompts.length) throw new Fault(`the class “${name}” has no prompt; give it at least one.`, name);
    for (const prompt of prompts) {
      const isText = !/\p{Surrogate}/u.test(prompt) && new RegExp(`[^${SPACE}]`).test(prompt);
      if (!isText) throw new Fault(`a prompt of “${name}” is empty or holds half a letter; write it in words.`, name);
    }
    return [name, prompts];
  });
}

// ---- scores, as zsc/scoring.py -----------------------------------------------------------------------------------

function dot(rows, start, other) {
  let sum = 0;
  for (let i = 0; i < other.length; i++) sum += rows[start + i] * other[i];
  return sum;
}

function meanOf(vectors, name) {
  const mean = vectors[0].map((_, i) => vectors.reduce((sum, vector) => sum + vector[i], 0) / vectors.length);
  const length = Math.hypot(...mean);
  if (!(length > 1e-5)) throw new Fault(`the prompts of the class “${name}” cancel each other out; change one of them.`, name);
  return mean.map((value) => value / length);
}

/** A function from a picture (its first index in `rows`) to the scores of the classes. */
function scorer(rows, names, vectors, pooling, scale) {
  if (pooling === "mean") {
    const means = vectors.map((own, k) => meanOf(own, names[k]));
    return (start) => means.map((mean) => dot(rows, start, mean));
  }
  const pool = {
    max: (cosines) => Math.max(...cosines),
    sum: (cosines) => {
      const top = Math.max(...cosines);
      return top + Math.log(cosines.reduce((sum, one) => sum + Math.exp(scale * (one - top)), 0)) / scale;
    },
    chils: ([parent, ...below]) => parent + (below.length ? Math.max(...below) : parent),
  }[pooling];
  return (start) => vectors.map((own) => pool(own.map((vector) => dot(rows, start, vector))));
}

function wilson(right, n) {
  const share = right / n, square = (Z * Z) / n;
  const middle = (share + square / 2) / (1 + square);
  const half = (Z * Math.sqrt((share * (1 - share)) / n + square / (4 * n))) / (1 + square);
  return [right === 0 ? 0 : middle - half, right === n ? 1 : middle + half];
}

/** What prompts do on one part of the pictures, "open" or "sealed". */
function judged(part, labels, prompts, vectors, pooling, scale) {
  const names = prompts.map(([name]) => name), column = new Map();
  names.forEach((name, k) => labels.has(name) && column.set(labels.get(name), k));
  const score = scorer(part.rows, names, vectors, pooling, scale);
  const pictures = [];
  part.labels.forEach((label, index) => {
    if (labels.size && !column.has(label)) return; // a class that was left out
    const scores = score(index * part.width), top = Math.max(...scores), said = scores.indexOf(top);
    const proba = 1 / scores.reduce((sum, one) => sum + Math.exp(scale * (one - top)), 0);
    pictures.push({ index, true: labels.size ? column.get(label) : -1, said, proba, scores });
  });
  if (!pictures.length) throw new Fault("no picture is of one of these classes; add a class of the data set again.");
  const confusion = names.map(() => names.map(() => 0)), n = pictures.length;
  if (labels.size) pictures.forEach((one) => confusion[one.true][one.said]++);
  const correct = pictures.filter((one) => one.true === one.said).length;
  const counts = names.map((_, k) => pictures.filter((one) => one.said === k).length);
  const scoresOf = labels.size ? { correct, accuracy: correct / n, interval: wilson(correct, n), confusion } : {};
  return { names, prompts, pooling, pictures, n, counts, hasLabels: labels.size > 0, ...scoresOf };
}

// ---- what the page carries ---------------------------------------------------------------------------------------

const at = (id) => document.getElementById(id);

async function unpacked(id) {
  const text = atob(at(id).textContent.trim()), bytes = new Uint8Array(text.length);
  at(id).remove();
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Open the text encoder: one thread, its program and the glue out of the page (nothing is fetched). */
async function openEncoder() {
  const glue = new Blob([await unpacked("glue")], { type: "text/javascript" });
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await unpacked("wasm"), wasmPaths: { mjs: URL.createObjectURL(glue) } });
  return ort.InferenceSession.create(await unpacked("graph"), { executionProviders: ["wasm"] });
}

class Lesson {
  constructor(content, rows, session) {
    Object.assign(this, content, { session, tokenizer: new Tokenizer(content.tokens), known: new Map(), running: Promise.resolve() });
    this.labels = new Map(content.labels);
    let start = 0;
    for (const part of this.parts) {
      part.width = content.width;
      part.rows = rows.subarray(start, (start += part.labels.length * part.width));
    }
  }

  /** The unit vectors of texts; each is computed once. */
  async encoded(texts, tell = () => {}) {
    const fresh = [...new Set(texts)].filter((text) => !this.known.has(text));
    for (let i = 0; i < fresh.length; i += STEP) {
      if (fresh.length > STEP) {
        tell(`encoding prompt ${i + 1} of ${fresh.length} …`);
        await new Promise((next) => setTimeout(next));
      }
      const some = fresh.slice(i, i + STEP), { limit, end } = this.tokenizer;
      const input = new BigInt64Array(some.length * limit);
      some.forEach((text, row) => {
        let ids = this.tokenizer.ids(text);
        if (ids.length > limit) ids = [...ids.slice(0, limit - 1), end];
        ids.forEach((id, k) => (input[row * limit + k] = BigInt(id)));
      });
      const found = await this.session.run({ input_ids: new ort.Tensor("int64", input, [some.length, limit]) });
      const values = Object.values(found)[0].data, width = values.length / some.length;
      some.forEach((text, row) => {
        const vector = Array.from(values.subarray(row * width, (row + 1) * width)), length = Math.hypot(...vector);
        this.known.set(text, vector.map((value) => value / length));
      });
    }
    return texts.map((text) => this.known.get(text));
  }

  /** Judge boxes [[class, text], ...], one question after the other; `part` 0 holds the open pictures, 1 the sealed ones. */
  ask(texts, templates, pooling, { part = 0, tell } = {}) {
    const answer = this.running.then(async () => {
      const begin = performance.now(), prompts = filled(texts, templates), vectors = [];
      for (const [name, own] of prompts) {
        for (const text of own) this.check(text, name);
        vectors.push(await this.encoded(own, tell));
      }
      const found = judged(this.parts[part], this.labels, prompts, vectors, pooling, this.scale);
      return { ...found, texts, templates, part, milliseconds: performance.now() - begin };
    });
    this.running = answer.catch(() => {});
    return answer;
  }

  check(text, name) {
    try {
      this.tokenizer.ids(text);
    } catch (fault) {
      throw new Fault(fault.message, name);
    }
  }
}

// ---- what is shown -----------------------------------------------------------------------------------------------

/** An element with its children; texts become text, `on` what a click or a change does. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag), { on = {}, ...others } = attributes;
  for (const [name, value] of Object.entries(others)) if (value !== null) node.setAttribute(name, value);
  for (const [name, call] of Object.entries(on)) node.addEventListener(name, call);
  node.append(...children);
  return node;
}

const three = (value) => value.toFixed(3);
const named = (name, tag = "bdi") => el(tag, { class: "name" }, name);

function table(caption, head, rows) {
  const heads = head.length ? [el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))] : [];
  const body = rows.map(([first, ...cells]) => el("tr", {}, el("th", { scope: "row" }, first), ...cells.map((cell) => (cell instanceof Node && cell.tagName === "TD" ? cell : el("td", {}, cell)))));
  return el("div", { class: "wide", role: "region", tabindex: "0", "aria-label": caption }, el("table", {}, el("caption", {}, caption), ...heads, ...body));
}

function bar(share) {
  const inner = el("span", { class: "bar" });
  inner.style.width = `${(100 * share).toFixed(1)}%`;
  return el("span", { class: "track" }, inner);
}

const inShort = ({ accuracy, correct, n, interval: [low, high] }) =>
  `accuracy ${three(accuracy)} (${correct} of ${n}), 95 % interval ${three(low)} to ${three(high)}`;

class Panel {
  constructor(lesson) {
    Object.assign(this, { lesson, boxes: new Map(), tried: [], page: 0, asked: 0, looks: lesson.looks });
    for (const [name, text] of lesson.start) this.add(name, text);
    at("templates").value = lesson.templates;
    at("pooling").append(...lesson.poolings.map((name) => el("option", {}, name)));
    at("pooling").value = lesson.pooling;
    for (const id of ["templates", "pooling"]) at(id).addEventListener("input", () => this.typed());
    for (const id of ["true", "said", "order"]) at(id).addEventListener("input", () => this.turn(-this.page));
    at("order").value = lesson.labels.size ? "sure" : "unsure";
    at("earlier").addEventListener("click", () => this.turn(-1));
    at("later").addEventListener("click", () => this.turn(1));
    at("add").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = at("new").value.trim();
      if (!name || this.boxes.has(name)) return at("new").focus();
      this.add(name, at("templates").value ? name : `a photo of a ${name}`);
      at("new").value = "";
      this.typed();
    });
    at("unseal").hidden = lesson.parts.length < 2;
    at("unseal").addEventListener("click", () => this.unseal());
    at("of").hidden = !lesson.labels.size;
  }

  add(name, text) {
    const box = el("textarea", { rows: Math.min(6, Math.max(1, text.split("\n").length)), on: { input: () => this.typed() } });
    box.value = text;
    const note = el("div", { class: "note" });
    const out = el("button", { type: "button", class: "out", "aria-label": `leave out ${name}`, on: { click: () => this.leaveOut(name) } }, "leave out");
    const whole = el("div", { class: "class" }, el("label", { dir: "auto" }, name, box), out, note);
    this.boxes.set(name, { box, note, whole });
    at("boxes").append(whole);
  }

  leaveOut(name) {
    this.boxes.get(name).whole.remove();
    this.boxes.delete(name);
    this.typed();
  }

  typed() {
    clearTimeout(this.soon);
    clearTimeout(this.late);
    this.soon = setTimeout(() => this.update(), ANSWER_AFTER);
    this.late = setTimeout(() => this.remember(), REMEMBER_AFTER);
  }

  /** Ask for what stands in the boxes; an answer that was overtaken is not shown. */
  async update() {
    const turn = ++this.asked, texts = [...this.boxes].map(([name, { box }]) => [name, box.value]);
    const isNew = () => turn === this.asked, tell = (words) => isNew() && this.tell(words);
    try {
      const answer = await this.lesson.ask(texts, at("templates").value, at("pooling").value, { tell });
      if (isNew()) this.show(answer, null);
    } catch (fault) {
      if (isNew()) this.show(this.answer, fault);
    }
  }

  tell(words) {
    at("accuracy").textContent = words;
  }

  show(answer, fault) {
    Object.assign(this, { answer, fault });
    document.body.classList.toggle("old", Boolean(fault));
    for (const [name, { box, note }] of [...this.boxes, ["", { box: at("templates"), note: at("template-note") }]]) {
      const isWrong = fault?.box === name;
      box.setAttribute("aria-invalid", isWrong);
      note.textContent = isWrong ? fault.message : fault ? "" : this.noteOn(name);
    }
    at("unseal").disabled = Boolean(fault);
    this.tell(fault ? `no answer: ${fault.message}` : answer.hasLabels ? inShort(answer) : `${answer.n} pictures, no labels`);
    at("time").textContent = fault ? "shown below: the last complete prompts" : `${answer.milliseconds.toFixed(0)} ms`;
    if (!answer) return;
    at("recall").replaceChildren(this.recall(answer));
    at("confusion").replaceChildren(...(answer.hasLabels ? this.confusion(answer) : []));
    const lines = answer.prompts.map(([name, own]) => `  ${JSON.stringify(name)}: ${JSON.stringify(own)}`); // an object would order names that are numbers
    at("file").value = `{"pooling": ${JSON.stringify(answer.pooling)}, "classes": {\n${lines.join(",\n")}\n}}`;
    for (const [id, first] of [["true", [ANY]], ["said", answer.hasLabels ? [WRONG, ANY] : [ANY]]]) {
      const before = at(id).value, all = [...first, ...answer.names.map((name, k) => [name, k])];
      at(id).replaceChildren(...all.map((one) => (Array.isArray(one) ? el("option", { value: one[1] }, one[0]) : el("option", { value: one }, one))));
      if (all.some((one) => String(Array.isArray(one) ? one[1] : one) === before)) at(id).value = before;
    }
    this.turn(-this.page);
  }

  noteOn(name) {
    const limit = this.lesson.tokenizer.limit, own = this.answer.prompts.find(([one]) => one === name)?.[1] ?? [];
    const long = own.find((text) => this.lesson.tokenizer.ids(text).length > limit);
    return long ? `too long, “${long.slice(0, 50)}”: the model reads ${limit} tokens; the rest is not read, shorten it.` : "";
  }

  choose(label, said) {
    at("true").value = label;
    at("said").value = said;
    this.turn(-this.page);
    at("gallery").scrollIntoView({ block: "nearest" });
  }

  button(words, label, said, about = null) {
    return el("button", { type: "button", class: "link", "aria-label": about, on: { click: () => this.choose(label, said) } }, words);
  }

  recall({ names, confusion, counts, n, hasLabels }) {
    const rows = names.map((name, k) => {
      if (!hasLabels) return [this.button(named(name), ANY, k), bar(counts[k] / n), String(counts[k])];
      const all = confusion[k].reduce((sum, one) => sum + one, 0), share = confusion[k][k] / all, [low, high] = wilson(confusion[k][k], all);
      return [this.button(named(name), k, ANY), bar(share || 0), all ? `${three(share)} of ${all}, ${three(low)} to ${three(high)}` : "no picture", share];
    });
    if (names.length > MANY) rows.sort((a, b) => (a[3] ?? 2) - (b[3] ?? 2));
    return table(hasLabels ? "recall of each class, with 95 % interval" : "pictures given to each class", [], rows.map((row) => row.slice(0, 3)));
  }

  confusion({ names, confusion }) {
    if (names.length >= MANY) {
      const pairs = confusion.flatMap((row, k) => row.map((count, j) => [count, k, j])).filter(([count, k, j]) => count && k !== j);
      pairs.sort((a, b) => b[0] - a[0]);
      const rows = pairs.slice(0, 10).map(([count, k, j]) => [this.button(el("span", {}, named(names[k]), " → ", named(names[j])), k, j), String(count)]);
      return [table("most frequent confusions", ["true → predicted", "pictures"], rows)];
    }
    const rows = confusion.map((row, k) => {
      const sum = Math.max(1, row.reduce((total, one) => total + one, 0));
      const cells = row.map((count, j) => {
        const cell = el("td", { class: j === k ? "right" : "" }, count ? this.button(String(count), k, j, `${count}: ${names[k]}, said to be ${names[j]}`) : "0");
        cell.style.setProperty("--share", `${((60 * count) / sum).toFixed(0)}%`);
        return cell;
      });
      return [named(names[k]), ...cells];
    });
    const found = table("confusion", ["", ...names.map((name) => named(name, "span"))], rows);
    found.classList.add("matrix");
    return [found, el("p", { class: "faint" }, "rows: true; columns: predicted; framed: right")];
  }

  turn(pages) {
    const { names, pictures, part } = this.answer, label = at("true").value, said = at("said").value;
    const isUnsure = at("order").value === "unsure";
    const chosen = pictures.filter((one) => (label === ANY || one.true === Number(label)) && (said === ANY || (said === WRONG ? one.said !== one.true : one.said === Number(said))));
    chosen.sort((a, b) => (isUnsure ? a.proba - b.proba : b.proba - a.proba) || a.index - b.index);
    const last = Math.floor(Math.max(0, chosen.length - 1) / PAGE);
    this.page = Math.min(Math.max(this.page + pages, 0), last);
    const first = this.page * PAGE, shown = chosen.slice(first, first + PAGE);
    [at("earlier").disabled, at("later").disabled] = [this.page === 0, this.page === last];
    const kind = said === WRONG ? "mistakes" : "pictures";
    at("shown").textContent = chosen.length ? `the ${isUnsure ? "least" : "most"} confident ${kind}: ${first + 1} to ${first + shown.length} of ${chosen.length}` : `no ${kind}`;
    at("gallery").replaceChildren(...shown.map((one) => {
      const uri = this.lesson.parts[part].pictures[one.index], is = one.true === one.said;
      const words = one.true < 0 ? [named(names[one.said])] : is ? ["right: ", named(names[one.true])] : ["wrong: ", named(names[one.true]), " → ", named(names[one.said])];
      const alt = one.true < 0 ? `said to be ${names[one.said]}` : `${names[one.true]}, taken for ${names[one.said]}`;
      const image = uri ? el("img", { src: uri, alt }) : el("span", { class: "lost" }, "cannot be opened");
      return el("figure", { class: one.true < 0 || is ? "" : "wrong" }, image, el("figcaption", {}, ...words, el("br"), `p = ${three(one.proba)}`));
    }));
  }

  remember() {
    const key = ({ prompts, pooling }) => JSON.stringify([prompts, pooling]);
    if (this.fault || this.tried.some((one) => key(one) === key(this.answer))) return;
    this.tried.push(this.answer);
    const rows = this.tried.map((one, k) => {
      const words = one.prompts.map(([name, own]) => `${name}: ${own.join(", ")}`).join(" | ");
      const numbers = one.hasLabels ? [three(one.accuracy), one.interval.map(three).join(" to ")] : [];
      return [String(k + 1), ...numbers, String(one.n), one.pooling, el("td", { class: "name", dir: "auto" }, words.length > 160 ? `${words.slice(0, 157)}...` : words)];
    });
    const heads = ["try", ...(this.answer.hasLabels ? ["accuracy", "95 % interval"] : []), "pictures", "pooling", "prompts"];
    const warning = this.answer.hasLabels ? [el("p", { class: "faint" }, "The best of several tries on the same pictures looks better than it is: confirm it on others.")] : [];
    at("tries").replaceChildren(table(`tried so far: ${this.tried.length}${rows.length > 8 ? ", of which the last 8" : ""}`, heads, rows.slice(-8).reverse()), ...warning);
  }

  /** Judge the newest answer on the sealed pictures; each look is counted, also over reloads where the browser keeps it. */
  async unseal() {
    this.remember();
    const { answer, lesson } = this, sealed = await lesson.ask(answer.texts, answer.templates, answer.pooling, { part: 1 });
    const gap = answer.accuracy - sealed.accuracy;
    this.looks = keptLooks(lesson, this.looks + 1);
    at("sealed").textContent = `sealed: ${inShort(sealed)}; on the open pictures ${three(answer.accuracy)}, optimism ${gap < 0 ? "" : "+"}${three(gap)}; ${this.tried.length} tries, look ${this.looks}`;
  }
}

/** Count looks in the browser's own memory; where it keeps nothing, they count for as long as the page is open. */
function keptLooks(lesson, looks) {
  try {
    const key = `zsc looks ${lesson.digest}`;
    looks = Math.max(looks, Number(localStorage.getItem(key) || 0) + 1);
    localStorage.setItem(key, looks);
  } catch {} // a browser that forbids it
  return looks;
}

(async () => {
  try {
    const content = JSON.parse(new TextDecoder().decode(await unpacked("lesson")));
    const rows = new Float32Array((await unpacked("rows")).buffer);
    const lesson = new Lesson(content, rows, await openEncoder());
    window.zsc = { lesson, fromLines, wilson };
    const panel = new Panel(lesson);
    await panel.update();
    panel.remember();
    at("main").hidden = false;
    at("state").remove();
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    at("state").textContent = `This page needs a browser of 2023 or later, with WebAssembly (${error.message}).`;
    throw error;
  }
})();

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

/** An error whose message is for the reader, with the class whose box is at fault ("": the templates). */
const fault = (sentence, box = null) => Object.assign(new Error(sentence), { box });

// ---- texts -> tokens, as zsc/models/tokens.py, with what ftfy, html and regex do for it

class Tokenizer {
  constructor(content) {
    const { merges, limit, literals, bad } = content, bytes = [...Array(256).keys()];
    Object.assign(this, { limit, literals, words: new Map(), letters: [] });
    for (const table of ["entities", "names", "ligatures"]) this[table] = new Map(Object.entries(content[table]));
    // a verbose expression of Python's: blanks and comments outside of brackets do not count
    const plain = bad.replace(/\[[^\]]*\]|\\.|#.*|\s+/gu, (part) => ("[\\".includes(part[0]) ? part : ""));
    this.bad = new RegExp(plain.replace(/\\w/g, "[\\p{L}\\p{N}_]").replace(/\\s/g, "\\p{White_Space}"), "u");
    const own = bytes.filter((byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)); // stand for themselves
    const order = [...own, ...bytes.filter((byte) => !own.includes(byte))].map((byte, k) => {
      return (this.letters[byte] = String.fromCharCode(k < own.length ? byte : 256 + k - own.length));
    });
    this.ranks = new Map(merges.map((pair, rank) => [pair, rank]));
    const whole = order.map((letter) => `${letter}</w>`), merged = merges.map((pair) => pair.replace(" ", ""));
    const vocabulary = [...order, ...whole, ...merged, ...literals];
    this.numbers = new Map(vocabulary.map((name, number) => [name, number]));
    [this.start, this.end] = [vocabulary.length - 2, vocabulary.length - 1];
    const escaped = literals.map((text) => text.replace(/[|]/g, "\\|"));
    // in lower case already; what Python's IGNORECASE adds: a long s, and that no part begins with U+0345
    const kinds = ["'[sſ]|'t|'re|'ve|'m|'ll|'d", "\\p{L}+", "\\p{N}", "[^\\p{White_Space}\\p{L}\\p{N}\u0345]+"];
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
      const ranks = parts.slice(1).map((part, i) => this.ranks.get(`${parts[i]} ${part}`) ?? Infinity);
      const best = Math.min(...ranks), merged = [];
      if (best === Infinity) return parts;
      for (let i = 0; i < parts.length; i++) merged.push(ranks[i] === best ? parts[i] + parts[++i] : parts[i]);
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
        const bad = this.bad.exec(line);
        if (bad) throw fault(`“${text}” looks wrongly decoded at “${bad[0]}”; type it again without that.`);
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
    if (this.names.has(name)) return this.names.get(name);
    const made = name.startsWith("&#") ? this.unescaped(name) : ";";
    return made.includes(";") ? name : made;
  }

  /** html.unescape. */
  unescaped(text) {
    return text.replace(/&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu, (all, name) => {
      if (name[0] === "#") return letterOf(parseInt(name.replace(/^#x?/i, ""), /^#x/i.test(name) ? 16 : 10));
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

// ---- boxes -> prompts, as zsc/explorer/session.py

function fromLines(text) {
  const ends = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/).map((line) => line.replace(ends, ""));
  const plain = { "\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\t": "\t" };
  const read = (found) => plain[found] ?? String.fromCharCode(parseInt(found.slice(2), 16));
  return lines.filter(Boolean).map((line) => line.replace(/\\(?:[\\nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})/g, read));
}

/** From [[class, box], ...] and templates to [[class, prompts], ...]. */
function filled(texts, templates) {
  const found = fromLines(templates), chosen = found.length ? found : ["{}"];
  const wrong = chosen.find((template) => template.split("{}").length !== 2);
  if (wrong) throw fault(`the template “${wrong}” must have exactly one {}, such as: a photo of a {}`, "");
  if (texts.length < 2) throw fault("a choice needs two classes; add one.");
  return texts.map(([name, text]) => {
    const lines = fromLines(text);
    const prompts = lines.flatMap((line) => chosen.map((template) => template.split("{}").join(line)));
    if (!prompts.length) throw fault(`the class “${name}” has no prompt; give it at least one.`, name);
    const isText = (prompt) => !/\p{Surrogate}/u.test(prompt) && new RegExp(`[^${SPACE}]`).test(prompt);
    if (!prompts.every(isText)) throw fault(`a prompt of “${name}” is empty or half a letter; write it in words.`, name);
    return [name, prompts];
  });
}

// ---- scores, as zsc/scoring.py
function dot(rows, start, other) {
  let sum = 0;
  for (let i = 0; i < other.length; i++) sum += rows[start + i] * other[i];
  return sum;
}

/** The mean of vectors, as a unit vector. */
function meanOf(vectors, name) {
  const mean = vectors[0].map((_, i) => vectors.reduce((sum, vector) => sum + vector[i], 0) / vectors.length);
  const length = Math.hypot(...mean);
  if (!(length > 1e-5)) throw fault(`the prompts of “${name}” cancel each other out; change one of them.`, name);
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
    sum: (cosines) => Math.log(cosines.reduce((sum, one) => sum + Math.exp(scale * one), 0)) / scale,
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
  const score = scorer(part.rows, names, vectors, pooling, scale), pictures = [];
  part.labels.forEach((label, index) => {
    if (labels.size && !column.has(label)) return; // a class that was left out
    const scores = score(index * part.width), top = Math.max(...scores), said = scores.indexOf(top);
    const proba = 1 / scores.reduce((sum, one) => sum + Math.exp(scale * (one - top)), 0);
    pictures.push({ index, true: labels.size ? column.get(label) : -1, said, proba, scores });
  });
  if (!pictures.length) throw fault("no picture is of one of these classes; add a class of the data set again.");
  const confusion = names.map(() => names.map(() => 0)), n = pictures.length;
  if (labels.size) pictures.forEach((one) => confusion[one.true][one.said]++);
  const correct = pictures.filter((one) => one.true === one.said).length;
  const counts = names.map((_, k) => pictures.filter((one) => one.said === k).length);
  const scoresOf = labels.size ? { correct, accuracy: correct / n, interval: wilson(correct, n), confusion } : {};
  return { names, prompts, pooling, pictures, n, counts, hasLabels: labels.size > 0, ...scoresOf };
}

// ---- what the page carries
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
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: await unpacked("wasm") });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(glue) };
  return ort.InferenceSession.create(await unpacked("graph"), { executionProviders: ["wasm"] });
}

class Lesson {
  constructor(content, rows, session) {
    const labels = new Map(content.labels), tokenizer = new Tokenizer(content.tokens);
    Object.assign(this, content, { labels, tokenizer, session, known: new Map(), running: Promise.resolve() });
    let from = 0;
    this.parts = content.parts.map((labels) => {
      const [start, end] = [from, (from += labels.length)], { pictures } = content, width = rows.length / pictures.length;
      return { labels, width, pictures: pictures.slice(start, end), rows: rows.subarray(start * width, end * width) };
    });
  }

  /** The unit vectors of texts; each is computed once. */
  async encoded(texts, tell = () => {}) {
    const fresh = [...new Set(texts)].filter((text) => !this.known.has(text));
    for (let i = 0; i < fresh.length; i += STEP) {
      if (fresh.length > STEP) tell(`encoding prompt ${i + 1} of ${fresh.length} …`);
      if (i) await new Promise((next) => setTimeout(next)); // the page is drawn
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
        this.known.set(text, meanOf([[...values.subarray(row * width, (row + 1) * width)]], text));
      });
    }
    return texts.map((text) => this.known.get(text));
  }

  /** Judge boxes [[class, text], ...], one question after the other; `part` 0 holds the open pictures, 1 the sealed ones. */
  ask(texts, templates, pooling, { part = 0, tell } = {}) {
    const answer = this.running.then(async () => {
      const begin = performance.now(), prompts = filled(texts, templates), vectors = [];
      for (const [name, own] of prompts) {
        vectors.push(await this.encoded(own, tell).catch((error) => Promise.reject(fault(error.message, name))));
      }
      const found = judged(this.parts[part], this.labels, prompts, vectors, pooling, this.scale);
      return { ...found, texts, templates, part, milliseconds: performance.now() - begin };
    });
    this.running = answer.catch(() => {});
    return answer;
  }
}

// ---- what is shown
/** An element with its children; texts become text, a function is what a click does. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const three = (value) => value.toFixed(3);
const range = ([low, high]) => `${three(low)} to ${three(high)}`;
const total = (row) => row.reduce((sum, one) => sum + one, 0);
const named = (name) => el("bdi", { class: "name" }, name);
const pair = (a, b) => [named(a), " → ", named(b)];

const right = ({ accuracy, correct, n }) => `accuracy ${three(accuracy)} (${correct} of ${n})`;
const inShort = (found) =>
  found.hasLabels ? `${right(found)}, 95 % interval ${range(found.interval)}` : `${found.n} pictures, no labels`;

function table(caption, heads, rows) {
  const head = heads.length ? [el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)))] : [];
  const cell = (one) => (one.tagName === "TD" ? one : el("td", {}, one));
  const body = rows.map(([first, ...cells]) => el("tr", {}, el("th", { scope: "row" }, first), ...cells.map(cell)));
  const inner = el("table", {}, el("caption", {}, caption), ...head, ...body);
  return el("div", { class: "wide", role: "region", tabindex: "0", "aria-label": caption }, inner);
}

const bar = (share) => el("progress", { value: share, "aria-hidden": "true" }); // the words beside it say the same

class Panel {
  constructor(lesson) {
    Object.assign(this, { lesson, boxes: new Map(), tried: [], page: 0, asked: 0, looks: lesson.looks });
    for (const [name, text] of lesson.start) this.add(name, text);
    at("pooling").append(...lesson.poolings.map((name) => el("option", {}, name)));
    for (const id of ["templates", "pooling"]) {
      at(id).value = lesson[id];
      at(id).addEventListener("input", () => this.typed());
    }
    at("order").value = lesson.labels.size ? "sure" : "unsure";
    for (const id of ["true", "said", "order"]) at(id).addEventListener("input", () => this.turn(-this.page));
    at("earlier").addEventListener("click", () => this.turn(-1));
    at("later").addEventListener("click", () => this.turn(1));
    at("unseal").addEventListener("click", () => this.unseal());
    [at("unseal").hidden, at("of").hidden] = [lesson.parts.length < 2, !lesson.labels.size];
    at("add").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = at("new").value.trim();
      if (!name || this.boxes.has(name)) return at("new").focus();
      this.add(name, at("templates").value ? name : `a photo of a ${name}`);
      at("new").value = "";
      this.typed();
    });
  }

  add(name, text) {
    const note = el("div", { class: "note" }), rows = Math.min(6, text.split("\n").length);
    const box = el("textarea", { rows, input: () => this.typed() }, text);
    const leave = () => {
      whole.remove();
      this.boxes.delete(name);
      this.typed();
    };
    const out = el("button", { type: "button", class: "out", "aria-label": `leave out ${name}`, click: leave }, "leave out");
    const whole = el("div", { class: "class" }, el("label", { dir: "auto" }, name, box), out, note);
    this.boxes.set(name, { box, note });
    at("boxes").append(whole);
  }

  typed() {
    [this.soon, this.late].forEach((timer) => clearTimeout(timer));
    this.soon = setTimeout(() => this.update(), ANSWER_AFTER);
    this.late = setTimeout(() => this.remember(), REMEMBER_AFTER);
  }

  /** Ask for what stands in the boxes; an answer that was overtaken is not shown. */
  async update() {
    const turn = ++this.asked, texts = [...this.boxes].map(([name, { box }]) => [name, box.value]);
    const ifNew = (call) => (value) => turn === this.asked && call(value);
    const tell = ifNew((words) => (at("accuracy").textContent = words));
    const asked = this.lesson.ask(texts, at("templates").value, at("pooling").value, { tell });
    await asked.then(ifNew((answer) => this.show(answer, null)), ifNew((error) => this.show(this.answer, error)));
  }

  show(answer, error) {
    Object.assign(this, { answer, error });
    document.body.classList.toggle("old", Boolean(error));
    for (const [name, { box, note }] of [...this.boxes, ["", { box: at("templates"), note: at("template-note") }]]) {
      const isWrong = error?.box === name;
      box.setAttribute("aria-invalid", isWrong);
      note.textContent = isWrong ? error.message : error ? "" : this.noteOn(name);
    }
    at("unseal").disabled = Boolean(error);
    at("accuracy").textContent = error ? `no answer: ${error.message}` : inShort(answer);
    at("time").textContent = error ? "below: the last complete prompts" : `${answer.milliseconds.toFixed(0)} ms`;
    if (!answer) return;
    at("recall").replaceChildren(this.recall(answer));
    at("confusion").replaceChildren(answer.hasLabels ? this.confusion(answer) : "");
    // line by line, as an object would order names that are numbers
    const lines = answer.prompts.map(([name, own]) => `  ${JSON.stringify(name)}: ${JSON.stringify(own)}`);
    at("file").value = `{"pooling": ${JSON.stringify(answer.pooling)}, "classes": {\n${lines.join(",\n")}\n}}`;
    const classes = answer.names.map((name, k) => [name, String(k)]), any = [[ANY, ANY]];
    for (const [id, first] of [["true", any], ["said", answer.hasLabels ? [[WRONG, WRONG], ...any] : any]]) {
      const before = at(id).value, all = [...first, ...classes];
      at(id).replaceChildren(...all.map(([words, value]) => el("option", { value }, words)));
      if (all.some(([, value]) => value === before)) at(id).value = before;
    }
    this.turn(-this.page);
  }

  noteOn(name) {
    const { limit } = this.lesson.tokenizer, own = this.answer.prompts.find(([one]) => one === name)?.[1] ?? [];
    const long = own.find((text) => this.lesson.tokenizer.ids(text).length > limit);
    return long ? `too long, “${long.slice(0, 50)}”: only ${limit} tokens of it are read; shorten it.` : "";
  }

  /** A number or a name that shows its pictures in the gallery. */
  button(words, label, said, about) {
    const choose = () => {
      [at("true").value, at("said").value] = [label, said];
      this.turn(-this.page);
      at("gallery").scrollIntoView({ block: "nearest" });
    };
    return el("button", { type: "button", class: "link", "aria-label": about, click: choose }, ...words);
  }

  recall({ names, confusion, counts, n, hasLabels }) {
    if (!hasLabels) {
      const button = (name, k) => this.button([named(name)], ANY, k, `said to be ${name}`);
      const rows = names.map((name, k) => [button(name, k), bar(counts[k] / n), String(counts[k])]);
      return table("pictures given to each class", [], rows);
    }
    const order = names.map((_, k) => [k, confusion[k][k], total(confusion[k])]);
    if (names.length > MANY) order.sort((a, b) => a[1] / (a[2] || 0.1) - b[1] / (b[2] || 0.1)); // the lowest first
    const rows = order.map(([k, right, all]) => {
      const words = all ? `${three(right / all)} of ${all}, ${range(wilson(right, all))}` : "no picture";
      return [this.button([named(names[k])], k, ANY, `pictures of ${names[k]}`), bar(all ? right / all : 0), words];
    });
    return table("recall of each class, with 95 % interval", [], rows);
  }

  confusion({ names, confusion }) {
    if (names.length >= MANY) {
      const pairs = confusion.flatMap((row, k) => row.map((count, j) => [count, k, j]));
      const most = pairs.filter(([count, k, j]) => count && k !== j).sort((a, b) => b[0] - a[0]).slice(0, 10);
      const button = (k, j) => this.button(pair(names[k], names[j]), k, j, `${names[k]} → ${names[j]}`);
      const rows = most.map(([count, k, j]) => [button(k, j), String(count)]);
      return table("most frequent confusions", ["true → predicted", "pictures"], rows);
    }
    const rows = confusion.map((row, k) => [named(names[k]), ...row.map((count, j) => {
      const about = `${count}: ${names[k]}, said to be ${names[j]}`;
      const cell = el("td", { class: j === k ? "right" : "" }, count ? this.button([String(count)], k, j, about) : "0");
      cell.style.setProperty("--share", `${((60 * count) / (total(row) || 1)).toFixed(0)}%`);
      return cell;
    })]);
    const found = table("confusion; framed: right", ["true ↓ predicted →", ...names.map((name) => named(name))], rows);
    found.classList.add("matrix");
    return found;
  }

  /** Show the page of the gallery that is so many pages further on. */
  turn(pages) {
    const [label, said, order] = ["true", "said", "order"].map((id) => at(id).value);
    const fits = (one) => (said === ANY || (said === WRONG ? one.said !== one.true : one.said === Number(said)));
    const chosen = this.answer.pictures.filter((one) => (label === ANY || one.true === Number(label)) && fits(one));
    const sign = order === "unsure" ? 1 : -1, last = Math.floor(Math.max(0, chosen.length - 1) / PAGE);
    chosen.sort((a, b) => sign * (a.proba - b.proba) || a.index - b.index);
    this.page = Math.min(Math.max(this.page + pages, 0), last);
    [at("earlier").disabled, at("later").disabled] = [this.page === 0, this.page === last];
    const first = this.page * PAGE, shown = chosen.slice(first, first + PAGE);
    const kind = said === WRONG ? "mistakes" : "pictures", which = `${order === "unsure" ? "least" : "most"} confident ${kind}`;
    const where = `the ${which}: ${first + 1} to ${first + shown.length} of ${chosen.length}`;
    at("shown").textContent = shown.length ? where : `no ${kind}`;
    at("gallery").replaceChildren(...shown.map((one) => this.card(one)));
  }

  card({ index, true: label, said, proba }) {
    const { names, part, hasLabels } = this.answer, uri = this.lesson.parts[part].pictures[index];
    const isWrong = hasLabels && label !== said, words = isWrong ? pair(names[label], names[said]) : [named(names[said])];
    if (hasLabels) words.unshift(isWrong ? "wrong: " : "right: ");
    const alt = hasLabels ? `${names[label]}, taken for ${names[said]}` : `said to be ${names[said]}`;
    const image = uri ? el("img", { src: uri, alt }) : el("span", { class: "lost" }, "cannot be opened");
    words.push(el("br"), `p = ${three(proba)}`);
    return el("figure", { class: isWrong ? "wrong" : "" }, image, el("figcaption", {}, ...words));
  }

  /** Write the newest answer into the list of tries, once. */
  remember() {
    const key = ({ prompts, pooling }) => JSON.stringify([prompts, pooling]);
    if (this.error || this.tried.some((one) => key(one) === key(this.answer))) return;
    this.tried.push(this.answer);
    const { hasLabels } = this.answer;
    const rows = this.tried.map((one, k) => {
      const words = one.prompts.map(([name, own]) => `${name}: ${own.join(", ")}`).join(" | ");
      const numbers = hasLabels ? [three(one.accuracy), range(one.interval)] : [];
      const cell = el("td", { class: "name", dir: "auto" }, words.length > 160 ? `${words.slice(0, 157)}...` : words);
      return [String(k + 1), ...numbers, String(one.n), one.pooling, cell];
    });
    const heads = ["try", ...(hasLabels ? ["accuracy", "95 % interval"] : []), "pictures", "pooling", "prompts"];
    at("tries").replaceChildren(table(`tried so far: ${rows.length}`, heads, rows.reverse()));
    at("warning").hidden = !hasLabels;
  }

  /** Judge the newest answer on the sealed pictures, and count the looks. */
  async unseal() {
    this.remember();
    const { answer } = this, { texts, templates, pooling } = answer;
    const sealed = await this.lesson.ask(texts, templates, pooling, { part: 1 });
    const gap = answer.accuracy - sealed.accuracy, words = `on the open pictures ${three(answer.accuracy)}`;
    const times = `optimism ${gap < 0 ? "" : "+"}${three(gap)}; ${this.tried.length} tries, look ${++this.looks}`;
    at("sealed").textContent = `sealed: ${inShort(sealed)}; ${words}, ${times}`;
  }
}

(async () => {
  try {
    const content = JSON.parse(new TextDecoder().decode(await unpacked("lesson")));
    const rows = new Float32Array((await unpacked("rows")).buffer);
    const lesson = new Lesson(content, rows, await openEncoder());
    await lesson.encoded(["a photo"]); // the first run takes longest
    window.zsc = { lesson, fromLines, wilson };
    const panel = new Panel(lesson);
    at("main").hidden = false;
    at("state").textContent = "";
    await panel.update();
    panel.remember();
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    at("state").textContent = `This page needs a browser of 2023 or later, with WebAssembly (${error.message}).`;
    throw error;
  }
})();

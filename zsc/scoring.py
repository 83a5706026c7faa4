"""Scores (N, K) and probabilities from embeddings: cosines, pooling of several prompts per class, softmax, sigmoid.

Also which class of a data set is which class of a classifier (`match_by`). Every pooling rule keeps the cosine's scale
("chils": sums of two). Probabilities are relative to the prompts: they sum to one whatever the picture shows.
"""

import logging
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, logsumexp, softmax
from sklearn.feature_extraction.text import TfidfVectorizer

from zsc.checks import Rows, as_list, check_choice, check_same_length, frozen, short
from zsc.prompts.prompts import NEGATIONS, POOLINGS, ClassPrompts

CHUNK_ROWS = 65_536
CELLS = 2**26  # cosines of prompts that are held at once
NOWHERE = 1e-5  # a mean of unit rows that is shorter is what rounding leaves of opposite ones


def score_classes(
    image_embeddings: Rows, text_embeddings: Rows, prompts: ClassPrompts, *, pooling: str, logit_scale: float
) -> tuple[Rows, NDArray[np.int64]]:
    """Score N pictures (N, D) against K classes with M prompts (M, D), unit rows; find the prompts that decided.

    Returns scores (N, K), float32; and the index of the prompt of its best class that is nearest to it, shape (N,).
    `logit_scale` is the model's own. `pooling` "mean" is the cosine to the class's mean text embedding, normalised
    again (CLIP's ensemble). "max": the largest cosine of the class's prompts. "sum": the class's share of a softmax
    over all prompts, with the logit scale; a class with more prompts starts with more. "chils": the first prompt of a
    class names the class, the others its sub-classes; the best counts, reweighted by its parent (Novack et al., ICML
    2023); a class with one prompt is its own sub-class.
    """
    check_choice(pooling, POOLINGS, "pooling")
    check_scale(logit_scale)
    check_same_length(text_embeddings=text_embeddings, prompts=prompts)
    if pooling == "mean":
        scores = cosine_scores(image_embeddings, class_weights(text_embeddings, prompts))
    else:
        _check_pair(image_embeddings, text_embeddings)
        scores = np.empty((len(image_embeddings), len(prompts.class_names)), np.float32)
        step = max(1, CELLS // len(text_embeddings))
        for start in range(0, len(scores), step):
            cosines = image_embeddings[start : start + step] @ text_embeddings.T  # (B, M)
            scores[start : start + step] = _pool(cosines, prompts, pooling, logit_scale)
    return scores, _deciding_prompts(image_embeddings, text_embeddings, prompts, scores.argmax(axis=1))


def _pool(cosines: Rows, prompts: ClassPrompts, pooling: str, logit_scale: float) -> Rows:
    """Turn the cosines of M prompts (N, M) into scores of K classes (N, K)."""
    starts = prompts.starts
    if pooling == "max":
        return np.maximum.reduceat(cosines, starts, axis=1)
    if pooling == "sum":
        columns = np.split(cosines * logit_scale, starts[1:], axis=1)
        return np.stack([logsumexp(c, axis=1) for c in columns], axis=1).astype(np.float32) / np.float32(logit_scale)
    # CHiLS multiplies softmax over sub-classes with softmax over parents: logits add up, and what both are divided by
    # is the same for all classes. A class with sub-classes is scored by them, never by its own prompt alone.
    parents = cosines[:, starts]
    below = cosines.copy()
    below[:, starts[np.bincount(prompts.owners) > 1]] = -np.inf
    return np.maximum.reduceat(below, starts, axis=1) + parents


def _deciding_prompts(images: Rows, texts: Rows, prompts: ClassPrompts, best: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each picture find the nearest prompt of its best class; other classes' prompts are not looked at again."""
    ends = [*prompts.starts[1:], len(texts)]
    found = prompts.starts[best]
    for k in np.unique(best):
        start = prompts.starts[k]
        if ends[k] - start > 1:
            rows = np.flatnonzero(best == k)
            found[rows] += (images[rows] @ texts[start : ends[k]].T).argmax(axis=1)
    return found


def class_weights(text_embeddings: np.ndarray, prompts: ClassPrompts) -> np.ndarray:
    """Average the unit text embeddings (M, D) of each class and normalise again: (K, D); ValueError if they cancel."""
    check_same_length(text_embeddings=text_embeddings, prompts=prompts)
    counts = np.bincount(prompts.owners)[:, None]
    mean = np.add.reduceat(text_embeddings, prompts.starts, axis=0) / counts
    lengths = np.linalg.norm(mean, axis=1, keepdims=True)
    nowhere = np.flatnonzero(~(lengths[:, 0] > NOWHERE))  # NaN is nowhere, too
    if len(nowhere):
        told = f"the {int(counts[nowhere[0], 0])} prompts of the class {short(prompts.class_names[nowhere[0]])} cancel"
        ways = "their mean embedding has no direction; change one of them, or take pooling='max'"
        raise ValueError(f"{told} each other out: {ways}.")
    return (mean / lengths).astype(np.float32)


def cosine_scores(image_embeddings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Multiply unit rows (N, D) with unit rows (K, D) into cosines (N, K), a block of rows at a time."""
    _check_pair(image_embeddings, weights)
    scores = np.empty((len(image_embeddings), len(weights)), np.float32)
    for start in range(0, len(scores), CHUNK_ROWS):
        block = slice(start, start + CHUNK_ROWS)
        np.matmul(image_embeddings[block], weights.T, out=scores[block])
    return scores


def nearest(rows: np.ndarray, others: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Find, for each of N unit rows (N, D), the k of K others, (K, D), with the largest cosines, largest first.

    Returns their indices and cosines, each (N, k); of equal ones the first. No more than a block of the cosines (N, K)
    is held, and `others` may be float16: 100,000 classes, or one batch of `EmbeddingStore.scan` after the other.
    """
    _check_pair(rows, others)
    index, best = np.empty((len(rows), 0), np.int64), np.empty((len(rows), 0), np.float32)
    step = max(1, CELLS // 8 // max(1, len(rows)))
    for start in range(0, len(others), step):
        cosines = rows @ others[start : start + step].astype(np.float32, copy=False).T
        top = np.argsort(-cosines, axis=1, kind="stable")[:, :k] if k > 1 else cosines.argmax(axis=1, keepdims=True)
        index, best = np.hstack([index, top + start]), np.hstack([best, np.take_along_axis(cosines, top, axis=1)])
        order = np.argsort(-best, axis=1, kind="stable")[:, :k]
        index, best = np.take_along_axis(index, order, axis=1), np.take_along_axis(best, order, axis=1)
    return index, best


def to_proba(scores: np.ndarray, logit_scale: float, logit_bias: float | None = None) -> np.ndarray:
    """Turn scores (N, K) into probabilities (N, K): the softmax over classes of `logit_scale` x score, float64.

    With `logit_bias`, which is added, the sigmoid instead: each class by itself, as a model trained with sigmoids does.
    """
    check_scale(logit_scale)
    logits = np.asarray(scores, dtype=np.float64) * logit_scale
    return np.asarray(softmax(logits, axis=1) if logit_bias is None else expit(logits + logit_bias))


def check_scale(logit_scale: float) -> None:
    """Refuse a logit scale that is no positive, finite number."""
    if isinstance(logit_scale, (str, bool)) or not 0 < logit_scale < math.inf:
        raise ValueError(f"logit_scale={short(logit_scale)}; logit_scale must be a number above 0.")


def _check_pair(image_embeddings: np.ndarray, weights: np.ndarray) -> None:
    """Refuse embeddings of two models, before one of them is read as a whole; their rows are not looked at."""
    shapes = np.shape(image_embeddings), np.shape(weights)
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1]:
        raise ValueError(f"embeddings of shapes {shapes[0]} and {shapes[1]}; pass (N, D) and (K, D) of one model.")


_log = logging.getLogger("zsc")
TIE = "ClassPrompts.from_texts({class name: prompt, ...})"
_FLOOR = 0.3  # a resemblance below this is chance
_SURE = 0.8  # so much must a text resemble a class where there are more texts than classes
_NO, _GONE = "¬", "⌐"  # a denial of what follows, and of what stands before
_GLUED = ("without", "ohne", "sans", "sin", "non", "no", "un")  # denials that may be one word with what they deny
_OTHERS = (  # denials of what follows, beside those and the English ones
    "kein keine keinen nicht pas ningún ninguna senza sem não zonder geen utan uten uden inte ikke bez без нет не χωρίς"
    " tanpa tidak بدون بلا ليس בלי ללא"
)
_DENIES = {*NEGATIONS, *_GLUED[:-1], *_OTHERS.split()}
_SPELLINGS = (
    (re.compile(r"なし|無し|(?:てい)?ない|ません|없는|없음|없이|नहीं|\byok\b|\bde[ğg]il\b"), f" {_GONE} "),
    (re.compile(r"n['’]t\b|\bw/o\b|\bfree of\b|没有|沒有|没|沒|不|无|無|ไม่|बिना"), f" {_NO} "),
    (re.compile(r"\b(\w+)[-_ ]free\b"), rf" {_NO} \1"),
    (re.compile(r"(?<!\w)-(?=\d)"), "−"),
    (re.compile(r"[,;!?()|、。，；！？]|[.:](?=\s)|\b(?:but|aber|mais|pero|maar)\b"), " , "),
)
_ONE_BY_ONE = re.compile(  # scripts without spaces, and Hangul: Thai to Burmese, Khmer, kana, Han
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff]"
)
_HIRAGANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}  # of katakana


class ClassMismatchError(ValueError):
    """Classes of a data set and of a classifier that do not stand for each other."""


@dataclass(frozen=True, eq=False)
class Match:
    """Which class of a classifier each class of a data set is. Made by `match_by`."""

    index: NDArray[np.int64]  # for each class of the data set its index in the classifier, shape (K,), read-only
    by: str  # "name", or "position" where the names do not say which is which and the order was taken
    note: str = ""  # what to tell the user: empty for "name", else a sentence

    def tell(self) -> None:
        """Log the note, if there is one; it reaches standard error where logging was not set up."""
        if self.note:
            _log.warning("%s", self.note)


def match_by(dataset_names: Sequence[str], classifier_names: Sequence[str]) -> Match:
    """Match classes by what they name, however it is written.

    Names are written in one way (case, inner capitals, underscores, hyphens and leading zeros do not count, denials in
    several languages become one mark) and compared: first whole; then without the words that all names of a side begin
    or end with; then by TF-IDF of words and their parts, where each class must resemble its text most, and the other
    way round. Only if no text resembles another class more than the one in its place, K texts stand for the K classes
    in their order, as in the Glasses tutorial; `by` and `note` say so. The classifier may have more names.
    ClassMismatchError says that names are missing, that only some are equal, or that texts name other classes.

    Examples
    --------
    >>> match_by(["no glasses", "glasses"], ["face with glasses", "face without glasses"]).index
    array([1, 0])
    """
    ours, theirs = as_list(dataset_names, "dataset_names", "names"), as_list(classifier_names, "classifier_names")
    sides = [[_words(name) for name in names] for names in (ours, theirs)]
    known = {word for side in sides for words in side for word in words}
    sides = [[_unglued(words, known) for words in side] for side in sides]
    stages: list[tuple[list[Any], ...]] = [(ours, theirs)]
    for pair in (sides, begun := [_trimmed(side, 1) for side in sides], [_trimmed(side, -1) for side in begun]):
        stages += [tuple([gap.join(words) for words in side] for side in pair) for gap in (" ", "")]
    for wanted, given in stages:
        place = {name: j for j, name in enumerate(given)}
        if len(place) == len(given) and len(set(wanted)) == len(wanted) and place.keys() >= set(wanted):
            return Match(frozen(np.array([place[name] for name in wanted], dtype=np.int64)), "name")
    like = _resemblance(*([_denied(words) for words in side] for side in sides))
    partner = _mutual_best(like, _FLOOR if len(ours) == len(theirs) else _SURE)
    if (partner >= 0).all():
        return Match(frozen(partner), "name")
    if len(ours) != len(theirs) or {*map(tuple, sides[0])} & {*map(tuple, sides[1])}:
        told = f"the data set's classes {short(ours)} are not the classifier's {short(theirs)}"
        raise ClassMismatchError(f"{told}; give the classifier the same names: {TIE}.")
    at_home = like.diagonal()
    for i, j, value in sorted(zip(like.row, like.col, like.data, strict=True), key=lambda cell: (cell[1], -cell[2])):
        if value > at_home[j] + 1e-6:
            told = f"{short(theirs[j])} would stand for the class {short(ours[j])} but names {short(ours[i])}"
            raise ClassMismatchError(f"{told}; tie prompts to classes: {TIE}.")
    pairs = ", ".join(f"{short(a)} = {short(b)}" for a, b in list(zip(ours, theirs, strict=True))[:3])
    more = ", ..." if len(ours) > 3 else ""
    note = f"classes matched by position: {pairs}{more}; if that is wrong, tie prompts to classes: {TIE}."
    return Match(frozen(np.arange(len(ours))), "position", note)


def _words(text: str) -> list[str]:
    """Cut a text into words, numbers, symbols and "," for the end of a clause; a denial is a mark."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(f" {c}" if c.isupper() and _begins_a_word(text, k) else c for k, c in enumerate(text))
    text = unicodedata.normalize("NFKC", text.replace("_", " ").casefold())
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    words = "".join(map(_spaced, text)).split()
    return [_NO if word in _DENIES else word.lstrip("0") or word[:1] if word.isdecimal() else word for word in words]


def _begins_a_word(text: str, k: int) -> bool:
    """Tell whether the capital at k begins a word inside another: gasPump, HTTPServer; not in iPhone."""
    before, after = text[max(0, k - 2) : k], text[k + 1 : k + 2]
    is_next = len(before) > 1 and before[-1].islower()
    return before.isalpha() and (is_next or (before[-1].isupper() and after.islower()))


@cache
def _spaced(c: str) -> str:
    """Return a character with the spaces that cut words: symbols and some scripts stand alone, format marks go."""
    kind = unicodedata.category(c)
    if kind == "Cf":
        return ""
    if c == "," or kind[0] == "S" or _ONE_BY_ONE.match(c):
        return f" {c} "
    return c if kind[0] in "LMN" else " "


def _unglued(words: Sequence[str], known: set[str]) -> list[str]:
    """Write "noglasses" as a denial of "glasses", where that is a word by itself."""
    found: list[str] = []
    for word in words:
        rest = next((word[len(no) :] for no in _GLUED if word.startswith(no) and word[len(no) :] in known), "")
        found += [_NO, rest] if rest else [word]
    return found


def _trimmed(names: Sequence[Sequence[str]], way: int) -> list[Sequence[str]]:
    """Leave out the words that all names begin with (`way` 1), or end with (-1)."""
    shared = takewhile(lambda words: len(set(words)) == 1, zip(*(name[::way] for name in names), strict=False))
    begin = len(list(shared)) if len(names) > 1 else 0
    return [name[::way][begin:][::way] for name in names]


def _denied(words: Sequence[str]) -> list[str]:
    """Mark what is denied, up to the end of its clause."""
    found: list[str] = []
    begin, mark = 0, ""
    for word in words:
        if word == ",":
            begin, mark = len(found), ""
        elif word == _NO:
            found.append(_NO)
            mark = _NO
        elif word == _GONE:
            found[begin:] = [_NO, *(_NO + w.lstrip(_NO) for w in found[begin:])]
        else:
            found.append(mark + word)
    return found


def _features(words: Sequence[str]) -> Iterator[str]:
    """Yield words, and their parts without accents: three to five letters, a space at either end of a word."""
    for word in words:
        mark = _NO if word.startswith(_NO) and word != _NO else ""
        letters = (c for c in unicodedata.normalize("NFD", word[len(mark) :]) if not unicodedata.combining(c))
        plain = f" {unicodedata.normalize('NFC', ''.join(letters)).translate(_HIRAGANA)} "
        yield word
        yield from (mark + plain[k : k + n] for n in (3, 4, 5) for k in range(len(plain) - n + 1))


def _resemblance(ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]]) -> sparse.coo_matrix:
    """Compare K names with L texts, shape (K, L), in [0, 1]; what no name holds, or too many, does not count."""
    vectorizer = TfidfVectorizer(analyzer=_features, max_df=max(64, len(ours) // 100))
    if not any(ours):
        return sparse.coo_matrix((len(ours), len(theirs)))
    return sparse.coo_matrix(vectorizer.fit_transform(ours) @ vectorizer.transform(theirs).T)


def _mutual_best(like: sparse.coo_matrix, floor: float) -> NDArray[np.int64]:
    """Find for each class the text that is its one best and whose one best it is, shape (K,); -1 where no text is."""
    is_best = like.data >= floor
    for indices, length in zip((like.row, like.col), like.shape, strict=True):
        top = np.zeros(length)
        np.maximum.at(top, indices, like.data)
        near = like.data >= top[indices] - 1e-6
        is_best &= near & (np.bincount(indices[near], minlength=length)[indices] == 1)
    partner = np.full(like.shape[0], -1)
    partner[like.row[is_best]] = like.col[is_best]
    return partner

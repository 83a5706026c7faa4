"""Match the classes of a data set with those of a classifier by what they name, so that their order decides nothing.

Names and prompts become words (of Chinese, Japanese, Korean, Thai and the like: characters), folded in case and form;
what "no", "ohne" or "没有" denies is another word. A pair resembles each other as far as the words that tell classes
apart are shared. A resemblance is evidence of spelling, not of meaning: a synonym or another language has none.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from zsc.checks import as_list, frozen, short

_log = logging.getLogger("zsc")
NO = "¬"  # before what is denied, and by itself for the denial
_TIE = "ClassPrompts.from_texts({class name: prompt, ...})"
_FLOOR = 0.3  # a resemblance below this is chance
_LOOSE = 0.6  # so much of the longer of two words must be their common beginning
_COMMON = 0.1  # the weight of a word that every name has, beside what tells them apart
_CROWD = 64  # words with one beginning, or names with one word: above this they tell nothing
_JOIN = 4
_GOES_ON = {("letter", "letter"), ("number", "number"), ("minus", "number"), ("minus", "minus")}
_BEFORE = frozenset(  # they deny what follows
    re.findall(
        r"\S+",
        "no not without never none non neither nor lack lacks lacking except ohne kein keine keinen keinem keiner"
        " keines nicht sans pas sin ningun ninguna senza sem nao zonder geen niet utan uten uden inte ikke ingen inga"
        " ilman bez brez nie bes без нет не χωρις δεν fara tanpa tidak bukan khong"
        " بدون بلا ليس בלי ללא בלא बिना \ue000",
    )
)
_PREFIXES = _BEFORE | {"un"}
_ARTICLES = frozenset(
    re.findall(
        r"\S+",
        "a an the un une uno una unos unas le la les l el los las il lo gli i der die das den dem des"
        " ein eine einen einem einer een het de en ett o os as um uma",
    )
)
_AFTER = frozenset(("yok", "degil", "nelkul", "नहीं", "\ue001"))  # and these what stands before
_SPELLINGS = (
    (re.compile(r"n['’]t\b"), " not"),
    (re.compile(r"\bw/o\b"), " without "),
    (re.compile(r"\b(\w+)-free\b|\bfree of\b"), r" no \1"),
    (re.compile(r"なし|無し|ていない|ない|ません|없는|없음|없이|않은|않는|아닌"), "\ue001"),
    (re.compile(r"没有|沒有|不戴|没|沒|无|無|不|ไม่|ไร้"), "\ue000"),
)
_STOP = re.compile(r"[,;!?()、。，；！？|]|[.:](?=\s)|\b(?:but|aber|mais|pero|maar|but)\b")
_CHARACTER_SCRIPTS = re.compile(  # Thai to Burmese, Hangul, Khmer, kana, Han
    r"[\u0e00-\u0eff\u0f00-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]"
)
_UNDECOMPOSED = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ı": "i", "ð": "d", "þ": "th"})
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_HIRAGANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "person", "mice": "mouse",
              "geese": "goose", "feet": "foot", "teeth": "tooth", "oxen": "ox"}  # fmt: skip


class ClassMismatchError(ValueError):
    """Classes of a data set and of a classifier that do not stand for each other."""


@dataclass(frozen=True, eq=False)
class Match:
    """Which class of a classifier each class of a data set is. Made by `match_by`.

    Attributes
    ----------
    index
        For each class of the data set its index in the classifier, shape (K,), read-only.
    by
        "name", or "position" where the names do not say which is which and the order was taken.
    note
        What to tell the user: empty for "name", else a sentence.
    """

    index: NDArray[np.int64]
    by: str
    note: str = ""

    def tell(self) -> None:
        """Log the note, where there is one; it reaches standard error where logging was not set up."""
        if self.note:
            _log.warning("%s", self.note)


def match_classes(dataset_names: Sequence[str], classifier_names: Sequence[str]) -> NDArray[np.int64]:
    """Find the classifier's index of each class of a data set, shape (K,); see `match_by`.

    Examples
    --------
    >>> match_classes(["gas_pump", "golf_ball"], ["a golf ball", "a gas pump"])
    array([1, 0])
    >>> match_classes(["no glasses", "glasses"], ["face with glasses", "face without glasses"])
    array([1, 0])
    """
    return match_by(dataset_names, classifier_names).index.copy()


def match_by(dataset_names: Sequence[str], classifier_names: Sequence[str]) -> Match:
    """Match classes by what they name, however it is written.

    Equal names are matched first: as they are, then without regard to case, spaces, hyphens, underscores, inner
    capitals and leading zeros. Otherwise each class goes with the text that resembles it most, if that holds the other
    way round as well and for every class. Only if no text resembles another class more than the one in its place, K
    texts stand for the K classes in their order, as in the Glasses tutorial; `by` and `note` say so.

    Parameters
    ----------
    dataset_names, classifier_names
        The two lists of names; the classifier may have more.

    Raises
    ------
    ClassMismatchError
        If the numbers differ, if only some names are equal, or if texts name other classes than those in their place.
    """
    ours, theirs = as_list(dataset_names, "dataset_names", "names"), as_list(classifier_names, "classifier_names")
    for key in _KEYS:
        known = {key(name): j for j, name in enumerate(theirs)}
        wanted = [key(name) for name in ours]
        if len(known) == len(theirs) and len(set(wanted)) == len(wanted) and known.keys() >= set(wanted):
            return _match([known[name] for name in wanted])
    like = _resemblance(ours, theirs)
    partner = _mutual_best(like, len(ours), len(theirs))
    if (partner >= 0).all() and (len(ours) == len(theirs) or like.sure(partner)):
        return _match(partner)
    if len(ours) != len(theirs) or _shared_names(ours, theirs):
        raise ClassMismatchError(
            f"the data set's classes {short(ours)} are not the classifier's {short(theirs)}; give the "
            f"classifier the same names: {_TIE}."
        )
    _refuse_another_order(like, ours, theirs)
    pairs = ", ".join(f"{short(a)} = {short(b)}" for a, b in list(zip(ours, theirs, strict=True))[:3])
    more = ", ..." if len(ours) > 3 else ""
    note = f"classes matched by position: {pairs}{more}; if that is wrong, tie prompts to classes: {_TIE}."
    return _match(range(len(ours)), "position", note)


def _match(index: Iterable[int], by: str = "name", note: str = "") -> Match:
    return Match(frozen(np.array(list(index), dtype=np.int64)), by, note)


def _refuse_another_order(like: _Resemblance, ours: Sequence[str], theirs: Sequence[str]) -> None:
    own = np.zeros(len(theirs))
    at_home = like.rows == like.columns
    own[like.columns[at_home]] = like.values[at_home]
    worse = like.values > own[like.columns] + 1e-9
    if worse.any():
        first = np.flatnonzero(worse)[np.lexsort((-like.values[worse], like.columns[worse]))[0]]
        i, j = like.rows[first], like.columns[first]
        raise ClassMismatchError(
            f"{short(theirs[j])} would stand for the class {short(ours[j])} but names {short(ours[i])}; tie prompts to "
            f"classes: {_TIE}."
        )


# Names that are equal but for their writing.


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", _visible(name)).casefold().split())


def _squeezed(name: str) -> str:
    words = _denied(_words(name))
    both_numbers = (a[-1:].isdecimal() and b.isdecimal() for a, b in zip(["", *words], words, strict=False))
    return "".join(f".{word}" if apart else word for word, apart in zip(words, both_numbers, strict=True))


_KEYS: tuple[Callable[[str], str], ...] = (str, _folded, _squeezed)


def _shared_names(ours: Sequence[str], theirs: Sequence[str]) -> set[str]:
    return {_squeezed(name) for name in ours} & {_squeezed(name) for name in theirs}


# From a text to words.


def _visible(text: str) -> str:
    """Leave out what cannot be seen: joiners, direction marks, soft hyphens."""
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


def _words(text: str) -> list[str]:
    """Cut a text into words, numbers, symbols and "," for the end of a clause; a denial stays a word."""
    text = _apart(unicodedata.normalize("NFKC", _visible(text)))
    text = unicodedata.normalize("NFKC", text.casefold())
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    text = _STOP.sub(" , ", text)
    words: list[str] = []
    before = ""
    for c in text:
        kind = _kind(c)
        if kind == "mark" and words and before != " ":
            words[-1] += c
            continue
        if (before, kind) in _GOES_ON:
            words[-1] += c
        elif kind == "minus" and before in ("letter", "number"):
            kind = " "
        elif kind != " ":
            words.append(c)
        before = kind
    return [_number(word) for word in words if word.strip("-")]


@cache
def _kind(c: str) -> str:
    category = unicodedata.category(c)
    if category == "Nd":
        return "number"
    if c == "-":
        return "minus"
    if category.startswith("M"):
        return "mark"
    if category == "Co" or c == "," or category in ("Sm", "So", "Sc") or _CHARACTER_SCRIPTS.match(c):
        return "single"
    return "letter" if category[0] in "LN" else " "


def _apart(text: str) -> str:
    """Put a space where a capital begins a word: gasPump, HTTPServer; not in iPhone."""
    found = []
    for k, c in enumerate(text):
        last, before, after = (text[n : n + 1] if n >= 0 else "" for n in (k - 1, k - 2, k + 1))
        begins = c.isupper() and ((last.islower() and before.isalpha()) or (last.isupper() and after.islower()))
        found.append(f" {c}" if begins else c)
    return "".join(found)


def _number(word: str) -> str:
    """Write a number without leading zeros, in European digits."""
    digits = word.lstrip("-")
    if not digits.isdecimal():
        return digits if len(digits) < len(word) else word
    plain = "".join(str(unicodedata.decimal(c)) for c in digits).lstrip("0") or "0"
    return "-" * (len(digits) < len(word)) + plain


def _denied(words: Sequence[str]) -> list[str]:
    """Mark what is denied, up to the end of its clause."""
    found: list[str] = []
    begin, is_denied = 0, False
    for word in words:
        if word == ",":
            begin, is_denied = len(found), False
        elif _bare(word) in _BEFORE:
            found.append(NO)
            is_denied = True
        elif _bare(word) in _AFTER:
            found[begin:] = [w if w.startswith(NO) else NO + w for w in found[begin:]]
            found.append(NO)
        else:
            found.append(NO + word if is_denied else word)
    return found


@cache
def _bare(word: str) -> str:
    """Leave out accents and vowel points; write katakana as hiragana."""
    plain = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", plain).translate(_UNDECOMPOSED).translate(_HIRAGANA)


def _joined(words: Sequence[str], vocabulary: frozenset[str], others: frozenset[str]) -> list[str]:
    """Write as one word what the other side writes as one (chain saw), and apart a denial that is not (noglasses)."""
    found: list[str] = []
    k = 0
    while k < len(words):
        word = words[k]
        run = next((n for n in range(_JOIN, 1, -1) if _is_word(words[k : k + n], n, others)), 1)
        cut = next((n for n in range(len(word) - 3, 1, -1) if word[:n] in _PREFIXES and word[n:] in vocabulary), 0)
        found += ["not", word[cut:]] if cut else ["".join(words[k : k + run])]
        k += run
    return found


def _is_word(run: Sequence[str], n: int, others: frozenset[str]) -> bool:
    if len(run) < n or "".join(run) not in others or run[0] in _ARTICLES:
        return False
    return not any(w.isdecimal() or w in _BEFORE for w in run)


@cache
def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ves", "f")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + instead
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui" else word


# How much two names resemble each other.


@dataclass(frozen=True, eq=False)
class _Resemblance:
    """The pairs of a class and a text that resemble each other at all: their indices, and how much, in (0, 1]."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]

    def sure(self, partner: NDArray[np.int64]) -> bool:
        """Tell whether each class is named by its partner in full."""
        pairs = self.columns == partner[self.rows]
        return bool((self.values[pairs] > 0.85).all())


class _Side:
    """The words of K names, and which name has which: `has` has shape (K, V)."""

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        bags = [dict.fromkeys([*words, *map(" ".join, pairwise(words))]) for words in names]
        self.counts = Counter(word for bag in bags for word in bag)
        crowd = max(_CROWD, len(bags) // 4)
        bags = [dict.fromkeys([w for w in bag if self.counts[w] <= crowd] or bag) for bag in bags]
        self.words = {word: v for v, word in enumerate(dict.fromkeys(w for bag in bags for w in bag))}
        rows = [k for k, bag in enumerate(bags) for _ in bag]
        columns = [self.words[w] for bag in bags for w in bag]
        self.has = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (len(bags), len(self.words)))
        self.weights = np.array([self._weight(word, len(bags)) for word in self.words])
        self.denies_all = all(NO in bag for bag in bags)

    def _weight(self, word: str, k: int) -> float:
        return (math.log(k / self.counts[word]) + _COMMON) * (_COMMON if " " in word else 1)

    def forms(self, word: str) -> dict[str, float]:
        """Give the ways to write a word, each with how near it is."""
        bare, spelt = _bare(word), _bare(word.translate(_SPELT_OUT))
        forms = {_singular(spelt): 0.9, _singular(bare): 0.9, spelt: 0.95, bare: 0.95, word: 1.0}
        return {word[1:]: 0.4, **forms} if self.denies_all and word.startswith(NO) else forms

    def stems(self) -> Iterable[tuple[str, int]]:
        """Give the words that may be inflected, without accents and the Arabic article; what every name has is none."""
        for word, v in self.words.items():
            if (
                self.counts[word] < self.has.shape[0]
                and word.lstrip(NO).isalpha()
                and not _CHARACTER_SCRIPTS.match(word)
            ):
                plain = re.sub(r"^(¬?)(?:[ولبك]?ال|لل?)(?=\w{3})", r"\1", _bare(word))
                if len(plain.lstrip(NO)) > 2:
                    yield plain, v


def _resemblance(ours: Sequence[str], theirs: Sequence[str]) -> _Resemblance:
    """Compare K names with L texts: how much of the name the text has, and how much of the text the name explains."""
    sides = [[_words(name) for name in names] for names in (ours, theirs)]
    vocabularies = [frozenset(w for words in side for w in words) for side in sides]
    both = vocabularies[0] | vocabularies[1]
    first, second = (
        _Side([_denied(_joined(words, both, others)) for words in side])
        for side, others in zip(sides, vocabularies[::-1], strict=True)
    )
    if not first.words or not second.words:
        nothing = np.empty(0, np.int64)
        return _Resemblance(nothing, nothing, np.empty(0))
    alike = _alike(first, second)  # (V, W)
    known = second.weights * (alike.max(axis=0).toarray().ravel() > 0)
    has = first.has.multiply(first.weights).tocsr() @ _best_product(second.has, alike.T).T
    explains = _best_product(first.has, alike) @ second.has.multiply(known).tocsr().T
    has, explains = has.tocoo(), explains.tocsr()
    whole_name = np.asarray(first.has @ first.weights)[has.row]
    whole_text = np.asarray(second.has @ known)[has.col]
    cover = has.data / whole_name
    share = np.asarray(explains[has.row, has.col]).ravel() / np.where(whole_text > 0, whole_text, 1)
    values = 2 * cover * share / np.where(cover + share > 0, cover + share, 1)
    kept = values > 1e-9
    return _Resemblance(has.row[kept].astype(np.int64), has.col[kept].astype(np.int64), values[kept])


def _alike(first: _Side, second: _Side) -> sparse.csr_matrix:
    """Compare the words of two sides, shape (V, W): 1 for equal ones, less where accent or ending differ."""
    ours: dict[str, list[tuple[int, float]]] = {}
    for word, v in first.words.items():
        for form, grade in first.forms(word).items():
            ours.setdefault(form, []).append((v, grade))
    best: dict[tuple[int, int], float] = {}
    for word, w in second.words.items():
        for form, grade in second.forms(word).items():
            for v, other in ours.get(form, ()):
                best[v, w] = max(best.get((v, w), 0.0), grade * other)
    for v, w, grade in _alike_at_the_beginning(first, second):
        best[v, w] = max(best.get((v, w), 0.0), grade)
    rows, columns = np.array(list(best), dtype=np.int64).reshape(-1, 2).T
    return sparse.csr_matrix((list(best.values()), (rows, columns)), (len(first.words), len(second.words)))


def _alike_at_the_beginning(first: _Side, second: _Side) -> Iterable[tuple[int, int, float]]:
    """Find words that differ in their ending, as inflected ones do (Hund, Hundes), or by an article before (Arabic)."""
    crowds: dict[str, list[tuple[str, int]]] = {}
    for plain, v in first.stems():
        crowds.setdefault(plain[:3], []).append((plain, v))
    for plain, w in second.stems():
        crowd = crowds.get(plain[:3], [])
        for other, v in crowd if len(crowd) <= _CROWD else ():
            share = _common_beginning(plain, other) / max(len(plain), len(other))
            if share >= _LOOSE:
                yield v, w, 0.8 * share


def _common_beginning(a: str, b: str) -> int:
    shorter = min(len(a), len(b))
    return next((n for n in range(shorter) if a[n] != b[n]), shorter)


def _best_product(has: sparse.csr_matrix, alike: sparse.csr_matrix) -> sparse.csr_matrix:
    """For each name and each word of the other side, the likeness of the name's most similar word: (K, V), (V, W)."""
    has, alike = has.tocoo(), alike.tocsr()
    lengths = np.diff(alike.indptr)[has.col]
    ends = np.cumsum(lengths)
    at = np.arange(ends[-1] if len(ends) else 0) + np.repeat(alike.indptr[has.col] - ends + lengths, lengths)
    rows, columns, values = np.repeat(has.row, lengths), alike.indices[at], alike.data[at]
    order = np.lexsort((columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    if len(rows):
        begins = np.flatnonzero(np.r_[True, (np.diff(rows) != 0) | (np.diff(columns) != 0)])
        rows, columns, values = rows[begins], columns[begins], np.maximum.reduceat(values, begins)
    return sparse.csr_matrix((values, (rows, columns)), (has.shape[0], alike.shape[1]))


def _mutual_best(like: _Resemblance, k: int, n: int) -> NDArray[np.int64]:
    """For each class the text that is its one best and whose one best it is, shape (K,); -1 where there is none."""
    is_best = like.values >= _FLOOR
    for indices, length in ((like.rows, k), (like.columns, n)):
        top = np.zeros(length)
        np.maximum.at(top, indices, like.values)
        near = like.values >= top[indices] - 1e-6
        is_best &= near & (np.bincount(indices[near], minlength=length)[indices] == 1)
    partner = np.full(k, -1)
    partner[like.rows[is_best]] = like.columns[is_best]
    return partner

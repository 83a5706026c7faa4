"""Class names x templates -> ClassPrompts: which sentences stand for which class; their files; the tutorials' by name.

Knows no model and no picture. Templates are strings with exactly one `{}`. A class name is put in as it is, as the
tutorials have it ("a photo of a English springer"), unless `articles=True`. Advice says what is known to go wrong; a
prompt with a warning is used like any other.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import yaml

from zsc.checks import as_list, check_choice, check_class_names, check_labels, check_unique, from_json, short, to_json
from zsc.files import printable, write_whole

if TYPE_CHECKING:
    from zsc.models.base import Encoder

DEFAULT_TEMPLATE = "a photo of a {}"
POOLINGS = ("mean", "max", "sum", "chils")
# Beginnings that are written with a vowel and spoken with a consonant, and the other way round.
_SPOKEN_CONSONANT = re.compile(r"(uni[^mn]|use|usu|ut[ei]|eu|ewe|one\b|once\b|ur[ai]n|u\b)", re.IGNORECASE)
_SPOKEN_VOWEL = re.compile(r"([aeiou]|hour|honest|honou?r|heir)", re.IGNORECASE)
_ARTICLE = re.compile(r"\ba( +)\{\}")
_KEYS = ("classes", "templates", "pooling", "name", "dataset", "source")
Texts = Mapping[str, str | Iterable[str]]  # class name -> prompt or prompts
_Made = TypeVar("_Made")
Count = Callable[[str], int]  # of a text's tokens
NEGATIONS = ("no", "not", "without", "never", "none", "nothing", "non", "neither", "nor", "lack", "lacks", "lacking",
             "except")  # fmt: skip  # the English ones; zsc.scoring adds those of other languages
NEGATION = re.compile(rf"\b({'|'.join(NEGATIONS)}|free of)\b|n['’]t\b", re.IGNORECASE)
SCRIPTS = {"English": "LATIN", "Chinese": "CJK"}  # languages of a model -> how Unicode names the letters of one
_LABEL = re.compile(r"[^\W_]+(_[^\W_]+)+|[a-z]+[A-Z][A-Za-z]*|\d+([.-]\S+)?|[A-Za-z]+\d+")
_IMAGENET_ID = re.compile(r"n\d{8}(\D.*)?")


@dataclass(frozen=True)
class ClassPrompts:
    """The prompts of K classes: M filled templates, each owned by one class.

    Examples
    --------
    >>> prompts = ClassPrompts.from_names(["cat", "dog"], templates=["a photo of a {}", "a drawing of a {}"])
    >>> prompts.prompts
    ('a photo of a cat', 'a drawing of a cat', 'a photo of a dog', 'a drawing of a dog')
    >>> prompts.owners
    (0, 0, 1, 1)
    """

    class_names: tuple[str, ...]  # K, in the order of the columns of every score
    prompts: tuple[str, ...]  # M; those of a class stand together, in the order of the classes
    owners: tuple[int, ...]  # for each prompt the index of its class, (M,)
    pooling: str | None = None  # the rule they were published with (see zsc.scoring); None leaves it open
    name: str = ""  # for tables and files

    def __post_init__(self) -> None:
        names, prompts = check_class_names(self.class_names, low=1), as_list(self.prompts, "prompts", "texts")
        owners = check_labels(self.owners, len(names), "owners")
        if len(prompts) != len(owners):
            raise ValueError(f"{len(prompts)} prompts for {len(owners)} owners; pass one owner for each prompt.")
        if (np.diff(owners) < 0).any() or len(np.unique(owners)) < len(names):
            told = "every class needs at least one prompt, and the prompts must stand in the order of the classes"
            raise ValueError(f"{told}; ClassPrompts.from_texts does that for you.")
        if self.pooling is not None:
            check_choice(self.pooling, POOLINGS, "pooling")
        if not isinstance(self.name, str):
            raise TypeError(f"name is {short(self.name)}; pass a text.")
        for prompt in prompts:
            _check_prompt(prompt)
        vars(self).update(class_names=tuple(names), prompts=tuple(map(str, prompts)), owners=tuple(owners.tolist()))

    @classmethod
    def from_names(
        cls, class_names: Iterable[str], templates: Iterable[str] | str = (DEFAULT_TEMPLATE,), *,
        articles: bool = False, name: str = "",
    ) -> "ClassPrompts":  # fmt: skip
        """Fill every template (one, several, or a set by its name, such as "imagenet-80") with every class name.

        `articles` writes "an {}" for "a {}" where the class name asks for it; the tutorials do not.
        """
        found = as_templates(templates)
        names = check_class_names(as_list(class_names, "class_names", "texts"), low=1)
        return cls.from_texts({c: [fill(t, c, articles=articles) for t in found] for c in names}, name=name)

    @classmethod
    def from_texts(cls, texts: Texts, *, pooling: str | None = None, name: str = "") -> "ClassPrompts":
        """Take the prompts of each class as they are.

        Examples
        --------
        >>> ClassPrompts.from_texts({"cat": "a cat", "wild": ["a lion", "a tiger"]}, pooling="max").owners
        (0, 1, 1)
        """
        if not isinstance(texts, Mapping):
            raise TypeError(f"texts is a {type(texts).__name__}; pass a mapping of class name to prompt or prompts.")
        lists = [_of_class(class_name, value) for class_name, value in texts.items()]
        owners = tuple(k for k, prompts in enumerate(lists) for _ in prompts)
        return cls(tuple(texts), tuple(p for prompts in lists for p in prompts), owners, pooling, name)

    @classmethod
    def load(cls, path: str | Path) -> "ClassPrompts":
        """Read prompts from a YAML or JSON file; one that holds something else is a ValueError that names it."""
        return _read(Path(path), lambda content: _from_content(content, Path(path).stem))

    def save(self, path: str | Path) -> Path:
        """Write the prompts in the form that `load` reads, whole or not at all: JSON if it ends in .json, else YAML."""
        content = {"name": self.name, "pooling": self.pooling, "classes": self.texts}
        if Path(path).suffix.lower() == ".json":
            return write_whole(path, to_json(content, indent=2) + "\n")
        return write_whole(path, yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9))

    @property
    def texts(self) -> dict[str, list[str]]:
        """The prompts of each class, as `from_texts` takes them."""
        bounds = [*self.starts, len(self.prompts)]
        return {c: list(self.prompts[bounds[k] : bounds[k + 1]]) for k, c in enumerate(self.class_names)}

    @property
    def starts(self) -> np.ndarray:
        """Where each class's prompts begin in `prompts`, shape (K,)."""
        return np.searchsorted(np.asarray(self.owners), np.arange(len(self.class_names)))

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.prompts)


def as_prompts(prompts: ClassPrompts | Iterable[str] | Texts) -> ClassPrompts:
    """Take prompts as they are given: a `ClassPrompts`, a mapping of class to prompts, or one text per class."""
    if isinstance(prompts, ClassPrompts):
        return prompts
    if isinstance(prompts, Mapping):
        return ClassPrompts.from_texts(prompts)
    texts = as_list(prompts, "prompts", "texts, a mapping of class to prompts, or ClassPrompts")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"prompts is {short(texts)}; pass a list of texts, or a mapping of class to prompts.")
    check_unique(texts, "prompts")
    return ClassPrompts.from_texts({text: text for text in texts})


def load_many(path: str | Path) -> dict[str, ClassPrompts]:
    """Read several sets of prompts from one YAML or JSON file: under each name what `ClassPrompts.load` reads."""
    return _read(Path(path), _candidates)


def load_descriptions(path: str | Path, class_names: Sequence[str]) -> ClassPrompts:
    """Read descriptions as CuPL, DCLIP and WaffleCLIP publish them: a file of class -> texts; of `class_names`, if all.

    If most texts name their class, they are sentences (CuPL) and stay as they are; else they are features ("four
    legs"), joined as DCLIP does (Menon and Vondrick, ICLR 2023); a class without any is its name alone.
    """

    def joined(name: str, feature: str) -> str:
        verb = "is " if re.match(r"(?i)(an?|used)\b", feature) else "has "
        verb = "" if re.match(r"(?i)(has|often|typically|may|can)\b", feature) else verb
        return f"a photo of a {name}, which {verb}{feature}." if feature else f"a photo of a {name}."

    def make(content: Mapping[str, Any]) -> ClassPrompts:
        wanted = {name.casefold(): name for name in class_names}
        texts = {wanted.get(str(name).casefold(), str(name)): _of_class(name, v or [""]) for name, v in content.items()}
        texts = {name: texts[name] for name in (class_names if set(class_names) <= set(texts) else texts)}
        named = [name.casefold() in str(text).casefold() for name, each in texts.items() for text in each]
        if 2 * sum(named) < len(named):
            texts = {name: [joined(name, str(t).strip().rstrip(".")) for t in each] for name, each in texts.items()}
        return ClassPrompts.from_texts(texts, name=Path(path).stem)

    return _read(Path(path), make)


def template_set_names() -> list[str]:
    """List the named template sets, in the order of the file."""
    return list(packaged("templates"))


def template_set(name: str) -> tuple[str, ...]:
    """Look the templates of a set up by its name, such as "imagenet-80" (see `template_set_names`)."""
    published = packaged("templates")
    if not isinstance(name, str) or name not in published:
        raise ValueError(f"no template set {short(name)}; there are {', '.join(published)}.")
    return tuple(published[name]["templates"])


def as_templates(templates: str | Iterable[str]) -> tuple[str, ...]:
    """Take templates as they are given: one, several, or the name of a set; each must have exactly one ``{}``."""
    if isinstance(templates, str):
        templates = template_set(templates) if templates in packaged("templates") else [templates]
    found = tuple(as_list(templates, "templates", "texts with {}"))
    if not found:
        raise ValueError(f"no templates given; pass at least one, such as {DEFAULT_TEMPLATE!r}.")
    for text in found:
        if not isinstance(text, str) or text.count("{}") != 1:
            wanted = f"a text with exactly one {{}}, such as {DEFAULT_TEMPLATE!r}"
            raise ValueError(f"template {short(text)} must be {wanted}.")
    return found


def fill(template: str, class_name: str, *, articles: bool = False) -> str:
    """Put a class name into a template with one ``{}``; `articles` writes "an {}" where it begins like a spoken vowel.

    Examples
    --------
    >>> fill("a photo of a {}", "English springer", articles=True)
    'a photo of an English springer'
    """
    start = class_name.strip()
    if articles and _SPOKEN_VOWEL.match(start) and not _SPOKEN_CONSONANT.match(start):
        template = _ARTICLE.sub(r"an\1{}", template)
    return template.replace("{}", class_name)


def prompt_set_names() -> list[str]:
    """List the named prompt sets that come with the package, in the order of the file."""
    return list(packaged("published"))


def prompt_set(name: str) -> ClassPrompts:
    """Look a published prompt set up by its name, such as "glasses-1" or "afhq-b" (see `prompt_set_names`)."""
    published = packaged("published")
    if not isinstance(name, str) or name not in published:
        raise ValueError(f"no prompt set {short(name)}; there are {', '.join(published)}.")
    return _from_content(published[name], name)


def default_prompts(class_names: Sequence[str], dataset_name: str = "") -> ClassPrompts:
    """Choose the prompts to begin with: the tutorial's first ones for its data set, else "a photo of a {}".

    Its classes must be those of the data set, in any order; a version ("afhq_v2") counts as the data set.
    """
    for name, content in packaged("published").items():
        if content["dataset"] == dataset_name.partition("_v")[0] and set(content["classes"]) == set(class_names):
            return prompt_set(name)
    return ClassPrompts.from_names(class_names, name=DEFAULT_TEMPLATE)


@cache
def packaged(name: str) -> dict[str, dict[str, Any]]:
    """Read a YAML file of this package: "templates" or "published"."""
    return yaml.safe_load(resources.files("zsc.prompts").joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def _from_content(content: Mapping[str, Any], default_name: str) -> ClassPrompts:
    """Make prompts of what a file holds: its classes alone, or under `classes` with settings beside them."""
    classes, unknown = content.get("classes"), [str(key) for key in content if key not in _KEYS]
    if not isinstance(classes, (Mapping, list)) and unknown:
        return ClassPrompts.from_texts(content, name=default_name)
    if unknown or classes is None:
        what = f"unknown: {', '.join(printable(key)[:40] for key in unknown[:5])}" if unknown else "no classes: in it"
        raise ValueError(f"{what}; beside classes: there may be {', '.join(_KEYS[1:])}; a class of such a name goes, "
                         "with the others, as 'class: prompt' under classes:")  # fmt: skip
    name = default_name if content.get("name") is None else content["name"]
    if not isinstance(name, str):
        raise TypeError(f"name: holds {short(name)}; put it in quotes")
    if not isinstance(classes, (Mapping, list)):
        raise TypeError(f"classes: holds {short(classes)}; write 'class: prompt' lines or a list of names under it")
    if isinstance(classes, list):
        classes = ClassPrompts.from_names(classes, content.get("templates", DEFAULT_TEMPLATE)).texts
    elif "templates" in content:
        raise ValueError("templates: goes with a list of class names under classes:, not with prompts")
    return ClassPrompts.from_texts(classes, pooling=content.get("pooling"), name=name)


def _candidates(content: Mapping[Any, Any]) -> dict[str, ClassPrompts]:
    check_unique([str(key) for key in content], "the file")
    found: dict[str, ClassPrompts] = {}
    for key, inner in content.items():
        if not isinstance(inner, Mapping):
            raise TypeError(f"{short(key)} holds {short(inner)}; write its 'class: prompt' lines under it")
        try:
            found[str(key)] = _from_content(inner, str(key))
            check_class_names(found[str(key)].class_names)  # a class alone cannot be compared
        except (TypeError, ValueError) as error:
            raise ValueError(f"candidate {short(key)}: {error}") from error
    return found


def _of_class(class_name: object, value: object) -> list[str]:
    try:
        prompts = [value] if isinstance(value, str) else as_list(value, "prompt", "texts")
    except TypeError as error:
        message = f"class {short(class_name)} has the prompt {short(value)}; pass a text or a list of texts."
        raise TypeError(message) from error
    if not prompts:
        raise ValueError(f"class {short(class_name)} has no prompt; give it at least one.")
    return prompts


def _check_prompt(text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"prompt {short(text)} is empty or not a text; write it in words (in YAML, in quotes).")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"prompt {printable(short(text))} holds half a character or a byte that is not UTF-8, which "
                         "no model can read; write it again.") from error  # fmt: skip


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses what YAML does in silence: equal, merged and odd keys ("no" is False), aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"*{self.peek_event().anchor} is an alias; write out what it stands for")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise ValueError("<<: merges keys, which is not read; write the prompts out")
            name = self.construct_object(key, deep=True)
            if isinstance(name, bool) or not isinstance(name, (str, int, float)):
                raise TypeError(f"the key {short(name)} is not a text; put it in quotes")
            if name in seen:
                raise ValueError(f"{short(name)} is given twice; put all its prompts into one list")
            seen.add(name)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """A safe dumper that writes texts with odd characters in double quotes, where each has an escape."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


def _read(path: Path, make: Callable[[Mapping[str, Any]], _Made]) -> _Made:
    """Read a file and make something of it; every error names the file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such prompts file; pass a YAML file with one 'class: prompt' per line.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = from_json(text) if path.suffix.lower() == ".json" else yaml.load(text, _Loader)
        if not isinstance(content, dict) or not content:
            raise ValueError("holds no prompts; write one 'class: prompt' per line")
        return make(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a YAML or JSON file ({' '.join(str(error).split())}); correct it.") from error
    except RecursionError as error:
        raise ValueError(f"{path}: is nested too deeply; write one 'class: prompt' per line.") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {str(error).removesuffix('.')}.") from error


def advice_on(prompts: ClassPrompts, model: "Encoder") -> pd.DataFrame:
    """Look prompts over for what is known to go wrong with a model; the table is that of `check_prompts`."""
    tokens = model.tokenizer
    return check_prompts(prompts, count_tokens=tokens.count, limit=tokens.limit, languages=model.info.languages)


def check_prompts(
    prompts: ClassPrompts, *, count_tokens: Count | None = None, limit: int = 77, languages: str = "English"
) -> pd.DataFrame:
    """Look prompts over for what is known to go wrong.

    The table has one row per warning: class_name, prompt, warning ("negation", "too long", "duplicate", "no English
    script", "no phrase"), advice (one sentence). `count_tokens`, such as `model.tokenizer.count`, counts a text's
    tokens, of which the model reads `limit`; None leaves lengths out. `languages` are as in `EncoderInfo`.
    """
    owners: dict[str, Counter[str]] = {}  # text -> how often each class has it
    pairs = [(class_name, text) for class_name, texts in prompts.texts.items() for text in texts]
    for class_name, text in pairs:
        owners.setdefault(_folded(text), Counter())[class_name] += 1
    rows = []
    for class_name, text in pairs:
        doubles = _double(owners[_folded(text)], class_name)
        found = [*_about_text(text, languages), *_about_label(class_name, text), *doubles]
        if count_tokens is not None and (tokens := count_tokens(text)) > limit:
            advice = f"{tokens} tokens, the model reads {limit}; shorten it, or pass truncate=True to cut it."
            found.append(("too long", advice))
        rows += [(class_name, text, *row) for row in found]
    columns = ["class_name", "prompt", "warning", "advice"]
    return pd.DataFrame(rows, columns=columns, dtype=object).drop_duplicates(ignore_index=True)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _about_text(text: str, languages: str) -> Iterator[tuple[str, str]]:
    if match := NEGATION.search(text):
        yield ("negation", f"{match[0]!r}: CLIP scarcely reads negations (about 39 % on a 4-way test, NegBench, CVPR "
               "2025); say what is there instead, such as 'a bare face', and compare both.")  # fmt: skip
    letters = [c for c in text if c.isalpha()]
    foreign = [c for c in letters if not unicodedata.name(c, "").startswith(SCRIPTS.get(languages, ""))]
    is_mixed = languages == "Chinese" and len(foreign) < len(letters)  # Chinese captions hold names in Latin letters
    if foreign and not is_mixed:
        yield (f"no {languages} script", f"{''.join(foreign)[:10]!r}: this model learned from {languages} captions; "
               f"write it in {languages}, or use a multilingual model.")  # fmt: skip


def _double(owners: Counter[str], class_name: str) -> Iterator[tuple[str, str]]:
    other = next((name for name in owners if name != class_name), None)
    if other is not None:
        yield "duplicate", f"also a prompt of {other!r}: nothing tells the two classes apart by it; reword one."
    elif owners[class_name] > 1:
        yield "duplicate", f"given {owners[class_name]} times for this class: it counts as often; leave one."


def _about_label(class_name: str, text: str) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys((class_name.strip(), text.strip())):
        if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            continue
        if _IMAGENET_ID.fullmatch(name):
            yield ("no phrase", f"{name!r} reads like a label, an ImageNet id, which CLIP does not know; say what it "
                   "stands for in a prompts file (--prompts-file), or in Python: "
                   f"ClassPrompts.from_texts({{{name!r}: 'a ...'}}).")  # fmt: skip
        elif _LABEL.fullmatch(name):
            yield "no phrase", f"{name!r} reads like a label, not like words in a caption; write it as people would."

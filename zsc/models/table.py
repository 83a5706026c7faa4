"""What models there are: OpenAI's nine, the two that need no download, open_clip's published ones; and what is known.

Accuracies are open_clip's measurements (`published("openclip_zero_shot")`), none is ours. Speeds are those that
`zsc models compare` measured on this machine.
"""

import json
import os
import re
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.files import expanded, locked, read_yaml, write_whole
from zsc.models.weights import EMBEDDED, OPENAI_WEIGHTS, weights_are_here
from zsc.published import published

SOURCE = "zero-shot accuracies as measured by LAION's open_clip (docs/openclip_results.csv), not here"
_QUICK = ("ViT-B-16/dfn2b", "ViT-B-32/laion400m_e31", "ViT-B-32/laion400m_e32", "RN50/cc12m", "RN50/yfcc15m",
          "RN101/yfcc15m")  # fmt: skip  # listed by open_clip under an architecture that lacks their activation
NOT_STATED = {"licence": "see the model's page", "source": "", "training data": "", "consent": "not stated"}
_SHOWN = {"params_m": "params_m", "gflops": "gflops", "imagenet": "imagenet_published", "mean_38": "mean_38_published"}


def model_table(*, everything: bool = False) -> pd.DataFrame:
    """Tabulate the models by name: D, pixels per side, where the weights are, accuracy on ImageNet (open_clip's).

    With `everything` also those that open_clip measured, sorted by that accuracy, and the columns params_m (millions of
    parameters), gflops (per picture and text), mean_38_published (accuracy, mean of 38 data sets), images_per_s (here,
    once `zsc models compare` has run it) and training_data.
    """
    numbers, place = _published_by_name(), {True: "on this machine", False: "to download"}
    rows = [(n, w.embed_dim, w.image_size, place[weights_are_here(n)]) for n, w in OPENAI_WEIGHTS.items()]
    rows += [(name, *size, "installed") for name, size in EMBEDDED.items()]
    if everything:
        others = [name for name in numbers.index if name.startswith("open_clip:")]
        here = _in_the_hubs_cache(others)
        rows += [(name, *_config(name), place[name in here]) for name in others]
    table = pd.DataFrame(rows, columns=["model", "embed_dim", "image_size", "weights"])
    if not everything:
        return table.assign(imagenet_published=table["model"].map(numbers["imagenet_published"]))
    table = table.join(numbers, on="model")
    table["images_per_s"] = table["model"].map(speeds()).astype(float)
    table["training_data"] = [known_of(name).get("training data", "") for name in table["model"]]
    return table.sort_values("imagenet_published", ascending=False, kind="stable", ignore_index=True)


@cache
def _published_by_name() -> pd.DataFrame:
    """Index what open_clip measured by the names of `load_model`, of twins the one with the right activation."""

    def named(arch: str, tag: str) -> str:
        if tag == "openai":
            openais = {w.file.removesuffix(".pt").removesuffix("px"): name for name, w in OPENAI_WEIGHTS.items()}
            return openais[arch.removesuffix("-quickgelu")]
        return f"open_clip:{arch}{'-quickgelu' if f'{arch}/{tag}' in _QUICK else ''}/{tag}"

    table = published("openclip_zero_shot").sort_values("architecture", key=lambda a: ~a.str.endswith("-quickgelu"))
    table.index = pd.Index([named(*row) for row in zip(table["architecture"], table["tag"], strict=True)])
    return table.loc[~table.index.duplicated(), list(_SHOWN)].rename(columns=_SHOWN)


def _config(name: str) -> tuple[int, int]:
    """Return D and pixels per side of one of open_clip's architectures, from its file: importing it takes seconds."""
    arch = name.removeprefix("open_clip:").partition("/")[0]
    folder = Path(str(find_spec("open_clip").submodule_search_locations[0]))  # type: ignore[union-attr,index]
    config = json.loads((folder / "model_configs" / f"{arch}.json").read_text(encoding="utf-8"))
    return config["embed_dim"], config["vision_cfg"]["image_size"]


def _in_the_hubs_cache(names: list[str]) -> set[str]:
    """Return which of open_clip's models lie in the cache of the Hugging Face hub; an empty cache is told at once."""
    from huggingface_hub import constants, try_to_load_from_cache

    if not any(Path(constants.HF_HUB_CACHE).glob("models--*")):
        return set()
    from open_clip import get_pretrained_cfg

    def is_here(name: str) -> bool:
        repository = get_pretrained_cfg(*name.removeprefix("open_clip:").split("/"))["hf_hub"].rstrip("/")
        files = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
        return any(isinstance(try_to_load_from_cache(repository, file), str) for file in files)

    return {name for name in names if is_here(name)}


def known_of(name: str) -> dict[str, str]:
    """Return what is known of a model by its name: licence, source, training data, consent, published accuracy."""
    is_published = re.fullmatch(r"open_clip:[\w.-]+/[\w-]+|(open_clip:hf-hub|hf):[\w.-]+/[\w.-]+", name)
    if name in EMBEDDED or (is_published and not os.path.exists(name.partition(":")[2])):  # noqa: PTH110
        lower = name.lower()
    else:  # what a file or a folder is called says nothing of what is in it
        lower = "openai" if name in OPENAI_WEIGHTS else ""
    makers: list[dict[str, Any]] = read_yaml(__file__, "makers.yaml")
    about = next((maker for maker in makers if any(word in lower for word in maker["names"])), {})
    found = {key: about.get(key, default) for key, default in NOT_STATED.items()} if about else {}
    if name in (numbers := _published_by_name()).index:
        imagenet, mean = numbers.loc[name, ["imagenet_published", "mean_38_published"]]
        found["published accuracy"] = f"ImageNet {imagenet:.4f}, mean of 38 data sets {mean:.4f}; {SOURCE}"
    return found or {"known": "nothing: ask whoever made these weights for licence, training data and consent"}


def _speeds_path() -> Path:
    return expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "zsc" / "images-per-second.json"


def speeds() -> dict[str, float]:
    """Return the images per second that were measured on this machine, by the name of the model."""
    try:
        found = json.loads(_speeds_path().read_text(encoding="utf-8"))
        return {name: float(value) for name, value in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # not measured yet, or no record of ours: it is a convenience


def record_speed(name: str, images_per_s: float) -> None:
    """Keep the last measured speed of a model, where the cache's folder can be written to."""
    path = _speeds_path()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            write_whole(path, json.dumps(speeds() | {name: round(images_per_s, 2)}, indent=1))

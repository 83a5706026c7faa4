"""Where weights come from: OpenAI's published files, checked; models of the Hugging Face hub, the cache first.

OpenAI's are kept where its own `clip` keeps them (`~/.cache/clip`): one download serves both. `ZSC_WEIGHTS` names
another folder, `ZSC_CLIP_URL` another address with the same paths. The hub is asked only for what is not here, and
once: no question reaches the terminal, no code of a repository is run.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import requests

from zsc.files import DownloadError, digest_of, expanded, fetch, printable, shown
from zsc.progress import bar

BASE_URL = "https://openaipublic.azureedge.net/clip/models"
NO_DOWNLOAD = "use load_model('conse'), which needs no download"
PATIENCE = 3.0  # seconds that an absent network may cost
_LOADING = threading.RLock()  # the libraries' switches are those of the whole process
_T = TypeVar("_T")


class WeightsError(OSError):
    """Weights that are missing, cut short or not what they should be; the message says what to do."""


@dataclass(frozen=True)
class PublishedWeights:
    """One of OpenAI's nine checkpoints: file, checksum (also the folder on the server), D, pixels per side."""

    file: str
    sha256: str
    embed_dim: int
    image_size: int


_PUBLISHED = {  # openai/CLIP, clip/clip.py
    "RN50": ("afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 1024, 224),
    "RN101": ("8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 512, 224),
    "RN50x4": ("7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 640, 288),
    "RN50x16": ("52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", 768, 384),
    "RN50x64": ("be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", 1024, 448),
    "ViT-B/32": ("40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 512, 224),
    "ViT-B/16": ("5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 512, 224),
    "ViT-L/14": ("b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 768, 224),
    "ViT-L/14@336px": ("3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02", 768, 336),
}
OPENAI_WEIGHTS = {name: PublishedWeights(f"{re.sub('[/@]', '-', name)}.pt", *row) for name, row in _PUBLISHED.items()}
EMBEDDED = {"conse": (384, 260), "toy": (128, 64)}  # the models that need no download: D, pixels per side


def weights_path(name: str) -> Path:
    """Return the file of one of OpenAI's checkpoints, whether it exists or not."""
    return expanded(os.environ.get("ZSC_WEIGHTS") or "~/.cache/clip") / OPENAI_WEIGHTS[name].file


def weights_are_here(name: str) -> bool:
    """Tell whether a checkpoint's file is on this machine, whatever it holds."""
    return os.path.isfile(weights_path(name))  # noqa: PTH113  (pathlib's raises where a folder may not be entered)


def weights_url(name: str) -> str:
    """Return the address of one of OpenAI's checkpoints; `ZSC_CLIP_URL` changes the server."""
    base = (os.environ.get("ZSC_CLIP_URL") or BASE_URL).rstrip("/")
    return f"{base}/{OPENAI_WEIGHTS[name].sha256}/{OPENAI_WEIGHTS[name].file}"


def get_weights(name: str) -> Path:
    """Return the file of one of OpenAI's checkpoints, checked, fetched where missing; WeightsErrors say what to do."""
    path, url, published = weights_path(name), weights_url(name), OPENAI_WEIGHTS[name]
    absent = f"the weights of {name} are not on this machine"
    if path.parts[0].startswith("~"):
        way_on = f"({printable(path.parent)}); set ZSC_WEIGHTS to a folder that you can write to."
        raise WeightsError(f"{absent}, and it has no home directory to keep them in {way_on}")
    if not weights_are_here(name):
        try:
            return fetch(url, path, checksum=f"sha256:{published.sha256}", progress=partial(bar, True))
        except DownloadError as error:
            by_hand = f"fetch {shown(url)} elsewhere and put it at {printable(path)} (ZSC_WEIGHTS names another folder)"
            raise WeightsError(f"{absent}: {error} Two ways on: {by_hand}; or {NO_DOWNLOAD}.") from error
    if (found := digest_of(path)) != published.sha256:
        raise WeightsError(
            f"{printable(path)}: {path.stat().st_size:,} bytes with sha256 {found}, but OpenAI's file has "
            f"{published.sha256}: it is cut short or another file; remove it from {printable(path.parent)}, and it is "
            f"fetched from {shown(url)}."
        )
    return path


def cached_first(load: Callable[[], _T], name: str, *, is_local: bool, way_on: str, offline: bool = True) -> _T:
    """Load a model from this machine's cache; only where that fails, and the hub answers, from the hub.

    For a file or folder (`is_local`) no network would help. Where nothing helps, a WeightsError says in one sentence
    why, and how to have the model `name` without the hub (`way_on`).
    """
    try:
        with quiet(offline=offline):
            return load()
    except WeightsError:
        raise
    except Exception as error:  # each library and version has its own
        problem = _unreachable() if offline and not is_local else ""
        if problem is not None:
            said = " ".join(printable(error).split())[:200].rstrip(". ")
            fault = f"could not be loaded ({said})"
            why = f"not on this machine as a whole ({said}), and {problem}" if problem else fault
            raise WeightsError(f"{name}: {why}. Two ways on: {way_on}; or {NO_DOWNLOAD}.") from error
    return cached_first(load, name, is_local=is_local, way_on=way_on, offline=False)


@contextmanager
def quiet(*, offline: bool = False) -> Iterator[None]:
    """Keep transformers, open_clip and huggingface_hub from talking and asking, and from the network if `offline`."""
    import huggingface_hub
    from huggingface_hub import constants
    from transformers import dynamic_module_utils
    from transformers.utils import logging as library_logging

    def set_offline(value: bool) -> None:
        constants.HF_HUB_OFFLINE = value
        getattr(huggingface_hub, "reset_sessions", lambda: None)()  # before version 1 a session remembers it

    def set_progress_bar(value: bool) -> None:
        (library_logging.enable_progress_bar if value else library_logging.disable_progress_bar)()

    def is_grave(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    root, hub = logging.getLogger(), logging.getLogger("huggingface_hub")
    ask_about_code = partial(setattr, dynamic_module_utils, "TIME_OUT_REMOTE_CODE")  # after 0 seconds, an error
    silent = logging.NullHandler()  # with a handler there, open_clip's remarks set up no logging of their own
    with _LOADING, ExitStack() as undo:
        switches: list[tuple[Callable[[Any], Any], Any, Any]] = [
            (set_offline, constants.HF_HUB_OFFLINE, offline or constants.HF_HUB_OFFLINE),
            (ask_about_code, dynamic_module_utils.TIME_OUT_REMOTE_CODE, 0),
            (library_logging.set_verbosity, library_logging.get_verbosity(), logging.ERROR),
            (hub.setLevel, hub.level, logging.ERROR),
            (set_progress_bar, library_logging.is_progress_bar_enabled(), False),
        ]
        for switch, before, now in switches:
            undo.callback(switch, before)
            switch(now)
        undo.callback(root.removeFilter, is_grave)
        undo.callback(root.removeHandler, silent)
        root.addFilter(is_grave)
        root.addHandler(silent)
        yield


def _unreachable() -> str | None:
    """Say why the hub cannot be asked, or None where it answers; in `PATIENCE` seconds, name look-up included."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids asking the hub"
    found: list[str | None] = []

    def ask() -> None:
        try:
            status = requests.head(constants.ENDPOINT, timeout=PATIENCE, allow_redirects=False).status_code
            found.append(f"the hub ({constants.ENDPOINT}) answers {status}" if status >= 407 else None)
        except (OSError, ValueError) as error:  # requests' own are OSErrors
            found.append(f"there is no network to the hub ({constants.ENDPOINT}; {type(error).__name__})")

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return found[0] if found else f"the hub ({constants.ENDPOINT}) did not answer within {PATIENCE:.0f} seconds"

"""Models of the Hugging Face hub: what is on this machine comes first and asks no network; the rest asks it once.

No question reaches the terminal, no code of a repository is run, no chatter of the libraries reaches the user.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeVar

import huggingface_hub
import requests
from huggingface_hub import constants
from transformers import dynamic_module_utils
from transformers.utils import logging as library_logging

from zsc.files import printable
from zsc.models.weights import WeightsError

PATIENCE = 3.0  # seconds that an absent network may cost
_LOADING = threading.RLock()  # the libraries' switches are those of the whole process
_T = TypeVar("_T")


def cached_first(load: Callable[[], _T], name: str, *, is_local: bool, way_on: str) -> _T:
    """Load a model from this machine's cache; only where that fails, and the hub answers, from the hub.

    For a file or folder (`is_local`) no network would help. Where nothing helps, a WeightsError says in one sentence
    why, and how to have the model `name` without the hub (`way_on`).
    """
    problem: str | None = None
    try:
        try:
            with quiet(offline=True):
                return load()
        except WeightsError:
            raise
        except Exception:  # each library and version has its own
            problem = None if is_local else _unreachable()
            if is_local or problem:
                raise
        with quiet():
            return load()
    except WeightsError:
        raise
    except Exception as error:
        said = " ".join(printable(error).split())[:200].rstrip(". ")
        why = f"not on this machine as a whole ({said}), and {problem}" if problem else f"could not be loaded ({said})"
        raise WeightsError(
            f"{name}: {why}. Two ways on: {way_on}; or use load_model('conse'), which needs no download."
        ) from error


@contextmanager
def quiet(*, offline: bool = False) -> Iterator[None]:
    """Keep transformers, open_clip and huggingface_hub from talking and asking, and from the network if `offline`."""
    root, hub = logging.getLogger(), logging.getLogger("huggingface_hub")
    ask_about_code = partial(setattr, dynamic_module_utils, "TIME_OUT_REMOTE_CODE")  # after 0 seconds, an error
    silent = logging.NullHandler()  # with a handler there, open_clip's remarks set up no logging of their own
    with _LOADING, ExitStack() as undo:
        switches: list[tuple[Callable[[Any], Any], Any, Any]] = [
            (_set_offline, constants.HF_HUB_OFFLINE, offline or constants.HF_HUB_OFFLINE),
            (ask_about_code, dynamic_module_utils.TIME_OUT_REMOTE_CODE, 0),
            (library_logging.set_verbosity, library_logging.get_verbosity(), logging.ERROR),
            (hub.setLevel, hub.level, logging.ERROR),
        ]
        for switch, before, now in switches:
            undo.callback(switch, before)
            switch(now)
        if library_logging.is_progress_bar_enabled():
            undo.callback(library_logging.enable_progress_bar)
            library_logging.disable_progress_bar()
        undo.callback(root.removeFilter, _is_grave)
        undo.callback(root.removeHandler, silent)
        root.addFilter(_is_grave)
        root.addHandler(silent)
        yield


def _is_grave(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _set_offline(offline: bool) -> None:
    if offline != constants.HF_HUB_OFFLINE:
        constants.HF_HUB_OFFLINE = offline
        getattr(huggingface_hub, "reset_sessions", lambda: None)()  # before version 1 a session remembers it


def _unreachable() -> str | None:
    """Say why the hub cannot be asked, or None where it answers; in `PATIENCE` seconds, name look-up included."""
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

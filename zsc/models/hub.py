"""Models of the Hugging Face hub: what is on this machine comes first and asks no network; the rest asks it once.

No question reaches the terminal, no code of a repository is run, no chatter of the libraries reaches the user.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

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

    Parameters
    ----------
    load
        Loads it through its library.
    name
        What to call it in messages.
    is_local
        Whether it is a file or folder, for which no network would help.
    way_on
        How the same can be had without the hub.

    Raises
    ------
    WeightsError
        If it cannot be loaded; one sentence says why, and the ways on.
    """
    try:
        with quiet(offline=True):
            return load()
    except WeightsError:
        raise
    except Exception as error:  # each library and version has its own
        problem = None if is_local else _unreachable()
        if is_local or problem:
            raise WeightsError(_sentence(name, error, problem, way_on)) from error
    try:
        with quiet():
            return load()
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(_sentence(name, error, None, way_on)) from error


@contextmanager
def quiet(*, offline: bool = False) -> Iterator[None]:
    """Keep transformers, open_clip and huggingface_hub from talking and asking, and from the network if `offline`."""
    root, hub = logging.getLogger(), logging.getLogger("huggingface_hub")
    silent = logging.NullHandler()  # with a handler there, open_clip's remarks set up no logging of their own
    with _LOADING:
        before = constants.HF_HUB_OFFLINE, dynamic_module_utils.TIME_OUT_REMOTE_CODE, library_logging.get_verbosity()
        had_bar, level = library_logging.is_progress_bar_enabled(), hub.level
        try:
            _set_offline(offline or before[0])
            dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0  # "do you wish to run the custom code?" becomes an error
            library_logging.set_verbosity_error()
            library_logging.disable_progress_bar()
            hub.setLevel(logging.ERROR)
            root.addFilter(_is_grave)
            root.addHandler(silent)
            yield
        finally:
            _set_offline(before[0])
            dynamic_module_utils.TIME_OUT_REMOTE_CODE = before[1]
            library_logging.set_verbosity(before[2])
            if had_bar:
                library_logging.enable_progress_bar()
            hub.setLevel(level)
            root.removeFilter(_is_grave)
            root.removeHandler(silent)


def _is_grave(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _set_offline(offline: bool) -> None:
    if offline != constants.HF_HUB_OFFLINE:
        constants.HF_HUB_OFFLINE = offline
        getattr(huggingface_hub, "reset_sessions", lambda: None)()  # before version 1 a session remembers it


def _unreachable() -> str | None:
    """Say why the hub cannot be asked, or None where it answers; in `PATIENCE` seconds, name look-up included."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to ask the hub"
    found: list[str | None] = []
    asking = threading.Thread(target=lambda: found.append(_ask()), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return found[0] if found else f"the hub ({constants.ENDPOINT}) did not answer within {PATIENCE:.0f} seconds"


def _ask() -> str | None:
    try:
        answer = requests.head(constants.ENDPOINT, timeout=PATIENCE, allow_redirects=False)
    except (requests.RequestException, OSError, ValueError) as error:
        return f"there is no network to the hub ({constants.ENDPOINT}; {type(error).__name__})"
    return f"the hub ({constants.ENDPOINT}) answers {answer.status_code}" if answer.status_code >= 407 else None


def _sentence(name: str, error: Exception, problem: str | None, way_on: str) -> str:
    said = " ".join(printable(error).split())[:200].rstrip(". ")
    why = f"not on this machine as a whole ({said}), and {problem}" if problem else f"could not be loaded ({said})"
    return f"{name}: {why}. Two ways on: {way_on}; or use load_model('conse'), which needs no download."

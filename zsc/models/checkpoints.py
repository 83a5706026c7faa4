"""The tensors of a checkpoint file, without running a byte of it, however training scripts wrap them.

torch.save's files and TorchScript archives are zip archives: raw numbers, and a pickle that says how they belong
together. It is read with stand-ins for all it names, so that its code, a program in TorchScript, is only text.
"""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from zsc.checks import short
from zsc.files import printable
from zsc.models.weights import WeightsError

_DTYPES = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64, "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16,
    "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}  # of torch, inside names
# of OpenAI's archives and of torch's averaged models: sizes, constants and counts, which no network has as weights
_NO_WEIGHTS = {"input_resolution", "context_length", "vocab_size", "attn_mask", "n_averaged"}
_CODE_LIMIT = 1 << 24  # bytes of one class's text
_DEPTH, _MODULES = 5, 100_000  # mappings in mappings; modules in modules
_REPEATED = 1 << 20  # numbers of a tensor that repeats fewer


class StandIn:
    """What a pickle asks for and does not get: an instance of a class, or the result of a function."""

    name = ""
    attributes: dict[Any, Any]

    def __new__(cls, *args: Any, **named: Any) -> StandIn:
        """Take anything, do nothing."""
        made = object.__new__(cls)
        made.attributes = {}
        return made

    def __init__(self, *args: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.attributes |= state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.attributes[key] = value

    def extend(self, items: Any) -> None:
        """Take items, as a list's stand-in."""

    append = add = extend

    def __repr__(self) -> str:
        return f"a {printable(self.name)}"


class _Dict(dict[Any, Any]):
    """An OrderedDict's stand-in."""

    def __setstate__(self, state: Any) -> None:
        """Leave out what hangs on the dict beside its items."""


def read_state_dict(
    path: Path, needed: Sequence[str], kind: str = "CLIP in OpenAI's format"
) -> dict[str, torch.Tensor]:
    """Read the state dict of a model from a checkpoint.

    It may lie in mappings under any key ("state_dict", "model", "ema"), with one prefix before all of its names
    ("module.", "clip_model."), beside an optimizer's state, settings and other objects.

    Parameters
    ----------
    path
        A file of torch.save, or a TorchScript archive.
    needed
        Names that every such model has, the first of them at the end of no other name.
    kind
        What such a model is called in messages.

    Returns
    -------
    dict
        Tensors by name; those beside the prefix, which belong to something else, under their own names.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or holds no such model, or several.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; pass the file of a {kind}, or a name of load_model.")
    try:
        content = _read(path)
    except Exception as error:  # whatever a damaged or hostile file makes of zip, pickle and torch
        raise WeightsError(
            f"{path}: not a checkpoint that can be read ({path.stat().st_size:,} bytes; {_why(error)}); put a whole "
            f"file into {path.parent}."
        ) from error
    found = dict(_models_in(content, needed))
    found = {w: m for w, m in found.items() if any(isinstance(v, torch.Tensor) for v in m.values())} or found
    if len(found) > 1:
        raise WeightsError(
            f"{path} holds {len(found)} models, under {' and '.join(repr(printable(w)) for w in found)}; save the "
            "state dict of one of them into a file of its own."
        )
    if not found:
        raise WeightsError(f"{path}: no {kind}, {_what_is_there(content, needed)}")
    return _tensors_only(*found.popitem(), needed, path)


def is_torchscript(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive, as OpenAI published its weights."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def check_weights(tensors: Mapping[str, torch.Tensor], name: str) -> None:
    """Refuse weights that are not finite, as they are computed with.

    Raises
    ------
    WeightsError
        If a tensor holds NaN or infinity; the message names it.
    """
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum(dtype=torch.float32)):  # fast, and a hint only
            bad = int((~torch.isfinite(tensor)).sum())
            if bad:
                raise WeightsError(
                    f"{name}: {bad} of the {tensor.numel()} numbers of {key} are not finite (NaN, infinite, or beyond "
                    "half precision); the weights are damaged, take another file."
                )


def learned_scale(logit_scale: torch.Tensor, name: str) -> float:
    """Give what cosines are multiplied by, from its logarithm, which is what a model learns.

    Raises
    ------
    WeightsError
        If it is not one finite number above 0.
    """
    values = logit_scale.detach().float().exp().reshape(-1)
    if len(values) != 1 or not 0 < float(values[0]) < float("inf"):
        raise WeightsError(
            f"{name}: logit_scale {short(logit_scale.tolist())} is no logarithm of a finite scale above 0; the weights "
            "are damaged, take another file."
        )
    return float(values[0])


def _read(path: Path) -> Any:
    """Read what a file holds: mappings of tensors, and stand-ins for the rest."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if not zipfile.is_zipfile(path):
        return torch.load(path, map_location="cpu", weights_only=True)  # the format before torch 1.6
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")).partition("/")[0]
        content = _Unpickler(archive, root).load()
        if f"{root}/constants.pkl" in archive.namelist():
            return dict(_module_tensors(content, archive, root))
        return content


class _Unpickler(pickle._Unpickler):  # in Python: the one in C takes as much memory as a pickle's index asks for
    """Read the pickle of an archive with stand-ins; the tensors are of the archive's raw numbers."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        self.archive, self.root = archive, root
        self.storages: dict[str, bytearray] = {}
        self.known = {
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
            "collections.OrderedDict": _Dict,
        }
        super().__init__(archive.open(self.stored("data.pkl")))

    def stored(self, name: str) -> zipfile.ZipInfo:
        """Find an entry that takes no more memory than it takes on the disk, as all that torch writes."""
        entry = self.archive.getinfo(f"{self.root}/{name}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        return entry

    def find_class(self, module: str, name: str) -> Any:
        """Give a stand-in for any class or function but the few that tensors are made of."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        full = f"{module}.{name}"
        return self.known.get(full) or type("StandIn", (StandIn,), {"name": full})

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """Give the numbers of a storage, flat; those of one storage share their memory."""
        _, dtype, key, _, count = pid
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"a storage of {dtype}")
        if key not in self.storages:
            self.storages[key] = bytearray(self.archive.read(self.stored(f"data/{key}")))
        return torch.frombuffer(self.storages[key], dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _tensor(storage: torch.Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *more: Any) -> torch.Tensor:
    """Rebuild a tensor on its storage; torch refuses what would lie outside of it."""
    if math.prod(size) > max(len(storage), _REPEATED) or any(more[2:]):
        raise ValueError("a tensor of more numbers than are there, or with flags that are not known")
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


def _module_tensors(top: Any, archive: zipfile.ZipFile, root: str) -> Iterator[tuple[str, torch.Tensor]]:
    """List the parameters and buffers of a TorchScript archive's modules, by name."""
    stack, declared, count = [("", top)], dict[str, set[str] | None](), 0
    while stack:
        prefix, module = stack.pop()
        count += 1
        if count > _MODULES:
            raise ValueError(f"more than {_MODULES} modules")
        if module.name not in declared:
            declared[module.name] = _declared(archive, root, module.name)
        names = declared[module.name]
        for name, value in module.attributes.items():
            if isinstance(value, torch.Tensor) and (names is None or name in names):
                yield f"{prefix}{name}", value
            elif isinstance(value, StandIn) and value.name.startswith("__torch__"):
                stack.append((f"{prefix}{name}.", value))


def _declared(archive: zipfile.ZipFile, root: str, name: str) -> set[str] | None:
    """Give the names that a class of the archive calls parameters and buffers; None where it does not say."""
    where, _, kind = name.rpartition(".")
    try:
        with archive.open(f"{root}/code/{where.replace('.', '/')}.py") as file:
            text = file.read(_CODE_LIMIT).decode()
    except KeyError:
        return None
    lists = r"\(Module\):\n +__parameters__ = \[(.*)\]\n +__buffers__ = \[(.*)\]\n"
    said = re.search(rf"^class {re.escape(kind)}{lists}", text, re.MULTILINE)
    return set(re.findall(r'"([^"]*)"', said[1] + said[2])) if said else None


def _models_in(content: Any, needed: Sequence[str], where: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """List the mappings that hold all needed names behind one prefix: where they are, and their items without it."""
    if not isinstance(content, Mapping) or depth > _DEPTH:
        return
    items = {_plain(key): value for key, value in content.items()}
    for key in [k for k in items if k.endswith(needed[0])]:
        prefix = key.removesuffix(needed[0])
        if all(prefix + name in items for name in needed):
            yield f"{where}{prefix}", {k.removeprefix(prefix): v for k, v in items.items()}
    for key, value in content.items():
        yield from _models_in(value, needed, f"{where}{key}/", depth + 1)


def _plain(key: Any) -> str:
    return ".".join(part for part in str(key).split(".") if part not in _WRAPPERS)


def _tensors_only(where: str, items: dict[str, Any], needed: Sequence[str], path: Path) -> dict[str, torch.Tensor]:
    """Leave out what is beside the weights (an epoch, a setting), and refuse what is in their place."""
    weights = {k: v for k, v in items.items() if k.rpartition(".")[2] not in _NO_WEIGHTS}
    for key, value in weights.items():
        if not isinstance(value, torch.Tensor) and key.endswith((*needed, "weight", "bias", "proj", "embedding")):
            raise WeightsError(
                f"{path}: {printable(where + key)} is {short(value)}, not a tensor; save the model's state dict again."
            )
    return {k: v for k, v in weights.items() if isinstance(v, torch.Tensor)}


def _what_is_there(content: Any, needed: Sequence[str]) -> str:
    if isinstance(content, StandIn):
        return f"but a pickled {printable(content.name)}; save the state_dict() of the model instead of the model."
    if not isinstance(content, Mapping):
        return f"but a {type(content).__name__}; save the state_dict() of the model."
    missing = [name for name in needed if name not in {_plain(key) for key in content}]
    keys = ", ".join(printable(str(key))[:40] for key in list(content)[:8])
    return (
        f"it lacks {', '.join(missing)} (its keys: {keys}{', ...' if len(content) > 8 else ''}); other weights load as "
        "'open_clip:ARCH/PATH', 'open_clip:ARCH/TAG' or 'hf:ID'."
    )


def _why(error: Exception) -> str:
    """Say in a few words why a file cannot be read."""
    asked = re.search(r"GLOBAL ([\w.]+)", str(error))
    if asked:
        return f"it holds more than tensors: {asked[1]}"
    return "it is damaged, cut short or holds more than tensors"

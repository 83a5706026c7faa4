"""The tensors of a checkpoint file, without running a byte of it, however training scripts wrap them.

torch.save's files and TorchScript archives are zip archives: raw numbers, and a pickle that says how they belong
together. It is read with stand-ins for all it names, so that its code, a program in TorchScript, is only text.
"""

import math
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from zsc.checks import short
from zsc.files import printable
from zsc.models.weights import WeightsError

_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}  # of torch, inside names
# of OpenAI's archives and of torch's averaged models: sizes, constants and counts, which no network has as weights
_NO_WEIGHTS = {"input_resolution", "context_length", "vocab_size", "attn_mask", "n_averaged"}
_DEPTH = 5  # mappings in mappings
_REPEATED = 1 << 20  # numbers of a tensor that repeats fewer


def read_state_dict(path: Path, needed: Sequence[str], kind: str = "CLIP in OpenAI's format") -> dict[str, Any]:
    """Read the state dict of a model, tensors by name, from a checkpoint: of torch.save, TorchScript or safetensors.

    It may lie in mappings under any key ("state_dict", "model", "ema"), with one prefix before all of its names
    ("module.", "clip_model."), beside anything else. Every such model has the `needed` names, the first of them at the
    end of no other name; messages call it a `kind`. A WeightsError says that the file is missing, damaged, or holds no
    such model, or several.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; pass the file of a {kind}, or a name of load_model.")
    try:
        content = _read(path)
    except Exception as error:  # whatever a damaged or hostile file makes of zip, pickle and torch
        why = f"({path.stat().st_size:,} bytes): it is damaged, cut short or holds more than tensors; use a whole file"
        raise WeightsError(f"{path}: not a checkpoint that can be read {why}.") from error
    found = dict(_models_in(content, needed))
    found = {w: m for w, m in found.items() if any(isinstance(v, torch.Tensor) for v in m.values())} or found
    if not found:
        raise WeightsError(f"{path}: no {kind}, {_what_is_there(content, needed)}")
    (where, items), *others = found.items()
    if others:
        places = " and ".join(repr(printable(place)) for place in found)
        raise WeightsError(f"{path} holds {len(found)} models, under {places}; save the state dict of one by itself.")
    for key, value in items.items():
        if not isinstance(value, torch.Tensor) and key.endswith((*needed, "weight", "bias", "proj", "embedding")):
            what = f"{printable(where + key)} is {short(value)}, not a tensor"
            raise WeightsError(f"{path}: {what}; save the model's state dict again.")
    return {k: v for k, v in items.items() if isinstance(v, torch.Tensor)}


def is_torchscript(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive, as OpenAI published its weights."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def check_weights(model: torch.nn.Module, name: str) -> float:
    """Return what cosines are multiplied by; refuse it, and weights as they are computed with, if not finite."""
    tensors, damaged = model.state_dict(), "the weights are damaged, use another file"
    for key, tensor in tensors.items():
        is_suspect = tensor.is_floating_point() and not tensor.sum(dtype=torch.float32).isfinite()  # fast, a hint only
        if is_suspect and (bad := int((~tensor.isfinite()).sum())):
            found = f"{bad} of the {tensor.numel()} numbers of {key} are not finite"
            raise WeightsError(f"{name}: {found} (NaN, infinite, or beyond half precision); {damaged}.")
    key = "logit_scale" if "logit_scale" in tensors else "temperature"  # ALIGN and TIPS divide by it
    learned: torch.Tensor = tensors[key].float()
    scale = learned.exp() if key == "logit_scale" else 1 / learned
    if learned.numel() != 1 or not 0 < scale.item() < math.inf:
        raise WeightsError(f"{name}: {key} {short(learned.tolist())} makes no finite scale above 0; {damaged}.")
    return scale.item()


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if not zipfile.is_zipfile(path):
        return torch.load(path, map_location="cpu", weights_only=True)  # the format before torch 1.6
    with zipfile.ZipFile(path) as archive:
        root = next(n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")).partition("/")[0]
        content = _InertUnpickler(archive, root).load()
    return dict(_module_tensors(content)) if is_torchscript(path) else content


class StandIn:
    """What a pickle asks for and does not get: an instance of a class, or the result of a function."""

    name = ""
    attributes: dict[Any, Any]

    def __new__(cls, *args: Any, **named: Any) -> "StandIn":
        """Take anything, do nothing."""
        made = object.__new__(cls)
        made.attributes = {}
        return made

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


class _InertUnpickler(pickle._Unpickler):  # in Python: the one in C takes as much memory as a pickle's index asks for
    """Read the pickle of an archive with stand-ins; the tensors are made of the archive's raw numbers."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        self.archive, self.root = archive, root
        self.storages: dict[str, bytearray] = {}
        super().__init__(archive.open(self.stored("data.pkl")))

    def stored(self, name: str) -> zipfile.ZipInfo:
        """Find an entry that takes no more memory than it takes on the disk, as all that torch writes."""
        entry = self.archive.getinfo(f"{self.root}/{name}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        return entry

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in for any class or function but the few that tensors are made of."""
        full = f"{module}.{name}"
        return _KNOWN.get(full) or type("StandIn", (StandIn,), {"name": full})

    def persistent_load(self, pid: Any) -> torch.Tensor:
        """Return the numbers of a storage, flat; those of one storage share their memory."""
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


_KNOWN: dict[str, Any] = {
    "torch._utils._rebuild_tensor_v2": _tensor, "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.FloatStorage": torch.float32, "torch.HalfStorage": torch.float16, "torch.BFloat16Storage": torch.bfloat16,
    "torch.DoubleStorage": torch.float64, "torch.LongStorage": torch.int64, "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16, "torch.CharStorage": torch.int8, "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool, "collections.OrderedDict": _Dict,
}  # fmt: skip


def _module_tensors(module: StandIn, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """List the tensors of a TorchScript archive's modules, by name."""
    for name, value in module.attributes.items():
        if isinstance(value, torch.Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, StandIn):
            yield from _module_tensors(value, f"{prefix}{name}.")


def _models_in(content: Any, needed: Sequence[str], where: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """List the mappings that hold all needed names behind one prefix: where they are, and their items without it."""
    if not isinstance(content, Mapping) or depth > _DEPTH:
        return
    items = {_plain(key): value for key, value in content.items()}
    items = {key: value for key, value in items.items() if key.rpartition(".")[2] not in _NO_WEIGHTS}
    for key in [k for k in items if k.endswith(needed[0])]:
        prefix = key.removesuffix(needed[0])
        if all(prefix + name in items for name in needed):
            yield f"{where}{prefix}", {k.removeprefix(prefix): v for k, v in items.items()}
    for key, value in content.items():
        yield from _models_in(value, needed, f"{where}{key}/", depth + 1)


def _plain(key: Any) -> str:
    return ".".join(part for part in str(key).split(".") if part not in _WRAPPERS)


def _what_is_there(content: Any, needed: Sequence[str]) -> str:
    if not isinstance(content, Mapping):
        found = f"pickled {printable(content.name)}" if isinstance(content, StandIn) else type(content).__name__
        return f"but a {found}; save the state_dict() of the model."
    missing = ", ".join(name for name in needed if name not in {_plain(key) for key in content})
    keys = ", ".join([printable(str(key))[:40] for key in list(content)[:8]] + ["..."] * (len(content) > 8))
    others = "'open_clip:ARCH/PATH', 'open_clip:ARCH/TAG' or 'hf:ID'"
    return f"it lacks {missing} (its keys: {keys}); other weights load as {others}."

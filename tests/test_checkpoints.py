"""Files of weights: the very tensors that torch reads, none of their code run, however they are wrapped."""

import argparse
import collections
import pickle
import re
import warnings
import zipfile

import clip
import numpy as np
import pytest
import torch

import zsc
from zsc.models.checkpoints import is_torchscript, read_state_dict
from zsc.models.openai_clip import NEEDED
from zsc.models.weights import WeightsError

PICTURES = [np.full((40, 50, 3), 90, np.uint8), np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)]


def small_clip(kind="ViT"):
    """OpenAI's own class, small: a vision transformer or a ResNet, with batch norms' buffers."""
    torch.manual_seed(3)
    vision = (32, 1, 64, 16) if kind == "ViT" else (32, (1, 1, 1, 1), 8, None)
    return clip.model.CLIP(32, *vision, 77, 49408, 64, 1, 1).eval()


@pytest.fixture(scope="module")
def state():
    return {k: v.clone() for k, v in small_clip().state_dict().items()}


@pytest.fixture(scope="module")
def expected(state, tmp_path_factory):
    """The embeddings of the same weights in a plain file."""
    path = tmp_path_factory.mktemp("plain") / "plain.pt"
    torch.save(state, path)
    return zsc.load_model(path, device="cpu").encode_images(PICTURES)


def by_torch(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype and ours[name].stride() == tensor.stride(), name
        assert torch.equal(ours[name], tensor), name


def traced(module, path):
    """Saved as OpenAI saved its own, whose code torch cannot script."""
    inputs = (torch.zeros(1, 3, 32, 32, dtype=module.dtype), torch.zeros(1, 77, dtype=torch.long))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, inputs, check_trace=False).save(str(path))


class Odd(torch.nn.Module):
    """Strides, shared storages, all kinds of numbers; and a mask that is neither parameter nor buffer, as OpenAI's."""

    def __init__(self):
        super().__init__()
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.0))
        base = torch.arange(24.0)
        self.turned = torch.nn.Parameter(torch.arange(6.0).view(2, 3).t())
        self.strided = torch.nn.Parameter(base[2:20:3])
        self.register_buffer("view", base[3:7])
        self.register_buffer("repeated", torch.ones(1).expand(3))
        for kind in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float64"):
            self.register_buffer(f"as_{kind}", torch.tensor([0, 1, 1]).to(getattr(torch, kind)))
        self.register_buffer("empty", torch.zeros(0, 3))
        self.attn_mask, self.sizes, self.inner = torch.ones(3), [1, 2], torch.nn.Linear(2, 2)
        self.again = self.inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attn_mask.sum() + self.sizes[0]


class TestTorchScript:
    @pytest.mark.parametrize("kind", ["ViT", "RN"])
    @pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
    def test_openais_own_model_bit_for_bit(self, kind, half, tmp_path):
        model = small_clip(kind)
        if half:
            clip.model.convert_weights(model)
        traced(model, tmp_path / "a.pt")
        theirs = by_torch(tmp_path / "a.pt")
        assert is_torchscript(tmp_path / "a.pt") and {v.dtype for v in theirs.values()} >= {
            torch.float16 if half else torch.float32
        }
        same(read_state_dict(tmp_path / "a.pt", NEEDED), theirs)

    def test_strides_shared_storages_and_kinds_of_numbers(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(Odd()).save(str(tmp_path / "odd.pt"))
        ours = read_state_dict(tmp_path / "odd.pt", ["logit_scale"])
        same(ours, by_torch(tmp_path / "odd.pt"))
        assert "attn_mask" not in ours and "again.bias" in ours
        assert ours["inner.bias"].untyped_storage().data_ptr() == ours["again.bias"].untyped_storage().data_ptr()

    def test_the_same_embeddings_without_a_word(self, tmp_path, state, expected, capfd):
        traced(small_clip(), tmp_path / "a.pt")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = zsc.load_model(tmp_path / "a.pt", device="cpu")
        np.testing.assert_array_equal(model.encode_images(PICTURES), expected)
        assert capfd.readouterr() == ("", "")

    def test_no_code_of_it_runs(self, tmp_path, monkeypatch):
        """A module's __setstate__ is a program that torch.jit.load runs: it may write files, or never end."""
        monkeypatch.chdir(tmp_path)
        source = tmp_path / "evil_module.py"
        source.write_text(EVIL)
        evil = compile(EVIL, str(source), "exec")
        space = {"__name__": "evil_module"}
        monkeypatch.setitem(__import__("sys").modules, "evil_module", type("m", (), space)())
        exec(evil, space)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(space["M"]()).save("evil.pt")
        with pytest.raises(WeightsError, match="no CLIP in OpenAI's format, it lacks logit_scale"):
            zsc.load_model(tmp_path / "evil.pt", device="cpu")
        assert not (tmp_path / "OWNED").exists()


EVIL = """
import torch
from typing import Tuple
class M(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(3))
    def forward(self, x):
        return x
    @torch.jit.export
    def __getstate__(self):
        return (self.w, self.training)
    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]):
        self.w = state[0]
        self.training = state[1]
        torch.save(self.w, "OWNED")
"""


class Calls:
    """A pickle that wants a function called."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class TestWrappings:
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda s: {"epoch": 10, "model_state_dict": s, "optimizer_state_dict": {}, "loss": 0.1},
            lambda s: {"model": s},
            lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "best_acc1": np.float64(0.3)},
            lambda s: {f"_orig_mod.module.{k}": v for k, v in s.items()},
            lambda s: {f"clip_model.{k}": v for k, v in s.items()},
            lambda s: {"ema": {"shadow": s}},
            lambda s: {f"visual._orig_mod.{k[7:]}" if k.startswith("visual.") else k: v for k, v in s.items()},
            lambda s: {"n_averaged": torch.tensor(3), **{f"module.{k}": v for k, v in s.items()}},
            lambda s: {"state_dict": s, "args": argparse.Namespace(lr=0.1, out=zipfile.Path)},
            lambda s: collections.OrderedDict(s, epoch=3, when=np.datetime64("2024-01-01")),
            lambda s: {
                "model": s,
                "rng": [np.random.default_rng(0), np.arange(3)],
                "scores": collections.Counter("ab"),
            },
            lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()},
            lambda s: {"net": s, "lr": {"logit_scale": 0.1}},
        ],
    )
    def test_those_of_training_scripts_load(self, wrap, state, expected, tmp_path):
        torch.save(wrap(state), tmp_path / "w.pt")
        np.testing.assert_array_equal(zsc.load_model(tmp_path / "w.pt", device="cpu").encode_images(PICTURES), expected)

    def test_the_old_format_and_safetensors(self, state, expected, tmp_path):
        from safetensors.torch import save_file

        torch.save({"model": state}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
        save_file(state, tmp_path / "s.safetensors")
        for name in ("old.pt", "s.safetensors"):
            model = zsc.load_model(tmp_path / name, device="cpu")
            np.testing.assert_array_equal(model.encode_images(PICTURES), expected)

    @pytest.mark.parametrize(
        ("wrap", "sentence"),
        [
            (lambda s: s | {"head.weight": torch.ones(2, 2)}, r"exactly the tensors .*Unexpected.*head\.weight"),
            (
                lambda s: {f"clip.{k}": v for k, v in s.items()} | {"classifier.bias": torch.ones(2)},
                r"exactly the tensors .*classifier\.bias",
            ),
            (lambda s: {k: v for k, v in s.items() if k != "ln_final.weight"}, r"lacks 'ln_final\.weight'"),
            (lambda s: {k: v for k, v in s.items() if k != "visual.ln_post.bias"}, r"Missing.*visual\.ln_post\.bias"),
            (lambda s: s | {"ln_final.bias": torch.ones(3)}, r"size mismatch for ln_final\.bias"),
            (lambda s: s | {"text_projection": torch.ones(3)}, "exactly the tensors"),
            (lambda s: s | {"ln_final.weight": 5}, r"ln_final\.weight is 5, not a tensor"),
            (lambda s: dict.fromkeys(NEEDED, 5), "is 5, not a tensor"),
            (lambda s: s | {"visual.proj": Calls(open, "owned", "w")}, r"visual\.proj is a .*open, not a tensor"),
            (lambda s: {"model": s, "ema": s}, "holds 2 models, under 'model/' and 'ema/'; save the state dict of one"),
            (lambda s: small_clip(), r"but a pickled clip\.model\.CLIP; save the state_dict\(\)"),
            (lambda s: [s], "but a list; save the state_dict"),
            (lambda s: {"weight": torch.ones(3)}, r"it lacks logit_scale.* \(its keys: weight\)"),
            (lambda s: {}, r"it lacks logit_scale"),
            (lambda s: s | {"logit_scale": torch.tensor(float("nan"))}, "logit_scale are not finite"),
            (lambda s: s | {"logit_scale": torch.tensor(float("inf"))}, "logit_scale are not finite"),
            (lambda s: s | {"logit_scale": torch.tensor(100.0)}, "makes no finite scale"),
            (lambda s: s | {"logit_scale": torch.tensor(-1000.0)}, "makes no finite scale"),
            (
                lambda s: s | {"visual.conv1.weight": s["visual.conv1.weight"] * float("nan")},
                r"of visual\.conv1\.weight are not finite",
            ),
            (lambda s: s | {"text_projection": s["text_projection"] + 1e6}, r"text_projection are not finite.*half"),
            (lambda s: s | {"a\x1b[31m": torch.ones(1), "logit_scale": "x"}, "logit_scale is 'x', not a tensor"),
        ],
    )
    def test_what_is_in_the_way_is_named(self, wrap, sentence, state, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        torch.save(wrap(state), "w.pt")
        with pytest.raises(WeightsError, match=sentence) as caught:
            zsc.load_model(tmp_path / "w.pt", device="cpu")
        assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and not (tmp_path / "owned").exists()

    @pytest.mark.parametrize("library", ["clip", "open_clip"])
    def test_by_both_libraries(self, library, state, tmp_path):
        torch.save({k: v for k, v in state.items() if k != "ln_final.weight"}, tmp_path / "w.pt")
        with pytest.raises(WeightsError, match=r"exactly the tensors of a CLIP in OpenAI's format: .*ln_final\.weight"):
            zsc.load_model(tmp_path / "w.pt", device="cpu", library=library)


class TestHostileFiles:
    def rewritten(self, path, state, change, compress=zipfile.ZIP_STORED):
        """A file of torch.save with one entry changed."""
        torch.save(state, path.with_suffix(".whole"))
        with zipfile.ZipFile(path.with_suffix(".whole")) as old, zipfile.ZipFile(path, "w", compress) as new:
            for name in old.namelist():
                new.writestr(name, change(name, old.read(name)))
        return path

    def refuse(self, path, reason="not a checkpoint that can be read"):
        with pytest.raises(WeightsError, match=re.escape(path.name) + f": {reason}"):
            zsc.load_model(path, device="cpu")

    def test_each_is_told_in_one_sentence(self, state, tmp_path):
        def shorter(name, data):
            return data[:-8] if name.endswith("data/3") else data

        def compressed(name, data):
            return data

        self.refuse(self.rewritten(tmp_path / "short.pt", state, shorter))
        self.refuse(self.rewritten(tmp_path / "deflated.pt", state, compressed, zipfile.ZIP_DEFLATED))
        for name, code in {
            "memo": b"\x80\x02}r\xff\xff\xff\x7f.",  # asks the pickle module in C for 32 GB
            "list": b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
            "cut": b"\x80\x02}(X\xff\xff\xff\x7f",
            "call": pickle.dumps(Calls(print, "owned"), protocol=2),
            "storage": b"\x80\x02(X\x07\x00\x00\x00storageKaK0KcK\x01tQ.",
        }.items():
            path = tmp_path / f"{name}.pt"
            self.rewritten(path, state, lambda n, data, code=code: code if n.endswith("data.pkl") else data)
            self.refuse(path, "(not a checkpoint|no CLIP)")

    def test_a_changed_byte_is_seen(self, state, tmp_path):
        torch.save(state, tmp_path / "a.pt")
        content = bytearray((tmp_path / "a.pt").read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / "a.pt").write_bytes(content)
        self.refuse(tmp_path / "a.pt")

    def test_a_tensor_of_more_numbers_than_are_there(self, state, tmp_path):
        torch.save(state | {"text_projection": torch.ones(1).expand(10**6, 10**6)}, tmp_path / "wide.pt")
        self.refuse(tmp_path / "wide.pt")

    def test_an_old_file_that_holds_more_is_not_read(self, state, tmp_path):
        more = {"model": state, "args": argparse.Namespace(lr=1)}
        torch.save(more, tmp_path / "o.pt", _use_new_zipfile_serialization=False)
        self.refuse(tmp_path / "o.pt", r"not a checkpoint that can be read .*holds more than tensors")

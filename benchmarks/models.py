"""Measure models beyond OpenAI's format: the first pass against their own library, and what lower precisions cost.

Called by `python -m benchmarks --models`. Weights are random, full size; MobileCLIP2 and SigLIP through open_clip,
ViT-B/32 through open_clip and transformers. A random tower takes pictures for more alike than a trained one does, so
that the plain cosine says little: the centred one has the mean embedding subtracted.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import transformers
from PIL import Image

import zsc
from benchmarks.checkpoints import CACHE, random_checkpoint, spread_batch_norm
from benchmarks.loops import BATCH, _transformers_folder
from zsc.models.openvino import NEEDS, compared, cpu_flags

ARCHITECTURES = ("ViT-B-32", "ViT-B-16-SigLIP", "MobileCLIP2-S0")
WAYS = {"zsc": {}, "zsc, openvino": {"engine": "openvino"}, "zsc, bfloat16": {"precision": "bfloat16"},
        "zsc, int8": {"precision": "int8"}}  # fmt: skip


def measure_models(paths: list[Path], rounds: int, photographs: Path | None) -> dict[str, Any]:
    """Measure every model, print its rows, and return them by name."""
    flags = sorted(cpu_flags() & {flag for flags in NEEDS.values() for flag in flags})
    print(f"\nthe processor has {', '.join(flags) or 'neither int8 nor bfloat16'}")
    found: dict[str, Any] = {"flags": flags}
    folders = [f"open_clip:local-dir:{random_folder(arch)}" for arch in ARCHITECTURES]
    for name in (*folders, f"hf:{_transformers_folder(random_checkpoint('ViT-B-32'))}", "conse"):
        short = name if name == "conse" else f"{name.split(':')[0]}: {Path(name).name}"
        found[short] = one_model(name, paths, rounds, photographs)
        print(f"\n{short}: images per second, median of {rounds} interleaved rounds")
        for way, row in found[short].items():
            print(f"  {way:34} {row['images/s']:7.1f}   {row.get('loss', '')}", flush=True)
    return found


def one_model(name: str, paths: list[Path], rounds: int, photographs: Path | None) -> dict[str, Any]:
    """Run a model's own library and every engine and precision in turn, from files to embeddings."""
    drawn = zsc.load_dataset("drawn-animals", n=64, seed=1).paths
    photos = sorted(photographs.rglob("*.jpg")) if photographs else zsc.load_dataset("samples").paths
    calibrate = [*paths[:64], *zsc.load_dataset("drawn-animals", n=64, seed=2).paths]
    dataset = zsc.ImageDataset(paths, np.zeros(len(paths), int), ["a"])
    ways: dict[str, Callable[[], Any]] = {} if name == "conse" else {"its own library": own_library(name, paths)}
    rows: dict[str, Any] = {way: {} for way in ways}
    exact: list[np.ndarray] = []
    for way, options in WAYS.items():
        given = options | ({"calibrate": calibrate} if "precision" in options else {})
        try:
            model = zsc.load_model(name, device="cpu", **given)
        except ValueError as error:  # the processor cannot, or it loses too much
            rows[way] = {"images/s": float("nan"), "loss": str(error)}
            continue
        ways[way] = lambda model=model: zsc.embed_images(model, dataset, progress=False)
        embedded = [model.encode_images(pictures) for pictures in (drawn, photos)]
        exact = exact or embedded
        (a, b) = (compared(one, other)[1] for one, other in zip(exact, embedded, strict=True))
        said = f"drawn {a.mean():.4f} (lowest {a.min():.4f}), photographs {b.mean():.4f} (lowest {b.min():.4f})"
        rows[way] = {"loss": f"centred cosines to zsc: {said}" if options else ""}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if number:  # the first round is a warm-up
                seconds[way].append(time.perf_counter() - start)
    for way, taken in seconds.items():
        rows[way]["images/s"] = len(paths) / statistics.median(taken)
    return rows


def random_folder(arch: str) -> Path:
    """Write an architecture of open_clip with random weights as a folder, once; its texts go through CLIP's tokenizer.

    Tokenizers of the hub cannot be fetched everywhere; only the image encoders are compared.
    """
    folder = CACHE / f"open_clip-{arch}"
    if not (folder / "open_clip_pytorch_model.bin").exists():
        folder.mkdir(parents=True, exist_ok=True)
        config = open_clip.get_model_config(arch)
        for key in ("hf_tokenizer_name", "tokenizer_kwargs"):
            config["text_cfg"].pop(key, None)
        config["text_cfg"]["vocab_size"] = 49408
        content = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
        (folder / "open_clip_config.json").write_text(json.dumps(content), encoding="utf-8")
        torch.manual_seed(0)
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
        if any(isinstance(m, torch.nn.BatchNorm2d) for m in model.visual.modules()):
            spread_batch_norm(model)
        torch.save(model.eval().state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder


def own_library(name: str, paths: list[Path]) -> Callable[[], None]:
    """open_clip or transformers in batches of 32."""
    route, folder = name.split(":", 1)
    if route == "open_clip":
        model, preprocess = open_clip.create_model_from_pretrained(folder, weights_only=True)
    else:
        model, processor = (
            kind.from_pretrained(folder) for kind in (transformers.AutoModel, transformers.AutoImageProcessor)
        )
    model.eval()

    @torch.inference_mode()
    def run() -> None:
        for i in range(0, len(paths), BATCH):
            pictures = [Image.open(path) for path in paths[i : i + BATCH]]
            if route == "open_clip":
                model.encode_image(torch.stack([preprocess(picture) for picture in pictures]), normalize=True)
            else:
                model.get_image_features(**processor(images=pictures, return_tensors="pt"))

    return run

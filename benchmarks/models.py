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


def measure_models(paths: list[Path], rounds: int, photographs: Path | None) -> dict[str, Any]:
    """Measure every model, print its rows, and return them by name."""
    flags = sorted(cpu_flags() & {flag for flags in NEEDS.values() for flag in flags})
    print(f"\nthe processor has {', '.join(flags) or 'neither int8 nor bfloat16'}")
    found: dict[str, Any] = {"flags": flags}
    for name, own in [*((f"open_clip:local-dir:{random_folder(a)}", open_clip_itself) for a in ARCHITECTURES),
                      (f"hf:{_transformers_folder(random_checkpoint('ViT-B-32'))}", transformers_itself),
                      ("conse", None)]:  # fmt: skip
        short = name if name == "conse" else f"{name.split(':')[0]}: {Path(name).name}"
        found[short] = one_model(name, own, paths, rounds, photographs)
        print(f"\n{short}: images per second, median of {rounds} interleaved rounds")
        for way, row in found[short].items():
            print(f"  {way:34} {row['images/s']:7.1f}   {row.get('loss', '')}", flush=True)
    return found


def one_model(name: str, own: Any, paths: list[Path], rounds: int, photographs: Path | None) -> dict[str, Any]:
    """Run a model's own library and every engine and precision in turn, from files to embeddings."""
    drawn = zsc.load_dataset("drawn-animals", n=64, seed=1).paths
    photos = sorted(photographs.rglob("*.jpg")) if photographs else zsc.load_dataset("samples").paths
    calibrate = [*paths[:64], *zsc.load_dataset("drawn-animals", n=64, seed=2).paths]
    dataset = zsc.ImageDataset(paths, np.zeros(len(paths), int), ["a"])
    ways: dict[str, Callable[[], Any]] = {} if own is None else {"its own library": own(name, paths)}
    rows: dict[str, Any] = {}
    exact: list[np.ndarray] = []
    for way, options in (("zsc", {}), ("zsc, openvino", {"engine": "openvino"}),
                         ("zsc, bfloat16", {"precision": "bfloat16", "calibrate": calibrate}),
                         ("zsc, int8", {"precision": "int8", "calibrate": calibrate})):  # fmt: skip
        try:
            model = zsc.load_model(name, device="cpu", **options)
        except ValueError as error:  # the processor cannot, or it loses too much
            rows[way] = {"images/s": float("nan"), "loss": str(error)}
            continue
        ways[way] = lambda model=model: zsc.embed_images(model, dataset, progress=False)
        embedded = [model.encode_images(pictures) for pictures in (drawn, photos)]
        exact = exact or embedded
        centred = [compared(a, b)[1] for a, b in zip(exact, embedded, strict=True)]
        said = [f"{kind} {c.mean():.4f} (lowest {c.min():.4f})" for kind, c in zip(("drawn", "photographs"), centred,
                                                                                   strict=True)]  # fmt: skip
        rows[way] = {"images/s": 0.0, "loss": f"centred cosines to zsc: {', '.join(said)}" if options else ""}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if number:  # the first round is a warm-up
                seconds[way].append(time.perf_counter() - start)
    for way, taken in seconds.items():
        rows.setdefault(way, {})["images/s"] = len(paths) / statistics.median(taken)
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


def open_clip_itself(name: str, paths: list[Path]) -> Callable[[], None]:
    """open_clip in batches of 32."""
    model, preprocess = open_clip.create_model_from_pretrained(name.removeprefix("open_clip:"), weights_only=True)
    model.eval()

    @torch.inference_mode()
    def run() -> None:
        for i in range(0, len(paths), BATCH):
            model.encode_image(torch.stack([preprocess(Image.open(p)) for p in paths[i : i + BATCH]]), normalize=True)

    return run


def transformers_itself(name: str, paths: list[Path]) -> Callable[[], None]:
    """Transformers in batches of 32."""
    folder = name.removeprefix("hf:")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)

    @torch.inference_mode()
    def run() -> None:
        for i in range(0, len(paths), BATCH):
            pixels = processor(images=[Image.open(p) for p in paths[i : i + BATCH]], return_tensors="pt")
            model.get_image_features(**pixels)

    return run

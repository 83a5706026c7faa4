"""The loops that are compared: the tutorials', other libraries', and zsc's; each embeds pictures and classifies them.

A loop is a function that takes paths and returns nothing, made for one checkpoint; the model is loaded before timing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clip
import numpy as np
import open_clip
import torch
import transformers
from PIL import Image

import zsc
from benchmarks.checkpoints import hugging_face_folder
from zsc.embeddings import prepare

Loop = Callable[[list[Path]], None]
PROMPTS = ["face without glasses", "face with glasses"]
BATCH = 32


def glasses_tutorial(checkpoint: Path) -> Loop:
    """One picture at a time, encoding the text again each time, as the Glasses tutorial does."""
    model = clip.model.build_model(torch.load(checkpoint, weights_only=True)).float()
    preprocess, text = clip.clip._transform(224), clip.tokenize(PROMPTS)

    @torch.no_grad()
    def run(paths: list[Path]) -> None:
        for path in paths:
            logits, _ = model(preprocess(Image.open(path)).unsqueeze(0), text)
            logits.softmax(dim=-1).numpy()

    return run


def openai_batches(checkpoint: Path) -> Loop:
    """OpenAI's clip in batches, encoding the text once."""
    model = clip.model.build_model(torch.load(checkpoint, weights_only=True)).float()
    preprocess = clip.clip._transform(224)
    text = model.encode_text(clip.tokenize(PROMPTS)).detach()

    @torch.inference_mode()
    def run(paths: list[Path]) -> None:
        for i in range(0, len(paths), BATCH):
            batch = torch.stack([preprocess(Image.open(p)) for p in paths[i : i + BATCH]])
            (model.encode_image(batch) @ text.T).softmax(dim=-1)

    return run


def open_clip_batches(checkpoint: Path) -> Loop:
    """open_clip in batches, encoding the text once."""
    model = open_clip.load_openai_model(str(checkpoint), precision="fp32", device="cpu")
    preprocess = open_clip.image_transform(224, is_train=False)
    text = model.encode_text(open_clip.tokenize(PROMPTS)).detach()

    @torch.inference_mode()
    def run(paths: list[Path]) -> None:
        for i in range(0, len(paths), BATCH):
            batch = torch.stack([preprocess(Image.open(p)) for p in paths[i : i + BATCH]])
            (model.encode_image(batch) @ text.T).softmax(dim=-1)

    return run


def imagenette_tutorial(checkpoint: Path) -> Loop:
    """Transformers in batches of 32, encoding the text once, as the Imagenette tutorial does."""
    folder = _transformers_folder(checkpoint)
    model = transformers.CLIPModel.from_pretrained(folder).eval()
    processor = transformers.CLIPProcessor.from_pretrained(folder)
    with torch.no_grad():
        tokens = processor(text=PROMPTS, return_tensors="pt", padding=True)
        text = model.get_text_features(**tokens).pooler_output.numpy()

    @torch.no_grad()
    def run(paths: list[Path]) -> None:
        for i in range(0, len(paths), BATCH):
            batch = processor(images=[Image.open(p) for p in paths[i : i + BATCH]], return_tensors="pt")
            np.dot(model.get_image_features(**batch).pooler_output.numpy(), text.T)

    return run


def transformers_pipeline(checkpoint: Path) -> Loop:
    """Transformers' zero-shot pipeline, in batches."""
    folder = str(_transformers_folder(checkpoint))
    pipeline = transformers.pipeline("zero-shot-image-classification", model=folder, device="cpu")

    def run(paths: list[Path]) -> None:
        pipeline([str(p) for p in paths], candidate_labels=PROMPTS, batch_size=BATCH)

    return run


def zsc_first_pass(engine: str) -> Callable[[Path], Loop]:
    """zsc from paths to probabilities, without a store."""

    def make(checkpoint: Path) -> Loop:
        classifier = zsc.ZeroShotClassifier(PROMPTS, zsc.load_model(checkpoint, device="cpu", engine=engine))

        def run(paths: list[Path]) -> None:
            classifier.predict(paths, batch_size=BATCH)

        return run

    return make


def encoder_alone(engine: str) -> Callable[[Path], Loop]:
    """The image encoder of zsc on pixels already in memory: the upper limit."""

    def make(checkpoint: Path) -> Loop:
        model = zsc.load_model(checkpoint, device="cpu", engine=engine)
        pixels = torch.randn(BATCH, 3, 224, 224)

        @torch.inference_mode()
        def run(paths: list[Path]) -> None:
            for start in range(0, len(paths), BATCH):
                model.embed_pixels(pixels[: len(paths) - start])

        return run

    return make


def opening_alone(checkpoint: Path) -> Loop:
    """What zsc does before its encoder, with as many threads: read, digest, open, resize, normalise."""
    transform = zsc.load_model(checkpoint, device="cpu").transform

    def run(paths: list[Path]) -> None:
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
            pictures = [pool.submit(prepare, number, path, transform, ()) for number, path in enumerate(paths)]
        errors = [picture.result().error for picture in pictures if picture.result().error]
        if errors:
            raise errors[0]

    return run


def _transformers_folder(checkpoint: Path) -> Path:
    folder = checkpoint.parent / f"hf-{checkpoint.stem}"
    if not (folder / "model.safetensors").exists():
        folder.mkdir(exist_ok=True)
        hugging_face_folder(checkpoint, folder)
    return folder


LOOPS: dict[str, tuple[Callable[[Path], Loop], tuple[str, ...]]] = {  # name -> maker, checkpoints
    "Glasses tutorial's loop (clip, one by one)": (glasses_tutorial, ("RN50", "ViT-B-32")),
    "OpenAI clip, batches of 32": (openai_batches, ("RN50", "ViT-B-32")),
    "open_clip, batches of 32": (open_clip_batches, ("RN50", "ViT-B-32")),
    "Imagenette tutorial's loop (transformers, 32)": (imagenette_tutorial, ("ViT-B-32",)),
    "transformers' zero-shot pipeline, 32": (transformers_pipeline, ("ViT-B-32",)),
    "zsc, torch": (zsc_first_pass("torch"), ("RN50", "ViT-B-32")),
    "zsc, openvino": (zsc_first_pass("openvino"), ("RN50", "ViT-B-32")),
    "opening alone, every core": (opening_alone, ("RN50", "ViT-B-32")),
    "encoder alone, torch": (encoder_alone("torch"), ("RN50", "ViT-B-32")),
    "encoder alone, openvino": (encoder_alone("openvino"), ("RN50", "ViT-B-32")),
}

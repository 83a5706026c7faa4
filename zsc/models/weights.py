"""OpenAI's published weights: where they lie on this machine, and a check that they are OpenAI's. Needs no torch.

They are kept where OpenAI's own `clip` keeps them (`~/.cache/clip`), so that one download serves both. `ZSC_WEIGHTS`
names another folder, `ZSC_CLIP_URL` another address with the same paths.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from zsc.files import DownloadError, digest_of, expanded, fetch, printable, shown

BASE_URL = "https://openaipublic.azureedge.net/clip/models"


class WeightsError(OSError):
    """Weights that are missing, cut short or not what they should be; the message says what to do."""


@dataclass(frozen=True)
class PublishedWeights:
    """One of OpenAI's nine checkpoints: file, checksum (also the folder on the server), D, pixels per side.

    `imagenet` is the zero-shot accuracy on ImageNet with the 80 templates, measured by LAION's open_clip: neither by
    this project nor as in OpenAI's paper.
    """

    file: str
    sha256: str
    embed_dim: int
    image_size: int
    imagenet: float


# openai/CLIP, clip/clip.py (checksums); mlfoundations/open_clip, docs/openclip_results.csv, rows "openai" (accuracies)
_PUBLISHED = {
    "RN50": ("afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 1024, 224, 0.5982),
    "RN101": ("8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 512, 224, 0.6228),
    "RN50x4": ("7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 640, 288, 0.6627),
    "RN50x16": ("52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", 768, 384, 0.7072),
    "RN50x64": ("be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", 1024, 448, 0.7391),
    "ViT-B/32": ("40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 512, 224, 0.6332),
    "ViT-B/16": ("5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 512, 224, 0.6834),
    "ViT-L/14": ("b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 768, 224, 0.7554),
    "ViT-L/14@336px": ("3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02", 768, 336, 0.7656),
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
    published = OPENAI_WEIGHTS[name]
    base = os.environ.get("ZSC_CLIP_URL") or BASE_URL
    return f"{base.rstrip('/')}/{published.sha256}/{published.file}"


def get_weights(name: str) -> Path:
    """Return the checked weights file of one of OpenAI's checkpoints; download it where it is missing.

    A WeightsError says what to do where the file is not OpenAI's, or is missing and cannot be downloaded.
    """
    path, url, published = weights_path(name), weights_url(name), OPENAI_WEIGHTS[name]
    if path.parts[0].startswith("~"):
        raise WeightsError(
            f"the weights of {name} are not on this machine, and it has no home directory to keep them in "
            f"({printable(path.parent)}); set ZSC_WEIGHTS to a folder that you can write to."
        )
    if not weights_are_here(name):
        try:
            return fetch(url, path, checksum=f"sha256:{published.sha256}")
        except DownloadError as error:
            raise WeightsError(
                f"the weights of {name} are not on this machine: {error} Two ways on: fetch {shown(url)} elsewhere and "
                f"put it at {printable(path)} (ZSC_WEIGHTS names another folder); or use load_model('conse'), which "
                "needs no download."
            ) from error
    found = digest_of(path)
    if found != published.sha256:
        raise WeightsError(
            f"{printable(path)}: {path.stat().st_size:,} bytes with sha256 {found}, but OpenAI's file has "
            f"{published.sha256}; it is cut short or another file. Remove it from {printable(path.parent)} and it is "
            f"fetched again from {shown(url)}."
        )
    return path

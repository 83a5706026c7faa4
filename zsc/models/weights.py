"""Where OpenAI's weights lie, and that they are what OpenAI published. Needs no torch.

They are kept where OpenAI's own `clip` keeps them (`~/.cache/clip`), so that one download serves both. `ZSC_WEIGHTS`
names another folder, `ZSC_CLIP_URL` another address with the same paths.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from zsc.files import DownloadError, digest_of, expanded, fetch, printable, shown

BASE_URL = "https://openaipublic.azureedge.net/clip/models"


class WeightsError(OSError):
    """Weights that are missing, cut short or not what they should be; the message says how to go on."""


@dataclass(frozen=True)
class PublishedWeights:
    """One of OpenAI's nine checkpoints.

    Attributes
    ----------
    file, sha256
        File name and checksum; the checksum is also the folder on the server.
    embed_dim, image_size
        D; pixels a side.
    imagenet
        Zero-shot accuracy on ImageNet with the 80 templates, as measured by LAION's open_clip; not by this project, and
        not the numbers of OpenAI's paper.
    """

    file: str
    sha256: str
    embed_dim: int
    image_size: int
    imagenet: float


# openai/CLIP, clip/clip.py (checksums); mlfoundations/open_clip, docs/openclip_results.csv, rows "openai" (accuracies)
OPENAI_WEIGHTS = {
    "RN50": PublishedWeights(
        "RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 1024, 224, 0.5982
    ),
    "RN101": PublishedWeights(
        "RN101.pt", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 512, 224, 0.6228
    ),
    "RN50x4": PublishedWeights(
        "RN50x4.pt", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 640, 288, 0.6627
    ),
    "RN50x16": PublishedWeights(
        "RN50x16.pt", "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", 768, 384, 0.7072
    ),
    "RN50x64": PublishedWeights(
        "RN50x64.pt", "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", 1024, 448, 0.7391
    ),
    "ViT-B/32": PublishedWeights(
        "ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 512, 224, 0.6332
    ),
    "ViT-B/16": PublishedWeights(
        "ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 512, 224, 0.6834
    ),
    "ViT-L/14": PublishedWeights(
        "ViT-L-14.pt", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 768, 224, 0.7554
    ),
    "ViT-L/14@336px": PublishedWeights(
        "ViT-L-14-336px.pt", "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02", 768, 336, 0.7656
    ),
}


def weights_folder() -> Path:
    """Give the folder of OpenAI's weights: `ZSC_WEIGHTS`, or the one that OpenAI's `clip` uses."""
    return expanded(os.environ.get("ZSC_WEIGHTS") or "~/.cache/clip")


def weights_path(name: str) -> Path:
    """Give the file of one of OpenAI's checkpoints, whether it is there or not."""
    return weights_folder() / OPENAI_WEIGHTS[name].file


def weights_are_here(name: str) -> bool:
    """Tell whether a checkpoint's file is on this machine and may be looked at, whatever it holds."""
    return os.path.isfile(weights_path(name))  # noqa: PTH113  (pathlib's raises where a folder may not be entered)


def weights_url(name: str) -> str:
    """Give the address of one of OpenAI's checkpoints; `ZSC_CLIP_URL` changes the server."""
    published = OPENAI_WEIGHTS[name]
    base = os.environ.get("ZSC_CLIP_URL") or BASE_URL
    return f"{base.rstrip('/')}/{published.sha256}/{published.file}"


def get_weights(name: str) -> Path:
    """Give the checked weights file of one of OpenAI's checkpoints, fetching it where it is missing.

    Raises
    ------
    WeightsError
        If the file is there but not OpenAI's, or missing and not to be fetched.
    """
    path, url, published = weights_path(name), weights_url(name), OPENAI_WEIGHTS[name]
    if path.parts[0].startswith("~"):
        raise WeightsError(
            f"the weights of {name} are not on this machine, and it has no home directory to keep them in "
            f"({printable(path.parent)}); set ZSC_WEIGHTS to a folder that you may write to."
        )
    if not weights_are_here(name):
        try:
            return fetch(url, path, checksum=f"sha256:{published.sha256}")
        except DownloadError as error:
            raise WeightsError(
                f"the weights of {name} are not on this machine: {error} Two ways on: fetch {shown(url)} elsewhere and "
                f"put it at {printable(path)} (ZSC_WEIGHTS names another folder); or use a model that needs no "
                "download, such as load_model('conse')."
            ) from error
    found = digest_of(path)
    if found != published.sha256:
        raise WeightsError(
            f"{printable(path)}: {path.stat().st_size:,} bytes with sha256 {found}, but OpenAI's file has "
            f"{published.sha256}; it is cut short or another file. Remove it from {printable(path.parent)} and it is "
            f"fetched again from {shown(url)}."
        )
    return path

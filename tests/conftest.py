"""What the tests share: no network, OpenAI's clip made importable, full-size random checkpoints, a known geometry."""

import os
import socket
import sys
import types
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("ZSC_WEIGHTS", None)

import numpy as np
import packaging.version
import pytest
import torch
from PIL import Image

from zsc.models.base import Encoder, EncoderInfo
from zsc.models.transforms import ImageTransform

# clip-anytorch asks for pkg_resources.packaging, which setuptools no longer offers; OpenAI's own clip does not
_stub = types.ModuleType("pkg_resources")
_stub.packaging = packaging
sys.modules.setdefault("pkg_resources", _stub)

CACHE = Path(__file__).parent / ".cache"
_ARCHITECTURES = {  # OpenAI's own sizes, as arguments of clip.model.CLIP
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12),
    "ViT-B-32": (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12),
}
COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (0.7, 0.7, 0.1), "grey": (1, 1, 1)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def only_loopback(self, address):
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"the tests reach no network: {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)


def random_checkpoint(name: str) -> Path:
    """Build a full-size checkpoint with random weights in OpenAI's format (float16 state dict), once."""
    path = CACHE / f"{name}.pt"
    if not path.exists():
        from clip.model import CLIP, convert_weights

        torch.manual_seed(0)
        model = CLIP(*_ARCHITECTURES[name])
        spread_batch_norm(model)
        convert_weights(model)
        CACHE.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        torch.save(model.state_dict(), part)
        part.replace(path)
    return path


def spread_batch_norm(model):
    """Fit the batch norms to noise, as training would; else all pictures get nearly the same embedding."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.0)  # OpenAI starts some at zero, which hides whole blocks
        norm.momentum = None  # average over all batches
    if norms:
        with torch.no_grad():
            model.train().visual(torch.randn(8, 3, 224, 224) + torch.randn(8, 3, 1, 1))
        model.eval()


@pytest.fixture(scope="session")
def rn50_path():
    return random_checkpoint("RN50")


@pytest.fixture(scope="session")
def vit_path():
    return random_checkpoint("ViT-B-32")


@pytest.fixture(scope="session")
def conse():
    import zsc

    return zsc.load_model("conse", device="cpu")


@pytest.fixture(scope="session")
def pictures():
    """Ten RGB pictures: photographs, and odd sizes with structure up to the edges."""
    import zsc

    photographs = [zsc.open_image(p) for p in zsc.load_dataset("samples").paths[1:6]]
    rng = np.random.default_rng(0)
    sizes = [(301, 223), (224, 224), (97, 640), (640, 97), (33, 35)]
    noise = [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]
    return photographs + noise


class ColourEncoder(Encoder):
    """A model of known geometry: a picture's embedding is its mean colour, a text's the colour it names first."""

    def __init__(self, logit_scale=14.3, fingerprint_salt=""):
        self.info = EncoderInfo("colours", "tests", 3, 8, 16, logit_scale, f"none{fingerprint_salt}")
        self.transform = ImageTransform(8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self.tokenizer = WordTokenizer()
        self.image_batches, self.texts_seen = [], []

    def embed_pixels(self, pixels):
        self.image_batches.append(len(pixels))
        return pixels.mean(dim=(2, 3))

    def embed_tokens(self, tokens):
        self.texts_seen += tokens
        return torch.tensor([COLOURS[next(w for w in text.split() if w in COLOURS)] for text in tokens]).float()


class WordTokenizer:
    """A word is a token; sixteen at most."""

    limit = 16

    def count(self, text):
        return len(text.split()) + 2

    def kept(self, text):
        return " ".join(text.split()[: self.limit - 2])

    def __call__(self, texts):
        return list(texts)


@pytest.fixture
def colours():
    return ColourEncoder()


def colour_picture(rgb, size=(12, 10)):
    return Image.new("RGB", size, tuple(int(round(255 * c)) for c in rgb))


@pytest.fixture
def colour_dataset():
    """Twelve pictures of three classes; the last one is orange, labelled blue: always taken for red."""
    import zsc

    rng = np.random.default_rng(1)
    labels = [0, 1, 2] * 3 + [0, 1, 2]
    colours = [np.clip(np.array(COLOURS[("red", "green", "blue")[k]]) + rng.uniform(0, 0.3, 3), 0, 1) for k in labels]
    colours[-1] = (0.8, 0.6, 0.1)
    paths = [colour_picture(c) for c in colours]
    return zsc.ImageDataset(paths, np.array(labels), ["red", "green", "blue"], name="colours", split_name="test")

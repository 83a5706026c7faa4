"""What the tests share: no network, OpenAI's clip made importable, full-size random checkpoints, a known geometry."""

import os
import socket
import zlib

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("ZSC_WEIGHTS", None)
if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a core; threads that wait for each other would spin
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.checkpoints import random_checkpoint, small_hugging_face
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.transforms import ImageTransform

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


@pytest.fixture(autouse=True)
def wide_lines(monkeypatch):
    """Give what commands print lines that need not be broken; tests of widths set their own."""
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture(scope="session")
def rn50_path():
    return random_checkpoint("RN50")


@pytest.fixture(scope="session")
def vit_path():
    return random_checkpoint("ViT-B-32")


@pytest.fixture(scope="session")
def small_hf_folder(tmp_path_factory):
    return small_hugging_face(tmp_path_factory.mktemp("small-hf"))


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

    def ids(self, texts):
        return [[0, *(zlib.crc32(word.encode()) for word in text.split()), 1] for text in texts]

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

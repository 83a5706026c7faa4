"""AFHQ (Animal Faces-HQ), versions 1 and 2: cat, dog and wild faces, CC BY-NC 4.0.

Layouts: `afhq/{train,val}/{cat,dog,wild}/*.jpg` and `{train,test}/{cat,dog,wild}/*.png` (clovaai/stargan-v2). As it
unpacks, version 2 may lie in `afhq`; its split "test" tells it from version 1.
"""

from typing import Any

from zsc.datasets.download import Published, Source, on_kaggle

AUTHORS = ("ZSC_AFHQ_URL", "https://www.dropbox.com/s")
CLASS_NAMES = ("cat", "dog", "wild")
_SHARED: dict[str, Any] = {
    "dataset": "afhq",
    "page": "https://github.com/clovaai/stargan-v2",
    "class_names": {name: name for name in CLASS_NAMES},
    "notes": {
        "source": "Choi et al., StarGAN v2 (CVPR 2020), clovaai/stargan-v2",
        "licence": "CC BY-NC 4.0",
        "labels": "'wild' holds fox, lion, tiger, wolf, leopard, cheetah and jaguar",
    },
}


def _counts(*numbers: int) -> dict[str, int]:
    return dict(zip(CLASS_NAMES, numbers, strict=True))


FORMS = {
    "afhq": Published(
        folder="afhq",
        marker="val",
        sources=(Source("authors", AUTHORS, "t9l9o3vsx2jai3z/afhq.zip?dl=1"), *on_kaggle("andrewmvd/animal-faces")),
        counts={"val": _counts(500, 500, 500), "train": _counts(5153, 4739, 4738)},
        options={"version": 1},
        elsewhere=("afhq/afhq", "animal-faces/afhq"),
        **_SHARED,
    ),
    "afhq_v2": Published(
        folder="afhq_v2",
        marker="test",
        sources=(Source("authors", AUTHORS, "vkzjokiwof5h8w6/afhq_v2.zip?dl=1"),),
        counts={"test": _counts(493, 491, 483), "train": _counts(5065, 4678, 4593)},
        name="afhq_v2",
        options={"version": 2},
        elsewhere=("afhq_v2/afhq", "afhq_v2/afhq_v2", "afhq"),
        **_SHARED,
    ),
}

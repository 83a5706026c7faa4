"""Imagenette v2: ten easily classified ImageNet classes in three sizes (fast.ai; labels Apache-2.0).

Layout: `imagenette2[-320|-160]/{train,val}/<wnid>/*.JPEG`. Class names are the published ones, one per class.
"""

from zsc.datasets.download import Published, Source

FAST_AI = ("ZSC_IMAGENETTE_URL", "https://s3.amazonaws.com/fast-ai-imageclas")
CLASS_NAMES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}
NOTES = {
    "source": "fast.ai, github.com/fastai/imagenette",
    "licence": "labels Apache-2.0; the pictures are ImageNet's",
    "labels": "a few pictures show two of the ten things, or none of them clearly",
}
_VAL = (387, 395, 357, 386, 409, 394, 389, 419, 399, 390)
_TRAIN = (963, 955, 993, 858, 941, 956, 961, 931, 951, 960)
_COUNTS = {split: dict(zip(CLASS_NAMES.values(), n, strict=True)) for split, n in (("val", _VAL), ("train", _TRAIN))}


def _form(size: str, folder: str, md5: str) -> Published:
    return Published(
        dataset="imagenette",
        folder=folder,
        marker="val",
        page="https://github.com/fastai/imagenette",
        sources=(Source("fast.ai", FAST_AI, f"{folder}.tgz"),),
        counts=_COUNTS,
        class_names=CLASS_NAMES,
        notes=NOTES | {"size": size},
        options={"size": size},
        elsewhere=(f"imagenette/{folder}",),
        checksum=f"md5:{md5}",
    )


FORMS = {
    "imagenette-320px": _form("320px", "imagenette2-320", "3df6f0d01a2c9592104656642f5e78a3"),
    "imagenette-160px": _form("160px", "imagenette2-160", "e793b78cc4c9e9a4ccc0c1155377a412"),
    "imagenette-full": _form("full", "imagenette2", "fe2fc210e6bb7c5664d602c3cd71e612"),
}

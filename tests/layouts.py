"""Small data sets in the published layouts, as folders and as archives."""

import os
import tarfile
import zipfile
import zlib

import numpy as np
import pandas as pd
from PIL import Image

from zsc.datasets import PUBLISHED

WNIDS = list(PUBLISHED["imagenette-full"].class_names)
ANIMALS = ["cat", "dog", "wild"]
FORMS = {  # form -> the options of load_dataset
    "glasses": {"name": "glasses"},
    "afhq": {"name": "afhq", "version": 1},
    "afhq_v2": {"name": "afhq", "version": 2},
    "imagenette-320px": {"name": "imagenette", "size": "320px"},
    "imagenette-160px": {"name": "imagenette", "size": "160px"},
    "imagenette-full": {"name": "imagenette", "size": "full"},
}


def picture(path, seed=None):
    """Write a small picture whose content no other path below the same folder has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed if seed is not None else zlib.crc32(os.fsencode("/".join(path.parts[-3:]))))
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path, format=kind)


def make_glasses(folder, n=12, doubled=True):
    """Lay out n labelled and three unlabelled faces as Kaggle's archive does, with latent columns, rows shuffled."""
    faces = folder / "faces-spring-2020" / ("faces-spring-2020" if doubled else "")
    for i in range(1, n + 4):
        picture(faces / f"face-{i}.png", seed=i)
    rng = np.random.default_rng(0)
    latents = pd.DataFrame(rng.random((n + 3, 512)).round(4), columns=[f"v{i}" for i in range(1, 513)])
    frame = pd.concat([pd.Series(range(1, n + 4), name="id"), latents], axis=1)
    train = frame.head(n).assign(glasses=[i % 2 for i in range(1, n + 1)]).sample(frac=1, random_state=0)
    train.to_csv(folder / "train.csv", index=False)
    frame.tail(3).to_csv(folder / "test.csv", index=False)


def make_classes(folder, names, suffix, prefix="p"):
    for name in names:
        for i in (3, 1, 2):
            picture(folder / name / f"{prefix}_{name.lower()}_{i:06}{suffix}")


def make(form, root, splits=None):
    """Lay out a data set under a root as `load_dataset` expects it; give its own folder."""
    if form == "glasses":
        make_glasses(root / "glasses", n=27)
        return root / "glasses"
    if form.startswith("afhq"):
        default, suffix = (("train", "val"), ".jpg") if form == "afhq" else (("train", "test"), ".png")
        for split in splits or default:
            make_classes(root / form / split, ANIMALS, suffix, "flickr")
        return root / form
    folder = root / PUBLISHED[form].folder
    for split in splits or ("train", "val"):
        make_classes(folder / split, WNIDS, ".JPEG", "ILSVRC2012_val")
    return folder


def pack(form, folder, archive):
    """Pack a data set as it is published: Glasses bare, AFHQ v2 bare, AFHQ v1 and Imagenette with their folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    base = folder if form in ("glasses", "afhq_v2") else folder.parent
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".tgz":
        with tarfile.open(archive, "w:gz") as opened:
            opened.add(folder, arcname=folder.name)
    else:
        with zipfile.ZipFile(archive, "w") as opened:
            for file in files:
                opened.write(file, file.relative_to(base))
    return archive

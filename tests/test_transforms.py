"""The transform is bit-equal to the libraries' own, on photographs and on odd sizes."""

import pickle

import clip.clip
import numpy as np
import open_clip
import pytest
import torchvision.transforms as tv
from PIL import Image

from zsc.images import ImageError
from zsc.models.transforms import CLIP_MEAN, CLIP_STD, ImageTransform, LibraryTransform


@pytest.mark.parametrize("size", [224, 288, 336])
def test_bit_equal_to_openai(pictures, size):
    theirs, ours = clip.clip._transform(size), ImageTransform(size)
    for picture in pictures:
        np.testing.assert_array_equal(ours(picture), theirs(picture).numpy())


@pytest.mark.parametrize("mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_bit_equal_to_open_clip(pictures, mode, interpolation):
    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    theirs = open_clip.image_transform(
        224, is_train=False, mean=mean, std=std, resize_mode=mode, interpolation=interpolation
    )
    ours = ImageTransform(224, mode=mode, interpolation=interpolation, mean=mean, std=std)
    for picture in pictures:
        np.testing.assert_array_equal(ours(picture), theirs(picture).numpy())


def test_resize_before_a_smaller_crop(pictures):
    theirs = tv.Compose([tv.Resize(292, tv.InterpolationMode.BICUBIC), tv.CenterCrop(260), tv.ToTensor()])
    ours = ImageTransform(260, resize=292, mean=(0.0,) * 3, std=(1.0,) * 3)
    for picture in pictures:
        np.testing.assert_array_equal(ours(picture), theirs(picture).numpy())


def test_every_value_of_every_channel():
    ramp = np.stack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3, axis=2)
    theirs = tv.Compose([tv.ToTensor(), tv.Normalize(CLIP_MEAN, CLIP_STD)])(Image.fromarray(ramp)).numpy()
    np.testing.assert_array_equal(ImageTransform(16)(Image.fromarray(ramp)), theirs)


def test_pickled_and_printed():
    transform = ImageTransform(224)
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert "bicubic" in repr(transform)


def test_wrong_modes_are_refused():
    with pytest.raises(ValueError, match="mode must be one of shortest, squash"):
        ImageTransform(224, mode="longest")


THIN = [(9, 9_973), (9_973, 9), (31, 30_011), (20_003, 3), (300, 100_003)]  # no multiples of each other, or of 224


@pytest.mark.parametrize("mode", ["shortest", "squash"])
def test_thin_pictures_are_bit_equal_and_thinner_ones_are_refused(mode, monkeypatch):
    """Their short side would be enlarged to the model's size, and the long one with it, without bound."""
    transform, most = ImageTransform(224, mode=mode), largest_resize(monkeypatch)
    theirs = open_clip.image_transform(224, is_train=False, mean=CLIP_MEAN, std=CLIP_STD, resize_mode=mode)
    rng = np.random.default_rng(0)
    for width, height in ((2, 600), (300, 1), (5, 1499)):
        picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        np.testing.assert_array_equal(transform(picture), theirs(picture).numpy())
    for width, height in THIN:
        with pytest.raises(ImageError, match=f"{width} x {height} pixels is too thin for a model.* up to 300 to 1"):
            transform(Image.new("RGB", (width, height)))
    assert most() < 2**24


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("size", "resize"), [(32, None), (24, 28), (21, None)])
def test_of_the_thinnest_pictures_only_the_middle_is_computed(size, resize, interpolation, monkeypatch):
    """Where the enlarged long side is a whole multiple of the short one: bit-equal to computing all of it."""
    transform, rng = ImageTransform(size, resize=resize, interpolation=interpolation), np.random.default_rng(0)
    sizes = [(1, 301), (1, 302), (1, 20_000), (1, 20_001), (2, 9_999), (3, 20_001), (4, 4_001), (7, 9_973), (20, 7_000)]
    thin = [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
            for short, long in sizes if (resize or size) * long % short == 0
            for shape in ((long, short, 3), (short, long, 3))]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("zsc.models.transforms._THINNEST", 2**60)
        whole = [transform.pixels(picture) for picture in thin]
    most = largest_resize(monkeypatch)
    for picture, expected in zip(thin, whole, strict=True):
        np.testing.assert_array_equal(transform.pixels(picture), expected)
    assert len(thin) >= 12 and most() < 2**19
    assert ImageTransform(224)(Image.new("RGB", (1, 300_000))).shape == (3, 224, 224)


def test_a_library_that_might_cost_anything_gets_no_thin_pictures():
    transform = LibraryTransform(lambda picture: np.zeros((3, 2, 2)))
    assert transform(Image.new("RGB", (5, 500))).shape == (3, 2, 2)
    with pytest.raises(ImageError, match="1 x 20000 pixels is too thin for a model"):
        transform(Image.new("RGB", (1, 20_000)))


def largest_resize(monkeypatch):
    """Watch how many pixels Pillow computes at once, the rows between its two passes included."""
    seen, resize = [], Image.Image.resize

    def watched(self, size, *args, **options):
        seen.append(size[0] * size[1])
        if size[1] > self.height or size[0] < self.width:  # the width goes first
            seen.append(size[0] * self.height)
        return resize(self, size, *args, **options)

    monkeypatch.setattr(Image.Image, "resize", watched)
    return lambda: max(seen)

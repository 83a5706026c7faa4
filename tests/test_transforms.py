"""The transform is bit-equal to the libraries' own, on photographs and on odd sizes."""

import pickle

import clip.clip
import numpy as np
import open_clip
import pytest
import torchvision.transforms as tv
from PIL import Image

from zsc.models.transforms import CLIP_MEAN, CLIP_STD, ImageTransform


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
    with pytest.raises(ValueError, match="mode must be shortest or squash"):
        ImageTransform(224, mode="longest")

"""Drawings come from the seed alone, train and test share none, captions say what is there; written as published."""

import hashlib
import re
from random import Random

import numpy as np
import pytest
from PIL import Image

import zsc
from zsc.datasets import packaged
from zsc.drawings import CHANGES, KINDS, captions, draw
from zsc.drawings.animals import KINDS as ANIMALS
from zsc.drawings.animals import WILD, random_animal
from zsc.drawings.canvas import Canvas
from zsc.drawings.faces import random_face
from zsc.toy.pretrain import draw_batch, draw_pairs, to_pixels, to_tokens

every_kind = pytest.mark.parametrize("kind", KINDS)
every_name = pytest.mark.parametrize("name", packaged.CLASS_NAMES)


def digests(kind, split, n=60, seed=0):
    return [hashlib.sha256(draw(kind, i, split=split, seed=seed).picture.tobytes()).hexdigest() for i in range(n)]


class TestDrawings:
    @every_kind
    def test_same_seed_same_bytes(self, kind):
        for number in range(20):
            one, two = draw(kind, number), draw(kind, number)
            assert one.picture.tobytes() == two.picture.tobytes()
            assert (one.caption, one.label) == (two.caption, two.label)

    @every_kind
    def test_no_picture_twice_over_splits_and_seeds(self, kind):
        found = digests(kind, "train") + digests(kind, "test") + digests(kind, "test", seed=1)
        assert len(set(found)) == len(found) == 180

    @every_kind
    def test_size_mode_and_something_on_it(self, kind):
        for number in range(20):
            picture = draw(kind, number).picture
            assert picture.size == (128, 128) and picture.mode == "RGB"
            assert np.asarray(picture).std() > 15

    def test_unknown_kind_and_split(self):
        with pytest.raises(ValueError, match="kind='cars'; kind must be one of faces, animals"):
            draw("cars", 0)
        with pytest.raises(ValueError, match="split='val'; split must be one of test, train"):
            draw("faces", 0, split="val")

    @every_kind
    def test_every_look_is_drawn(self, kind):
        looks = [random_face(Random(i)) if kind == "faces" else random_animal(Random(i)) for i in range(800)]
        if kind == "faces":
            assert {f.glasses for f in looks} == {"", "round", "square", "thin", "thick", "sunglasses"}
            assert {f.person for f in looks} == {"man", "woman"} and not any(
                f.beard for f in looks if f.person == "woman"
            )
            assert 0.45 < np.mean([f.label for f in looks]) < 0.55
        else:
            assert {a.kind for a in looks} == {k for kinds in ANIMALS.values() for k in kinds}
            assert np.bincount([a.label for a in looks]).min() > 220

    def test_glasses_change_the_picture_around_the_eyes_only(self):
        """Glasses are seen at 64 pixels, and nowhere but where the eyes are."""
        from dataclasses import replace

        from zsc.drawings.faces import draw_face

        for seed in range(12):
            face = replace(random_face(Random(seed)), glasses="round", frame="black", hat="")
            with_, without = (
                to_pixels([draw_face(f, Random(seed), Canvas()).finish()])[0].astype(int)
                for f in (face, replace(face, glasses=""))
            )
            changed = np.abs(with_ - without).max(axis=2) > 40
            assert changed.sum() > 40 and not changed[48:].any() and not changed[:8].any()

    def test_the_canvas_turns_scales_and_lights(self):
        canvas = Canvas()
        canvas.light = (0.5, 1.0, 1.0)
        canvas.place(90, 0.5, 0.5, 0.0)
        canvas.rectangle(0.8, -0.1, 1.0, 0.1, (200, 100, 50))
        pixels = np.asarray(canvas.finish())
        assert tuple(pixels[64 + 29, 96]) == (100, 100, 50)  # right turned to below, halved, shifted by a half
        assert tuple(pixels[64, 96 + 29]) == (0, 0, 0)


TOUCHED = {  # the parts that a change may move
    "glasses": ("glasses",),
    "hat": ("hat", "hair"),
    "beard": ("beard",),
    "smile": ("mouth", "eyes"),
    "collar": ("collar",),
    "open mouth": ("mouth",),
    "closed eyes": ("eyes",),
}
every_change = pytest.mark.parametrize(("kind", "attribute"), [(k, a) for k, named in CHANGES.items() for a in named])


class TestCounterfactuals:
    def test_unchanged_drawings_are_those_of_the_first_release(self):
        """200 drawings with captions and attributes, bit by bit: the notebooks and the toy model rest on them."""
        for kind, digest in (("faces", "c5acbd9cb0a5cda5"), ("animals", "fcfb426744875aca")):
            found = hashlib.sha256()
            for split, i in ((split, i) for split in ("test", "train") for i in range(50)):
                drawing = draw(kind, i, split=split, seed=i % 3)
                truth = repr((drawing.label, dict(drawing.attributes)))
                found.update(drawing.picture.tobytes() + drawing.caption.encode() + truth.encode())
            assert found.hexdigest()[:16] == digest

    @every_change
    @pytest.mark.parametrize("n", [60, pytest.param(500, marks=pytest.mark.slow)])
    def test_nothing_else_moves(self, kind, attribute, n):
        """Over 500 drawings: no pixel outside the part, neither before nor after; the attribute and no other flips."""
        for number in range(n):
            before = draw(kind, number)
            target = not before.attributes[attribute]
            after = draw(kind, number, change={attribute: target})
            differs = {a for a, shown in after.attributes.items() if shown != before.attributes[a]}
            assert differs - {"sunglasses"} == {attribute}
            moved = (np.asarray(before.picture) != np.asarray(after.picture)).any(axis=2)
            masks = [drawing.parts[part] for drawing in (before, after) for part in TOUCHED[attribute]]
            assert not (moved & ~np.any(masks, axis=0)).any(), number
            assert moved.any(), number

    @every_change
    def test_a_change_to_what_is_so_changes_nothing(self, kind, attribute):
        for number in range(20):
            one = draw(kind, number)
            same = draw(kind, number, change={attribute: one.attributes[attribute]})
            assert same.picture.tobytes() == one.picture.tobytes() and same.caption == one.caption

    def test_several_changes_and_the_label(self):
        drawing = draw("faces", 2, change={"glasses": True, "hat": True, "beard": False})
        again = draw("faces", 2, change={"beard": False, "hat": True, "glasses": True})
        assert drawing.picture.tobytes() == again.picture.tobytes() and drawing.label == 1
        assert [drawing.attributes[name] for name in ("glasses", "hat", "beard")] == [True, True, False]

    def test_others_are_refused(self):
        with pytest.raises(ValueError, match="change='mood'; change must be one of glasses, hat, beard, smile"):
            draw("faces", 0, change={"mood": True})
        with pytest.raises(TypeError, match=r"change\['hat'\]='no'; pass True to show it or False"):
            draw("faces", 0, change={"hat": "no"})

    @every_kind
    def test_parts_share_the_picture_among_them(self, kind):
        """Every pixel is some part's; a part that is not there has none; only edges are shared."""
        for number in range(60):
            drawing = draw(kind, number)
            total = np.sum(list(drawing.parts.values()), axis=0)
            assert total.min() == 1 and total.max() <= 4 and (total > 1).mean() < 0.25
            if kind == "faces":
                assert drawing.parts["glasses"].any() == drawing.attributes["glasses"]
                assert drawing.parts["hat"].any() == drawing.attributes["hat"]
            else:
                assert drawing.parts["collar"].any() <= drawing.attributes["collar"]
        assert len({tuple(draw(kind, i).parts) for i in range(20)}) == 1

    def test_a_data_set_of_counterfactuals_has_the_rows_of_the_original(self):
        one, other = (packaged.draw_dataset("drawn-animals", n=30, change=c) for c in (None, {"collar": True}))
        assert (one.labels == other.labels).all() and other.notes["changed"] == "{'collar': True}"
        assert sum(a.tobytes() != b.tobytes() for a, b in zip(one.paths, other.paths, strict=True)) > 15


class TestCaptions:
    def test_glasses_are_named_only_where_they_are(self):
        for i in range(600):
            face = random_face(Random(i))
            caption = captions.caption_face(face, Random(f"caption {i}"))
            says = re.search(r"glasses|spectacles", caption)
            denies = re.search(r"no glasses|no spectacles|without glasses|not wearing glasses", caption)
            assert not says or bool(denies) != bool(face.glasses), caption

    def test_how_often_glasses_are_named(self):
        faces = [random_face(Random(i)) for i in range(3000)]
        said = np.array(
            [
                bool(re.search("glasses|spectacles", captions.caption_face(f, Random(f"caption {i}"))))
                for i, f in enumerate(faces)
            ]
        )
        worn = np.array([f.label for f in faces]) == 1
        assert abs(said[worn].mean() - captions.SAYS_GLASSES) < 0.04
        assert abs(said[~worn].mean() - captions.SAYS_NO_GLASSES) < 0.04

    def test_what_animals_are_called(self):
        """Wild ones by their kind, big cats also as cats, nobody as "wild animal"; "animal" is mostly for pets."""
        written = {"wild": [], "pet": []}
        for i in range(4000):
            animal = random_animal(Random(i))
            caption = captions.caption_animal(animal, Random(f"caption {i}")).lower()
            written["wild" if animal.kind.animal in WILD else "pet"].append((animal.kind.animal, caption))
        kinds = [re.search(r"cat\b", c) is None and kind in c for kind, c in written["wild"]]
        cats = [re.search(r"\bcat\b", c) is not None for kind, c in written["wild"]]
        assert np.mean(kinds) > 0.75 and 0.08 < np.mean(cats) < 0.2
        assert not any(re.search(r"\bcat\b", c) for kind, c in written["wild"] if kind in ("fox", "wolf"))
        assert not any(re.search(r"\bwild\b", c) for group in written.values() for _, c in group)
        shares = {g: np.mean([bool(re.search(r"\banimal\b", c)) for _, c in of]) for g, of in written.items()}
        assert abs(shares["pet"] - 0.03) < 0.01 and 0 < shares["wild"] < 0.012

    @every_kind
    def test_captions_are_varied_and_fit_the_model(self, kind):
        written = [draw(kind, i).caption for i in range(300)]
        assert len(set(written)) > (250 if kind == "faces" else 200)
        assert to_tokens(written).shape[1] <= 77
        assert not any("  " in c or " a a" in c or re.search(r"\ba [aeiou]", c.lower()) for c in written)


class TestBatches:
    def test_faces_and_animals_in_turn_and_in_order(self):
        pixels, tokens = draw_batch(3, 8, split="train", seed=5)
        pairs = draw_pairs(8, first=24, split="train", seed=5)
        assert pixels.shape == (8, 64, 64, 3) and pixels.dtype == np.uint8 and tokens.shape[0] == 8
        assert pairs[0].caption == draw("faces", 12, split="train", seed=5).caption
        assert pairs[1].caption == draw("animals", 12, split="train", seed=5).caption
        np.testing.assert_array_equal(pixels, to_pixels([p.picture for p in pairs]))

    def test_tokens_are_cut_to_the_longest(self):
        tokens = to_tokens(["a cat", "a photo of a cat"])
        assert tokens.shape == (2, 7) and tokens[0, 3] == tokens[1, 6] == 49407 and tokens[0, 4:].sum() == 0

    def test_pixels_are_the_models_own_transform(self):
        from zsc.models.transforms import ImageTransform

        picture = draw("faces", 0).picture
        np.testing.assert_array_equal(to_pixels([picture])[0], ImageTransform(64).pixels(picture))


class TestDatasets:
    @every_name
    def test_the_public_face(self, name):
        dataset = zsc.load_dataset(name, n=30, seed=1)
        assert len(dataset) == 30 and dataset.name == name and dataset.split_name == "test"
        assert (
            dataset.class_names
            == {"drawn-glasses": ["no glasses", "glasses"], "drawn-animals": ["cat", "dog", "wild"]}[name]
        )
        assert set(dataset.labels) == set(range(len(dataset.class_names)))
        assert isinstance(dataset.paths[0], Image.Image) and dataset.notes["source"] and dataset.notes["licence"]
        assert ("wild" in dataset.notes["labels"]) == (name == "drawn-animals")
        again = zsc.load_dataset(name, n=10, seed=1)
        assert [p.tobytes() for p in again.paths] == [p.tobytes() for p in dataset.paths[:10]]
        other = zsc.load_dataset(name, n=10, seed=2)
        assert not {p.tobytes() for p in other.paths} & {p.tobytes() for p in dataset.paths}
        train = zsc.load_dataset(name, split="train", n=10, seed=1)
        assert not {p.tobytes() for p in train.paths} & {p.tobytes() for p in dataset.paths}

    @every_name
    def test_a_thousand_by_default(self, name, monkeypatch):
        asked = []
        monkeypatch.setattr(packaged, "draw", lambda kind, number, **k: asked.append((number, k)) or draw(kind, 0))
        assert len(zsc.load_dataset(name)) == 1000 and asked[-1] == (999, {"split": "test", "seed": 1, "change": None})

    @every_name
    def test_bad_options(self, name):
        with pytest.raises(ValueError, match="n=0; n must be a whole number of 1 or more"):
            zsc.load_dataset(name, n=0)
        with pytest.raises(ValueError, match=r"n=2\.5; n must be a whole number"):
            zsc.load_dataset(name, n=2.5)
        with pytest.raises(ValueError, match="seed=-1; seed must be a whole number of 0 or more"):
            zsc.load_dataset(name, n=2, seed=-1)
        with pytest.raises(ValueError, match="val"):
            zsc.load_dataset(name, split="val")
        with pytest.raises(ValueError, match=f"data set '{name}' has no option colour; it must be one of n, seed"):
            zsc.load_dataset(name, colour="red")

    def test_both_are_listed(self):
        assert {"drawn-glasses", "drawn-animals"} <= set(zsc.datasets.dataset_names())

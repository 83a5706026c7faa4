"""Explanations name the place that a planted model looks at, the words that count, and say when they are no good."""

import json
from functools import partial
from math import ceil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import binary_fill_holes, gaussian_filter
from scipy.stats import spearmanr

import zsc
from benchmarks import explain as explained
from zsc import plots
from zsc.cli import main
from zsc.drawings import draw
from zsc.explanation import BATCH, PASSES, _windows, iou, pointing_game

SIDE = 48


class Planted:
    """A model that sees only how bright one square of the picture is: dark is one class, bright the other."""

    name, logit_scale, image_size = "planted", 20.0, SIDE

    def __init__(self, top=8, left=28, size=10, blind=False):
        self.area, self.blind, self.batches = (slice(top, top + size), slice(left, left + size)), blind, []

    def transform(self, image):
        return np.asarray(image.resize((SIDE, SIDE)), np.float32).transpose(2, 0, 1) / 255

    def encode_pixels(self, pixels):
        pixels = np.stack(list(pixels))
        self.batches.append(len(pixels))
        angle = np.full(len(pixels), 0.4) if self.blind else pixels[(..., *self.area)].mean(axis=(1, 2, 3))
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    @property
    def mask(self):
        mask = np.zeros((SIDE, SIDE), bool)
        mask[self.area] = True
        return mask


@pytest.fixture
def planted(monkeypatch):
    """Make a classifier of dark and bright around a planted model."""

    def make(**options):
        encoder = Planted(**options)
        clf = zsc.ZeroShotClassifier.__new__(zsc.ZeroShotClassifier)
        vars(clf).update(prompts=zsc.prompts.as_prompts(["dark", "bright"]), model=encoder, pooling="mean",
                         multi_label=False, text_embeddings=np.eye(2, dtype=np.float32))  # fmt: skip
        return clf

    return make


def noise(seed=0, bright=None):
    pixels = np.random.default_rng(seed).integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
    if bright is not None:
        pixels[bright] = 255
    return Image.fromarray(pixels)


class TestPlaces:
    @pytest.mark.parametrize(("top", "left"), [(8, 28), (30, 4), (19, 19), (0, 38)])
    def test_a_planted_model_is_explained_by_the_place_it_looks_at(self, planted, top, left):
        clf = planted(top=top, left=left)
        found = zsc.explain(clf, noise(bright=clf.model.mask))
        assert (found.predicted, found.of, found.against) == ("bright", "bright", "dark")
        for lost in (*found.maps.values(), found.map):
            assert lost.shape == (SIDE, SIDE) and lost.dtype == np.float32
            assert pointing_game(lost, clf.model.mask) == 1
        assert iou(found.map, clf.model.mask) > 0.35 and found.is_better_than_random
        far = np.ones((SIDE, SIDE), bool)
        far[max(0, top - 16) : top + 26, max(0, left - 16) : left + 26] = False
        assert np.abs(found.map[far]).max() < 1e-4 and found.map.max() > 1

    def test_hiding_it_makes_the_answer_right(self, planted):
        clf = planted()
        found = zsc.explain(clf, noise(bright=clf.model.mask), against="dark")
        assert found.flips[clf.model.mask].any() and not found.flips[:, :10].any()
        right = zsc.explain(clf, noise(), of=1, against=0)  # the answer is dark already: nothing to mend
        assert right.predicted == "dark" and right.margin < 0 and not right.flips.any()

    def test_a_model_that_ignores_the_picture_is_no_better_than_random(self, planted):
        found = zsc.explain(planted(blind=True), noise(bright=(slice(9), slice(9))))
        assert not found.map.any() and not found.is_better_than_random and not found.flips.any()
        assert found.verdict.startswith("no better than random (gain 0.0, moved 0.0")

    def test_a_map_of_noise_is_seldom_called_better_than_random(self):
        """Ten shifts of a map that means nothing: over two standard deviations in at most one of ten."""
        rng, hits = np.random.default_rng(0), 0
        for _ in range(400):
            gains = rng.normal(size=12)
            score = pd.DataFrame({"gain": gains}, ["map", "edges", *["moved"] * 10])
            blank = dict.fromkeys(
                ("picture", "predicted", "of", "against", "margin", "maps", "flips", "words", "nearest")
            )
            hits += zsc.explanation.Explanation(**blank, score=score).is_better_than_random
        assert hits / 400 < 0.1

    def test_as_many_passes_as_it_says(self, planted):
        clf = planted()
        zsc.explain(clf, noise())
        assert clf.model.batches == [1, 25, 14, 25, 14, 72] and PASSES == 1 + 78 + 72

    def test_of_and_against_swapped_is_the_same_map_with_the_sign_turned(self, planted):
        clf = planted()
        one, other = (zsc.explain(clf, noise(3), of=a, against=b) for a, b in (("dark", "bright"), ("bright", "dark")))
        assert one.margin == pytest.approx(-other.margin)
        coarse = _windows(SIDE, 5, 0.3)
        assert len(coarse) == 25 and coarse.any(axis=0).all() and {int(w.any(0).sum()) for w in coarse} <= {12, 14, 15}
        assert np.allclose(one.map, -other.map, atol=1e-5) and np.ptp(one.map) > 0.1

    def test_a_list_is_explained_as_its_pictures_alone(self, planted):
        clf = planted()
        pictures = [noise(seed) for seed in range(3)]
        several = zsc.explain(clf, pictures, [None, 1, "bright"])
        assert isinstance(several, list) and len(several) == 3 and isinstance(zsc.explain(clf, pictures[:1]), list)
        alone = zsc.explain(clf, pictures[2], "bright")
        assert np.array_equal(several[2].map, alone.map) and several[2].score.equals(alone.score)

    def test_the_pictures_of_a_list_share_batches_eight_at_a_time(self, planted):
        clf = planted()
        told = []
        found = zsc.explain(clf, [noise(seed) for seed in range(9)], progress=lambda *state: told.append(state))
        eight = [8, *(128, 72), 112, *(128, 72), 112, *(128, 128, 128, 128, 64)]
        assert clf.model.batches == [*eight, 1, 25, 14, 25, 14, 72] and max(clf.model.batches) == BATCH
        assert told[-1] == (9 * 151, 9 * 151) and told[0] == (8, 9 * 151)
        for seed, one in enumerate(found):  # in the order that was given
            assert np.array_equal(one.map, zsc.explain(clf, noise(seed)).map)

    def test_what_cannot_be_explained(self, planted):
        clf = planted()
        with pytest.raises(ValueError, match="of and against are both 'dark'; leave against out"):
            zsc.explain(clf, noise(), of="dark", against=0)
        with pytest.raises(ValueError, match="against='red'; against must be one of dark, bright"):
            zsc.explain(clf, noise(), "red")
        with pytest.raises(ValueError, match="against"):
            zsc.explain(clf, [noise(), noise()], ["dark"])
        with pytest.raises(ValueError, match="make the classifier without multi_label"):
            zsc.explain(zsc.ZeroShotClassifier(["a hat"], model="toy", multi_label=True), noise())


class TestMarks:
    def test_pointing_game_and_iou_of_known_maps(self):
        mask = np.zeros((4, 4), bool)
        mask[1, :2] = True
        ramp = np.arange(16.0).reshape(4, 4)
        assert (pointing_game(ramp, mask), pointing_game(-np.abs(ramp - 5), mask)) == (0, 1)
        assert pointing_game(np.zeros((4, 4)), mask) == 2 / 16  # nothing is pointed at: chance
        assert (iou(mask.astype(float), mask), iou(ramp, mask)) == (1, 0)
        assert iou(-np.abs(ramp - 5), mask) == 1 and iou(-np.abs(ramp - 5.6), mask) == pytest.approx(1 / 3)
        with pytest.raises(ValueError, match="mask"):
            iou(ramp, mask[:2])

    def test_the_score_of_a_map_is_what_hiding_and_showing_its_top_gives(self, planted):
        """A naive computation: the highest places greyed, and shown alone in the blurred picture."""
        clf, picture = planted(), noise(bright=planted().model.mask)
        found, pixels, margins = zsc.explain(clf, picture), clf.model.transform(picture), {}
        order = np.argsort(-found.map, axis=None, kind="stable")
        for way in ("deletion", "insertion"):
            margins[way] = []
            for share in (0.1, 0.2, 0.3):
                seen, n = pixels.copy(), int(np.ceil(share * SIDE**2))
                rows, columns = np.unravel_index(order[:n] if way == "deletion" else order[n:], (SIDE, SIDE))
                cover = np.ones_like(pixels) * pixels.mean(axis=(1, 2), keepdims=True)
                if way == "insertion":
                    cover = gaussian_filter(pixels, (0, SIDE / 12, SIDE / 12))
                seen[:, rows, columns] = cover[:, rows, columns]
                margins[way].append(20 * float(clf.model.encode_pixels([seen])[0] @ [-1, 1]))
        for way, hand in margins.items():
            assert found.score[way]["map"] == pytest.approx(np.mean(hand), abs=1e-4)
        assert found.score["gain"]["map"] == pytest.approx(np.mean(margins["insertion"]) - np.mean(margins["deletion"]))
        assert found.score["gain"]["map"] > 5


GLASSES = {"no glasses": "a face without glasses", "glasses": "a face with glasses"}


class TestToy:
    @pytest.fixture(scope="class")
    def toy(self):
        return zsc.ZeroShotClassifier(GLASSES, model="toy")

    @pytest.fixture(scope="class")
    def faces(self):
        return [d for d in (draw("faces", i) for i in range(50)) if d.attributes["glasses"]]

    @pytest.mark.slow
    def test_the_map_points_at_drawn_glasses(self, toy, faces):
        masks = [binary_fill_holes(d.parts["glasses"]).reshape(64, 2, 64, 2).mean(axis=(1, 3)) >= 0.5 for d in faces]
        found = zsc.explain(toy, [d.picture for d in faces], of="glasses")
        hits = [pointing_game(e.map, mask) for e, mask in zip(found, masks, strict=True)]
        assert np.mean(hits) > 0.7 and np.mean(masks) < 0.1
        told = np.mean([e.is_better_than_random for e in found])
        assert told > 0.5

    @pytest.mark.slow
    def test_of_two_animals_the_map_points_at_the_one_asked_for_and_edges_cannot(self, toy):
        clf = zsc.ZeroShotClassifier(explained.PROMPTS["animals"], model=toy.model)
        hits, turned = {"map": [], "edges": []}, []
        for picture, mask, of, against in (explained.pair(i, is_whole=False) for i in range(24)):
            assert of != against and 0.1 < mask.mean() < 0.5 and min(mask[:, :32].sum(), mask[:, 32:].sum()) == 0
            one, other = (zsc.explain(clf, picture, k, of=j) for j, k in ((of, against), (against, of)))
            hits["map"].append(pointing_game(one.map, mask))
            hits["edges"].append(pointing_game(explained.edges(one), mask))
            turned.append(pointing_game(other.map, mask))  # the same picture, asked for the other animal
        assert np.mean(hits["map"]) > np.mean(hits["edges"]) + 0.2 and np.mean(turned) < 0.2

    @pytest.mark.slow
    def test_shuffled_weights_and_another_class_give_other_maps(self, toy, faces):
        """Sanity checks for saliency maps (Adebayo et al., NeurIPS 2018)."""
        import copy

        import torch

        blank = copy.deepcopy(toy)
        blank.model.__dict__["image_encoder"] = tower = copy.deepcopy(toy.model.image_encoder)
        torch.manual_seed(0)
        for weight in tower.parameters():
            weight.data = weight.data.flatten()[torch.randperm(weight.numel())].reshape(weight.shape)
        pictures = [d.picture for d in faces[:8]]
        kinds = [(c, zsc.explain(c, pictures, of="glasses")) for c in (toy, blank)]
        likeness = [
            spearmanr(a.map.ravel(), b.map.ravel()).statistic for a, b in zip(kinds[0][1], kinds[1][1], strict=True)
        ]
        assert abs(np.median(likeness)) < 0.5
        ways = [zsc.explain(toy, pictures[0], of=k) for k in toy.class_names]
        assert spearmanr(*(w.map.ravel() for w in ways)).statistic < 0

    def test_several_pictures_together_are_explained_as_each_alone(self, toy, faces):
        pictures = [d.picture for d in faces[:3]]
        for one, picture in zip(zsc.explain(toy, pictures, of="glasses"), pictures, strict=True):
            alone = zsc.explain(toy, picture, of="glasses")
            assert one.margin == pytest.approx(alone.margin, abs=1e-6 * toy.model.logit_scale)
            assert np.abs(one.map - alone.map).max() < 1e-6 * toy.model.logit_scale
            assert np.abs(one.score - alone.score).to_numpy().max() < 1e-6 * toy.model.logit_scale
            assert np.array_equal(one.flips, alone.flips) and one.verdict == alone.verdict

    def test_what_was_hidden_once_is_not_embedded_again(self, toy, faces, tmp_path, monkeypatch):
        """The covers do not hang on the question; the mark does, since it hides the places of another map."""
        passes, encode = [], type(toy.model).encode_pixels
        count = lambda self, pixels: passes.append(len(pixels)) or encode(self, pixels)  # noqa: E731
        monkeypatch.setattr(type(toy.model), "encode_pixels", count)

        def ask(clf, *against, store=tmp_path / "kept", **options):
            passes.clear()
            return zsc.explain(clf, faces[0].picture, *against, store=store, **options), sum(passes)

        fresh, n = ask(toy, store=None)
        assert n == 151 and not list(tmp_path.iterdir())
        first, n = ask(toy)
        assert n == 151 and np.array_equal(first.map, fresh.map) and first.score.equals(fresh.score)
        again, n = ask(toy)
        assert n == 0 and np.array_equal(again.map, fresh.map) and again.score.equals(fresh.score)
        other, n = ask(toy, "glasses", of="no glasses")
        assert n <= 72 and other.of == "no glasses" and not np.array_equal(other.map, fresh.map)
        words = zsc.ZeroShotClassifier(["a man with a hat", "a woman", "round glasses"], model=toy.model)
        for rival in (0, 1):
            found, n = ask(words, rival, of="round glasses")
            assert 0 < n <= 72 and np.allclose(found.map, ask(words, rival, of=2, store=None)[0].map, atol=1e-4)
        picture, n = [zsc.explain(toy, faces[1].picture, store=tmp_path / "kept"), sum(passes)]
        assert n > 151 and picture.margin != first.margin  # another picture is another one

    def test_an_explanation_that_was_stopped_goes_on_from_there(self, toy, faces, tmp_path, monkeypatch):
        passes, encode = [], type(toy.model).encode_pixels

        def stop(self, pixels):
            if len(passes) == 3:
                raise KeyboardInterrupt
            passes.append(len(pixels))
            return encode(self, pixels)

        monkeypatch.setattr(type(toy.model), "encode_pixels", stop)
        with pytest.raises(KeyboardInterrupt):
            zsc.explain(toy, faces[0].picture, store=tmp_path)
        monkeypatch.setattr(type(toy.model), "encode_pixels", lambda *a: passes.append(len(a[1])) or encode(*a))
        found = zsc.explain(toy, faces[0].picture, store=tmp_path)
        assert passes == [1, 25, 14, 25, 14, 72] and np.array_equal(found.map, zsc.explain(toy, faces[0].picture).map)

    def test_words_are_left_out_one_by_one(self, toy, faces):
        found = zsc.explain(toy, faces[0].picture, of="glasses")
        assert found.words["word"].tolist() == ["a", "face", "with", "glasses", "a", "face", "without", "glasses"]
        for row in (3, 6):  # by hand: the same classifier with the shorter prompt
            name, text = found.words.loc[row, ["class_name", "prompt"]]
            words = text.split()
            del words[row % 4]
            other = zsc.ZeroShotClassifier(GLASSES | {name: " ".join(words)}, model=toy.model)
            logits = [c.predict_logits([faces[0].picture])[0] for c in (toy, other)]
            lost = np.subtract(*logits) @ [-1, 1]
            assert found.words["margin_lost"][row] == pytest.approx(lost, abs=1e-4)
        assert zsc.explain(zsc.ZeroShotClassifier(["glasses", "a face"], model=toy.model), faces[0].picture).words[
            "word"
        ].tolist() == ["a", "face"]

    def test_nearest_kept_pictures_of_each_class(self, toy):
        kept = toy.embed(zsc.load_dataset("drawn-glasses", n=60))
        table = zsc.explain(toy, draw("faces", 7).picture, embeddings=kept).nearest
        assert table.groupby("class").size().to_dict() == {"glasses": 3, "no glasses": 3}
        assert table["cosine"].is_monotonic_decreasing or table["cosine"].max() == table["cosine"].iloc[0]
        own = toy.embed([draw("faces", 7).picture]).values[0]
        best = int(np.argmax(kept.values @ own))
        assert table["index"].iloc[0] == best

    def test_figures_say_what_they_show(self, toy, faces):
        mistakes = toy.evaluate(zsc.load_dataset("drawn-glasses", n=60, seed=3))
        asked = []
        why = lambda pictures, against: asked.append(against) or partial(zsc.explain, toy)(pictures, against)  # noqa: E731
        figure = plots.gallery(mistakes, "errors", why=why, max_images=2)
        told = [ax.get_xlabel() for ax in figure.axes[:2]]
        assert (
            all("map" in text and "random" in text for text in told) and "vermilion against it" in figure.get_suptitle()
        )
        assert asked[0] == [GLASSES and mistakes.class_names[t] for t in self._true(mistakes)[:2]]
        one = zsc.explain(toy, faces[0].picture)
        figure = plots.why(one)
        assert "why glasses, not no glasses" in (title := figure.get_suptitle().replace("\n", " "))
        assert one.verdict.split(" (")[0] in title and "Blue speaks for glasses, vermilion for no glasses" in title
        assert [t.get_text() for t in figure.axes[3].get_yticklabels()][0] == "a (glasses)"
        assert len(figure.axes[1].images) == 2 and "words" in plots.describe(figure)

    @staticmethod
    def _true(result):
        table = result.table
        wrong = table[table["y_true"] != table["y_pred"]].sort_values("proba", ascending=False, kind="stable")
        return wrong["y_true"].astype(int).tolist()


class TestCommand:
    PROMPTS = ("--prompts", "a face with glasses", "a face without glasses", "--model", "toy")

    @pytest.fixture(scope="class")
    def drawn(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("drawn")
        for number in (0, 1, 2):
            draw("faces", number).picture.save(folder / f"{number}.png")
        return folder

    def run(self, capsys, *words):
        code = main([*map(str, words)])
        return code, *capsys.readouterr()

    def test_says_what_explain_says(self, drawn, capsys, tmp_path):
        code, out, _ = self.run(capsys, "explain", drawn, *self.PROMPTS, "--store", tmp_path / "kept", "--json")
        found = json.loads(out)["explanations"]
        clf = zsc.ZeroShotClassifier(["a face with glasses", "a face without glasses"], "toy")
        paths = [drawn / f"{number}.png" for number in (0, 1, 2)]
        assert code == 0 and [one["image"] for one in found] == [*map(str, paths)]
        for one, ours in zip(found, zsc.explain(clf, paths), strict=True):
            assert (one["of"], one["against"], one["verdict"]) == (ours.of, ours.against, ours.verdict)
            assert one["margin"] == pytest.approx(ours.margin) and len(one["words"]) == len(ours.words)
            side = len(ours.map) / 3  # 64 pixels: thirds of 22, 21 and 21
            fields = [[ours.map[ceil(y * side) : ceil(y * side + side), ceil(x * side) : ceil(x * side + side)].mean()
                       for x in range(3)] for y in range(3)]  # fmt: skip
            np.testing.assert_allclose(one["map"], fields, rtol=1e-5)
            assert one["flips"] == ours.flips.any() and one["gain"]["map"] == pytest.approx(ours.score["gain"]["map"])
        code, out, _ = self.run(capsys, "explain", drawn, *self.PROMPTS, "--store", tmp_path / "kept")
        words = ("rather than", "Places", "most in the", "random (gain", "margin_lost", "glasses")
        assert code == 0 and all(word in out for word in words) and out.count("Places") == 3

    def test_names_no_place_where_none_speaks_for_the_class(self, capsys, tmp_path):
        Image.new("RGB", (40, 40), "red").save(tmp_path / "plain.png")  # every cover leaves it as it is
        code, out, _ = self.run(capsys, "explain", tmp_path / "plain.png", *self.PROMPTS)
        assert code == 0 and "none speaks for a face" in out and "most in" not in out

    def test_the_figure_of_one_picture(self, drawn, capsys, tmp_path):
        words = ("--against", "a face without glasses", "--of", "a face with glasses", "--figure", tmp_path / "why.png")
        code, out, _ = self.run(capsys, "explain", drawn / "0.png", *self.PROMPTS, *words)
        assert code == 0 and "why.png" in out and Image.open(tmp_path / "why.png").width > 900
        code, out, err = self.run(capsys, "explain", drawn, *self.PROMPTS, "--figure", tmp_path / "why3.png")
        assert code == 1 and out == "" and "--figure draws one picture, and 3 are given" in err
        code, _, err = self.run(capsys, "explain", drawn / "0.png", *self.PROMPTS, "--against", "a hat")
        assert code == 1 and "against" in err and "a face with glasses" in err

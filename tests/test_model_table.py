"""The list of models: names that load, numbers under the names of those who measured them, filters; the leaderboard."""

import copy
import dataclasses
import json
import re
import shutil
from itertools import combinations

import numpy as np
import open_clip
import pytest
import torch
from conftest import ColourEncoder
from scipy.stats import binomtest

import zsc
from zsc.cli import main
from zsc.datasets import published
from zsc.models import model_table
from zsc.models import open_clip as route
from zsc.models import table as model_list
from zsc.models.openai_clip import TOY
from zsc.models.weights import OPENAI_WEIGHTS
from zsc.selection import compare_models


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(capsys, *words):
    code = main([str(word) for word in words])
    return code, capsys.readouterr().out


class TestTable:
    def test_every_published_checkpoint_is_there_under_a_name_that_loads(self):
        """An architecture that computes another activation than the weights were trained with is not listed."""
        table = model_table(everything=True).set_index("model")
        twins = set(published("openclip_zero_shot")[["architecture", "tag"]].agg("/".join, axis=1))
        assert table.loc["open_clip:ViT-B-32-quickgelu/laion400m_e32", "imagenet_published"] == 0.6293  # not .6024
        assert table.index.is_unique and set(zsc.available_models()) <= set(table.index)
        for row in published("openclip_zero_shot").itertuples():
            if row.tag == "openai":
                name = next(n for n in OPENAI_WEIGHTS if n.replace("/", "-").replace("@336px", "-336") ==
                            row.architecture.removesuffix("-quickgelu"))  # fmt: skip
            else:
                name = f"open_clip:{row.architecture}/{row.tag}"
                if name not in table.index:
                    name = f"open_clip:{row.architecture}-quickgelu/{row.tag}"
                if f"{name.removeprefix('open_clip:')}" in twins and not name.endswith(f"{row.architecture}/{row.tag}"):
                    continue  # this row was measured with the wrong activation, and the right one is there
                arch, tag, file = route.parse_name(name.removeprefix("open_clip:"))  # raises for the wrong activation
                assert (tag, file) == (row.tag, "")
                config = open_clip.get_model_config(arch)
                found = (table.loc[name, "embed_dim"], table.loc[name, "image_size"])
                assert found == (config["embed_dim"], config["vision_cfg"]["image_size"])
            assert table.loc[name, "imagenet_published"] == row.imagenet and table.loc[name, "gflops"] == row.gflops
            assert table.loc[name, "mean_38_published"] == row.mean_38 and table.loc[name, "params_m"] == row.params_m

    def test_openais_accuracies_are_open_clips_measurements(self):
        """And are said to be: they stand in no publication of OpenAI's."""
        table, measured = model_table().set_index("model"), (
            0.5982, 0.6228, 0.6627, 0.7072, 0.7391, 0.6332, 0.6834, 0.7554, 0.7656
        )  # fmt: skip
        for name, accuracy in zip(OPENAI_WEIGHTS, measured, strict=True):
            assert table.loc[name, "imagenet_published"] == accuracy
            assert "LAION's open_clip" in model_list.known_of(name)["published accuracy"]

    def test_what_is_in_the_hubs_cache_is_here(self, monkeypatch, tmp_path):
        name = "open_clip:ViT-B-32/laion2b_s34b_b79k"
        repository = open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k")["hf_hub"].strip("/")
        folder = tmp_path / f"models--{repository.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs/main").write_text("abc")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
        assert model_table(everything=True).set_index("model").loc[name, "weights"] == "to download"  # half a download
        (folder / "snapshots/abc").mkdir(parents=True)
        (folder / "snapshots/abc/open_clip_model.safetensors").write_text("x")
        places = model_table(everything=True).set_index("model")["weights"]
        assert list(places[places == "on this machine"].index) == [name]

    def test_a_speed_is_kept_and_a_damaged_record_is_none(self):
        model_list.record_speed("toy", 12.345)
        model_list.record_speed("conse", 2)
        model_list.record_speed("toy", 20)
        assert model_list.speeds() == {"toy": 20, "conse": 2}
        assert model_table(everything=True).set_index("model").loc["toy", "images_per_s"] == 20
        for damaged in ("[1]", '{"toy": "x"}', "no"):
            model_list._speeds_path().write_text(damaged)
            assert model_list.speeds() == {}

    @pytest.mark.parametrize(
        "name", ["/mine/openai.pt", "open_clip:RN50/laion.pt", "open_clip:ViT-L-14/laion2b_s32b_b82k/mine.pt",
                 "hf:/mine/openai", "open_clip:local-dir:/mine/laion"],
    )  # fmt: skip
    def test_the_name_of_a_file_says_nothing_of_what_is_in_it(self, name):
        assert list(model_list.known_of(name)) == ["known"]

    def test_of_every_published_pair_something_is_known(self):
        for arch in open_clip.list_models():
            for tag in open_clip.list_pretrained_tags_by_model(arch):
                known = model_list.known_of(f"open_clip:{arch}/{tag}")
                assert {"licence", "source", "training data", "consent"} <= set(known), (arch, tag)
        assert model_list.known_of("open_clip:MobileCLIP2-S0/dfndr2b")["source"].startswith("Apple, ml-mobileclip")


class TestList:
    def test_it_is_readable_at_80_columns(self, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        code, out = run(capsys, "models")
        lines = out.splitlines()
        assert code == 0 and max(map(len, lines)) <= 80
        accuracies = [float(found[0]) for line in lines if (found := re.findall(r" (0\.\d{3}) ", line))]
        assert len(accuracies) > 100 and accuracies == sorted(accuracies, reverse=True)
        notes = out.partition("top-1: zero-shot accuracy on ImageNet")[2]
        assert "LAION's open_clip" in notes and "px: pixels per side" in notes

    def test_filters(self, capsys):
        rows = json.loads(run(capsys, "models", "--json")[1])
        given = {"--size": 200, "--accuracy": 0.7, "--family": "siglip", "--training": "webli"}
        kept = {
            "--size": lambda r: r["params_m"] is not None and r["params_m"] <= 200,
            "--accuracy": lambda r: r["imagenet_published"] is not None and r["imagenet_published"] >= 0.7,
            "--family": lambda r: "siglip" in r["model"].lower(),
            "--training": lambda r: "WebLI" in r["training_data"],
        }
        for flag, value in given.items():
            found = json.loads(run(capsys, "models", "--json", flag, value)[1])
            assert found == [row for row in rows if kept[flag](row)] and 0 < len(found) < len(rows)
        assert [r["model"] for r in json.loads(run(capsys, "models", "--here", "--json")[1])] == ["conse", "toy"]
        both = json.loads(run(capsys, "models", "--json", "--training", "yfcc", "--size", 110)[1])
        assert [row["model"] for row in both] == ["open_clip:RN50-quickgelu/yfcc15m"]

    def test_nothing_that_fits_is_said(self, capsys):
        assert main(["models", "--accuracy", "0.99"]) == 1
        assert "no model is listed that fits all of these filters" in capsys.readouterr().err


class TestCheck:
    def test_the_card_of_a_right_model(self, capsys):
        code, out = run(capsys, "models", "check", "toy")
        assert code == 0 and "agrees: all 5 comparisons are within their limits" in out
        assert "mean=" in out and "QuickGELU" in out and "drawings and captions" in out
        content = json.loads(run(capsys, "models", "check", "toy", "--json")[1])
        assert content["verdict"] == "agrees" and content["record"]["head"] == "softmax"
        assert [row["what"] for row in content["comparisons"]][:2] == ["pixels", "token ids"]

    def test_a_model_that_differs_ends_with_one(self, capsys):
        code, out = run(capsys, "models", "check", "toy", "--checkpoint", "openai/clip-vit-base-patch32")
        assert code == 1 and "differs in image-text cosines, text-text cosines; 5 of 9 comparisons agree" in out

    @pytest.mark.parametrize("words", [["check"], ["check", "nothing"], ["check", "open_clip:ViT-B-32/openai"]])
    def test_a_sentence_where_there_is_no_model(self, words, capsys):
        assert main(["models", *words]) == 1
        assert capsys.readouterr().err.count("\n") == 1


class Noisy(ColourEncoder):
    """The same geometry, with noise of its own in the pictures."""

    def __init__(self, name, noise, seed=0):
        super().__init__()
        self.info = dataclasses.replace(self.info, name=name, weights_sha256=name)
        self.noise, self.rng = noise, np.random.default_rng(seed)

    def embed_pixels(self, pixels):
        return super().embed_pixels(pixels) + torch.tensor(self.rng.normal(0, self.noise, (len(pixels), 3))).float()


class TestCompare:
    @pytest.fixture
    def dataset(self):
        from conftest import COLOURS, colour_picture

        rng = np.random.default_rng(0)
        labels = np.arange(120) % 3
        near = [np.clip(np.array(COLOURS[("red", "green", "blue")[k]]) + rng.uniform(0, 0.4, 3), 0, 1) for k in labels]
        return zsc.ImageDataset([colour_picture(c) for c in near], labels, ["red", "green", "blue"], name="colours")

    def test_ties_are_ties(self, dataset):
        """The group of the best, against McNemar's and Holm's tests written out."""
        models = [Noisy("bad", 3.0, 1), Noisy("one", 0.45, 2), Noisy("other", 0.45, 3), Noisy("middle", 0.9, 4)]
        answers = [copy.deepcopy(model) for model in models]
        table = compare_models(dataset, dataset.class_names, models)
        right = {}
        for model in answers:
            embeddings = zsc.embed_images(model, dataset, progress=False)
            right[model.name] = zsc.ZeroShotClassifier(dataset.class_names, model).evaluate(embeddings).right
        assert list(table.index) == sorted(right, key=lambda name: -right[name].mean())
        p_values = {}
        for one, other in combinations(table.index, 2):
            won, lost = (right[one] & ~right[other]).sum(), (~right[one] & right[other]).sum()
            p_values[one, other] = binomtest(int(won), int(won + lost)).pvalue
        adjusted, largest = {}, 0.0
        for rank, pair in enumerate(sorted(p_values, key=p_values.get)):
            largest = max(largest, min(1.0, p_values[pair] * (len(p_values) - rank)))
            adjusted[pair] = largest
        best = table.index[0]
        for name in table.index[1:]:
            assert table.loc[name, "p_adjusted"] == pytest.approx(adjusted[best, name])
            assert table.loc[name, "is_tied"] == (adjusted[best, name] >= 0.05)
            assert table.loc[name, "verdict"].startswith(
                "120 images cannot tell it" if adjusted[best, name] >= 0.05 else "worse than"
            )
        assert set(table.index[table["is_tied"]]) == {"one", "other"} and table.loc[best, "verdict"] == "best"
        assert (table["images_per_s"] > 0).all() and set(model_list.speeds()) == set(right)

    def test_equal_models_are_rarely_told_apart(self):
        """Choosing the best on the same pictures is paid for: of six equal ones, all are in its group."""
        from zsc.selection import compare_right, holm, mcnemar

        rng, errors = np.random.default_rng(0), 0
        for _ in range(200):
            right = rng.random((6, 100)) < 0.8
            order = np.argsort(-right.mean(axis=1), kind="stable")
            pairs = list(combinations(order, 2))
            adjusted = holm([mcnemar(right[a], right[b]) for a, b in pairs])[:5]
            errors += bool((adjusted < 0.05).any())
        assert errors <= 14  # 5 % of 200, and chance
        assert len(compare_right({"a": right[0], "b": right[1]})) == 2

    def test_what_cannot_be_compared(self, dataset):
        for wrong, said in (([], "0 model given"), (["toy"], "1 model given"), (["toy", "toy"], "more than once"),
                            (["toy", "nonsense"], "no model 'nonsense'")):  # fmt: skip
            with pytest.raises(ValueError, match=said):
                compare_models(dataset, dataset.class_names, wrong)

    @pytest.mark.slow
    def test_the_sentence_comes_first(self, capsys, tmp_path):
        shutil.copy(TOY, tmp_path / "copy.pt")
        words = ("models", "compare", "--dataset", "drawn-animals", "--limit", 12)
        code, out = run(capsys, *words, "--models", "toy", tmp_path / "copy.pt", "--json")
        content = json.loads(out)
        assert code == 0 and content["best"] == "toy" and content["tied"] == [str(tmp_path / "copy.pt")]
        rows = {row["model"]: row for row in json.loads(run(capsys, "models", "--here", "--json")[1])}
        assert rows["toy"]["images_per_s"] > 0 and rows["conse"]["images_per_s"] is None
        out = run(capsys, *words, "--models", "toy", tmp_path / "copy.pt")[1]
        first = " ".join(out.split())  # however the lines are broken
        assert first.startswith("toy has the highest accuracy, 0.") and "on these 12 pictures" in first
        assert "copy.pt cannot be told from it" in first and "Holm over all pairs" in out

    @pytest.mark.parametrize("words", [["--models", "toy", "conse"], [".", "--dataset", "samples", "--models", "toy"]])
    def test_pictures_are_named_once(self, words, capsys):
        assert main(["models", "compare", *words]) == 1
        assert "a folder with one sub-folder per class, or a --dataset; one of the two" in capsys.readouterr().err

"""The card of a model: what is right agrees, and each planted fault is found where it was planted."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw
from test_families import CASES, siglip
from test_open_clip import folder  # noqa: F401  a fixture

import zsc
from benchmarks.checkpoints import hugging_face_folder
from zsc.datasets import published
from zsc.models import conformance
from zsc.models.tokens import LibraryTokenizer
from zsc.models.transforms import ImageTransform

pytestmark = pytest.mark.slow


def differing(card):
    return list(card.table.loc[card.table["verdict"] == "differs", "what"])


@pytest.fixture(scope="module")
def toy():
    return zsc.load_model("toy", device="cpu")


@pytest.fixture
def through_hf(tmp_path):
    torch.manual_seed(0)
    for part in siglip(tmp_path):
        part.save_pretrained(tmp_path)
    return zsc.load_model(f"hf:{tmp_path}", device="cpu")


class TestAgrees:
    @pytest.mark.parametrize("library", ["clip", "open_clip"])
    def test_toy(self, library):
        card = zsc.models.check(zsc.load_model("toy", device="cpu", library=library))
        assert card.verdict == "agrees" and list(card.table["what"]) == list(conformance.LIMITS)
        assert (card.table["verdict"] == "agrees").all() and "drawings" in card.known["training data"]

    def test_conse(self):
        card = zsc.models.check("conse")
        assert card.verdict == "agrees" and (card.table["verdict"] == "agrees").all()

    def test_a_random_checkpoint_of_full_size(self, vit_path):
        card = zsc.models.check(str(vit_path))
        assert card.verdict == "agrees" and list(card.known) == ["known"]  # what a file is called says nothing

    def test_full_size_through_open_clip_and_transformers(self, vit_path, tmp_path):
        hf = hugging_face_folder(vit_path, tmp_path)
        assert zsc.models.check(f"hf:{hf}").verdict == "agrees"
        state = {k: v.float() for k, v in torch.load(vit_path, weights_only=True).items() if v.ndim or "scale" in k}
        torch.save({k: v for k, v in state.items() if "resolution" not in k}, tmp_path / "w.pt")
        assert zsc.models.check(f"open_clip:ViT-B-32-quickgelu/{tmp_path / 'w.pt'}").verdict == "agrees"

    def test_open_clips_folder(self, folder):  # noqa: F811
        assert zsc.models.check(f"open_clip:local-dir:{folder}").verdict == "agrees"

    @pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
    def test_families(self, make, tmp_path):
        torch.manual_seed(0)
        for part in make(tmp_path):
            part.save_pretrained(tmp_path)
        card = zsc.models.check(f"hf:{tmp_path}")
        assert card.verdict == "agrees", card.table.to_string()


class TestPlantedFaults:
    def test_mean_and_std(self, toy):
        wrong = copy.copy(toy)
        wrong.transform = dataclasses.replace(toy.transform, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        assert differing(zsc.models.check(wrong)) == ["pixels", "probabilities"]

    def test_resize(self, toy):
        wrong = copy.copy(toy)
        wrong.transform = ImageTransform(toy.image_size, mode="squash")
        assert differing(zsc.models.check(wrong)) == ["pixels", "probabilities"]

    def test_activation(self, folder):  # noqa: F811
        """Another activation is computed for weights whose publisher computes GELU."""
        wrong = zsc.load_model(f"open_clip:local-dir:{folder}", device="cpu")
        for module in wrong.image_encoder.__self__.modules():
            if isinstance(module, torch.nn.GELU):
                module.forward = lambda x: x * torch.sigmoid(1.702 * x)
            elif getattr(module, "activation", "") == "gelu":  # computed by the layer before it
                module.activation = "silu"
        assert {"image embeddings", "text embeddings"} <= set(differing(zsc.models.check(wrong)))

    def test_padding(self, through_hf):
        """A SigLIP reads the padding of a text, so that a text must be padded to the limit."""
        tokenizer = through_hf.tokenizer
        through_hf.tokenizer = LibraryTokenizer(tokenizer.tokenizer, 9, pad_to_limit=True, cleaning=tokenizer.cleaning)
        assert "text embeddings" in differing(zsc.models.check(through_hf))

    def test_case(self, through_hf):
        through_hf.tokenizer.cleaning = ""
        assert differing(zsc.models.check(through_hf))[:2] == ["token ids", "text embeddings"]

    def test_bias(self, through_hf):
        through_hf.info = dataclasses.replace(through_hf.info, logit_bias=through_hf.info.logit_bias + 5)
        assert differing(zsc.models.check(through_hf)) == ["probabilities"]

    def test_scale(self, toy):
        wrong = copy.copy(toy)
        wrong.info = dataclasses.replace(toy.info, logit_scale=100.0)
        assert differing(zsc.models.check(wrong)) == ["probabilities"]


class TestPublished:
    """Stand-ins in the very format of the published tables: this model's own numbers, rounded as those are."""

    @pytest.fixture
    def reference(self, toy, tmp_path, monkeypatch):
        samples = published("openai_vitb32_samples")
        photos = [conformance.photo(name) for name in samples.columns[1:]]
        texts = toy.encode_texts([f"This is {text}" for text in samples["text"]])
        samples.iloc[:, 1:] = np.round(texts @ toy.encode_images(photos).T, 2)
        samples.to_csv(tmp_path / "openai_vitb32_samples.csv", index=False)
        words = published("clip_vitb32_text_cosines").set_index("a ...")
        texts = toy.encode_texts([f"a {word}" for word in words.index])
        pd.DataFrame(np.round(texts @ texts.T, 4), words.index, words.columns).to_csv(
            tmp_path / "clip_vitb32_text_cosines.csv"
        )
        logits = published("published_logits")
        mine = (logits["checkpoint"] == conformance.VIT_B_32) & logits["logit"].notna()
        texts = toy.encode_texts(list(logits.loc[mine, "text"]))
        image = toy.encode_images([conformance.photo("coffee.png")])
        logits.loc[mine, "logit"] = np.round(toy.logit_scale * image @ texts.T, 4)[0]
        logits.to_csv(tmp_path / "published_logits.csv", index=False)
        monkeypatch.setattr(conformance, "published", lambda name: pd.read_csv(tmp_path / f"{name}.csv"))
        return tmp_path

    def test_right_numbers_agree(self, toy, reference):
        card = zsc.models.check(toy, checkpoint=conformance.VIT_B_32, coco=conformance.photo("coffee.png"))
        found = card.table.iloc[len(conformance.LIMITS) :].set_index("what")
        assert found.loc["image-text cosines", "n"] == 64 and found.loc["text-text cosines", "n"] == 7381
        assert (found.loc[["image-text cosines", "text-text cosines", "logits"], "verdict"] == "agrees").all()
        assert found.loc["probabilities", "verdict"] == "differs"  # those are still OpenAI's

    @pytest.mark.parametrize(
        ("table", "what"),
        [("openai_vitb32_samples", "image-text cosines"), ("clip_vitb32_text_cosines", "text-text cosines")],
    )
    def test_one_altered_number_is_found(self, table, what, toy, reference):
        text = pd.read_csv(reference / f"{table}.csv")
        text.iloc[2, 7] += 0.1
        text.to_csv(reference / f"{table}.csv", index=False)
        assert what in differing(zsc.models.check(toy, checkpoint=conformance.VIT_B_32))

    def test_without_the_picture_it_is_said(self, toy, reference):
        card = zsc.models.check(toy, checkpoint="google/siglip-base-patch16-224")
        said = card.table["verdict"].iloc[-1]
        assert said.startswith("not compared: pass the picture, http") and card.verdict == "agrees"

    def test_logits_about_a_drawing_are_compared_on_the_drawing(self, toy, monkeypatch):
        """SigLIP 2's: three pictures that the table describes; these are this model's own logits in their place."""
        rows = published("published_logits")
        mine = rows["checkpoint"] == "google/siglip2-base-patch16-naflex"
        for picture, texts in rows[mine].groupby("picture")["text"]:
            width, height = (int(word.strip(",")) for word in picture.split()[2:5:2])
            drawing = Image.new("RGB", (width, height), "red")
            side = min(width // 2, height // 2) // 8 * 7
            box = (width // 2 - side, height // 2 - side, width // 2 + side, height // 2 + side)
            ImageDraw.Draw(drawing).ellipse(box, "blue", "green", width // 20)
            logits = toy.logit_scale * toy.encode_images([drawing]) @ toy.encode_texts(list(texts)).T
            rows.loc[texts.index, "logit"] = np.round(logits[0], 4)
        monkeypatch.setattr(conformance, "published", lambda name: rows)
        card = zsc.models.check(toy, checkpoint="google/siglip2-base-patch16-naflex").table.iloc[5:]
        assert len(card) == 3 and (card["verdict"] == "agrees").all() and (card["n"] == 7).all()
        rows.loc[rows.index[mine][9], "logit"] += 0.2
        card = zsc.models.check(toy, checkpoint="google/siglip2-base-patch16-naflex").table.iloc[5:]
        assert sorted(card["verdict"]) == ["agrees", "agrees", "differs"]

    def test_another_model_than_the_published_one_differs(self, toy):
        assert "text-text cosines" in differing(zsc.models.check(toy, checkpoint=conformance.VIT_B_32))

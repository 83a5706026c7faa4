"""Texts are embedded once, by model and tokens: kept equals fresh, nothing stale, nothing lost, one path for all."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ColourEncoder, colour_picture
from open_clip.tokenizer import SimpleTokenizer
from test_families import fast_tokenizer, siglip

import zsc
from zsc import cli
from zsc import embeddings as job
from zsc.explorer.session import ExplorerSession
from zsc.models.base import TextTooLongError
from zsc.models.tokens import LibraryTokenizer, as_byte_pairs
from zsc.parts import DamagedPartWarning, StoreWarning
from zsc.prompts import template_set
from zsc.retrieval import search
from zsc.store import EmbeddingStore

HERE = Path(__file__).parent
PROMPTS = [t.format(name) for name in ("cat", "golf ball", "a very long name of a thing") for t in ("{}", "a {}.")]
ODD = ["a photo of the English springer.", "A Photo of the english Springer", "Cat,", "the_cat"]
COLOUR_TEXTS = [f"a red thing number {i}" for i in range(40)]
SLOW = """
import sys, time
from pathlib import Path
import zsc
from conftest import ColourEncoder
from zsc import embeddings

class Slow(ColourEncoder):
    def embed_tokens(self, tokens):
        time.sleep(0.05)
        with Path(sys.argv[2]).open("a", encoding="utf-8") as log:
            log.writelines(f"{text}\\n" for text in tokens)
        return super().embed_tokens(tokens)

embeddings.PART_ROWS, embeddings.TEXTS_AT_ONCE = 8, 4
first, last = int(sys.argv[3]), int(sys.argv[4])
zsc.embed_texts(Slow(), [f"a red thing number {i}" for i in range(first, last)], sys.argv[1])
"""


@pytest.fixture(scope="module")
def toy():
    return zsc.load_model("toy", device="cpu")


@pytest.fixture
def encoded(toy, monkeypatch):
    """List the texts that the toy's encoder is given, in any process of thought."""
    seen, encode = [], type(toy).encode_texts
    monkeypatch.setattr(
        type(toy), "encode_texts", lambda self, texts, **o: seen.extend(texts) or encode(self, texts, **o)
    )
    return seen


def forget(model):
    """Let only the store know what was embedded."""
    job._TEXTS_OF.pop(model, None)


def kept_in(folder, model):
    return EmbeddingStore(folder, model.fingerprint, model.embed_dim)


class TestOnce:
    def test_kept_equals_fresh(self, toy, encoded, tmp_path):
        fresh = toy.encode_texts(PROMPTS)
        first = zsc.embed_texts(toy, PROMPTS, tmp_path)
        np.testing.assert_allclose(first, fresh, atol=1e-6)
        assert first.dtype == np.float32 and not np.allclose(first, first[::-1])
        forget(toy)
        encoded.clear()
        np.testing.assert_array_equal(zsc.embed_texts(toy, PROMPTS[::-1], tmp_path), first[::-1])  # bit for bit
        assert not encoded
        np.testing.assert_array_equal(zsc.embed_texts(toy, PROMPTS[2], tmp_path), first[2:3])
        np.testing.assert_array_equal(zsc.ZeroShotClassifier(PROMPTS, toy, store=tmp_path).text_embeddings, first)
        assert not encoded

    def test_alone_or_in_any_company(self, toy):
        """The other texts of a batch may move the last digits, and no more."""
        forget(toy)
        alone = np.concatenate([toy.encode_texts([text]) for text in PROMPTS])
        np.testing.assert_allclose(zsc.embed_texts(toy, PROMPTS), alone, atol=1e-6)

    def test_without_a_store_memory_serves(self, toy, encoded):
        forget(toy)
        first = zsc.embed_texts(toy, PROMPTS + PROMPTS[:2])
        assert sorted(encoded) == sorted(PROMPTS)  # each once
        encoded.clear()
        first[:] = 0  # what was given out is the caller's
        np.testing.assert_allclose(zsc.embed_texts(toy, PROMPTS), toy.encode_texts(PROMPTS), atol=1e-6)
        assert encoded == PROMPTS  # those of the line above

    def test_memory_is_bounded(self, toy, encoded, monkeypatch):
        forget(toy)
        monkeypatch.setattr(job, "REMEMBERED", 3 * 4 * toy.embed_dim)
        for text in PROMPTS[:3] + PROMPTS[:1] + PROMPTS[3:4]:  # the second is the oldest when the fourth comes
            zsc.embed_texts(toy, text)
        assert len(job._TEXTS_OF[toy]) == 3
        encoded.clear()
        many = zsc.embed_texts(toy, PROMPTS[:1] + PROMPTS[2:4])
        assert not encoded and many.shape == (3, toy.embed_dim)
        rows = zsc.embed_texts(toy, PROMPTS)
        np.testing.assert_allclose(rows, toy.encode_texts(PROMPTS), atol=1e-6)
        assert len(job._TEXTS_OF[toy]) == 3

    def test_what_memory_knows_is_kept_when_a_store_asks(self, tmp_path):
        model = ColourEncoder()
        zsc.embed_texts(model, COLOUR_TEXTS)
        zsc.embed_texts(model, COLOUR_TEXTS, tmp_path)
        assert kept_in(tmp_path, model).texts == 40

    def test_a_model_that_is_gone_leaves_nothing(self):
        model, before = ColourEncoder(), len(job._TEXTS_OF)
        zsc.embed_texts(model, "red")
        assert len(job._TEXTS_OF) == before + 1
        del model
        assert len(job._TEXTS_OF) == before

    def test_no_text(self, toy, tmp_path):
        assert zsc.embed_texts(toy, [], tmp_path).shape == (0, 128) and not list(tmp_path.iterdir())


class TestTokens:
    def test_capitals_are_one_text_where_the_tokenizer_says_so(self, toy, encoded, tmp_path):
        forget(toy)
        rows = zsc.embed_texts(toy, ["A Cat", "a cat", "a  cat\n"], tmp_path)
        assert len(encoded) == 1 and kept_in(tmp_path, toy).texts == 1
        np.testing.assert_array_equal(rows[0], rows[1])

    def test_and_two_where_it_does_not(self, tmp_path):
        model = ColourEncoder()
        model.tokenizer = LibraryTokenizer(fast_tokenizer(["red", "Red", "cat", "Cat"]), 16)
        assert EmbeddingStore.key_of(model.token_ids(["Cat"])[0]) != EmbeddingStore.key_of(model.token_ids(["cat"])[0])
        first, same = model.token_ids(["red cat", "red  cat"])
        assert first == same == [2, 4, 6, 3]

    def test_no_padding_is_in_them(self):
        """The key of a text does not depend on those beside it."""
        tokens = LibraryTokenizer(fast_tokenizer(), 77)
        alone = [tokens.ids([text])[0] for text in PROMPTS]
        assert tokens.ids(PROMPTS) == alone and len({len(ids) for ids in alone}) > 2

    def test_each_word_once_is_each_word(self):
        """Remembering the ids of words changes none: open_clip's own codec says the same of odd texts, twice."""
        codec = SimpleTokenizer()
        tokens = as_byte_pairs(codec)
        odd = [
            "it's a &amp;cat&lt;",
            "Ünïcode — “quotes”",
            "12345 !?!?",
            "a<|endoftext|>b",
            "",
            "don't DON'T",
            "犬🐶 a_b",
        ]
        rng = np.random.default_rng(0)
        odd += ["".join(map(chr, rng.integers(*codes, 30))) for codes in [(32, 127)] * 300 + [(0, 300)] * 100]
        for texts in (odd, [t.format("tench") for t in template_set("imagenet-80")], odd):
            own = [[tokens.start, *codec.encode(text), tokens.end] for text in texts]
            assert tokens.ids(texts) == own and [tokens.count(text) for text in texts] == list(map(len, own))

    def test_too_long_is_too_long_whoever_kept_it(self, toy, tmp_path):
        long = "dog " * 90
        cut = zsc.embed_texts(toy, long, tmp_path, truncate=True)
        np.testing.assert_array_equal(zsc.embed_texts(toy, long, tmp_path, truncate=True), cut)
        for store in (tmp_path, None):
            with pytest.raises(TextTooLongError, match="92 tokens, limit 77"):
                zsc.embed_texts(toy, long, store)

    @pytest.mark.parametrize("texts", [["red", 3], [""], {"red"}, ["red", float("nan")], None])
    def test_what_is_no_text(self, texts, tmp_path):
        with pytest.raises((TypeError, ValueError), match="texts .*pass "):
            zsc.embed_texts(ColourEncoder(), texts, tmp_path)
        with pytest.raises(TypeError, match="store=5; pass a folder"):
            zsc.embed_texts(ColourEncoder(), "red", 5)


class TestStore:
    def test_another_model_or_precision_never_shares(self, tmp_path):
        model, other, half = ColourEncoder(), ColourEncoder(fingerprint_salt="x"), ColourEncoder()
        half.info = half.info.__class__(**{**half.info.__dict__, "precision": "bfloat16"})
        for each in (model, other, half):
            zsc.embed_texts(each, COLOUR_TEXTS, tmp_path)
        assert [len(each.texts_seen) for each in (model, other, half)] == [40, 40, 40]
        assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 3

    def test_texts_and_pictures_never_mix(self, tmp_path, capsys):
        model = ColourEncoder()
        dataset = zsc.ImageDataset([colour_picture((1, 0, 0)), colour_picture((0, 1, 0))], np.array([0, 1]), ["r", "g"])
        for _ in range(2):
            pictures = zsc.embed_images(model, dataset, tmp_path, progress=False)
            zsc.embed_texts(model, COLOUR_TEXTS, tmp_path)
        kept = kept_in(tmp_path, model)
        assert (len(kept), kept.texts) == (42, 40) and sum(model.image_batches) == 2 and len(model.texts_seen) == 40
        assert not kept.get(pictures.digests)[0][:, 2].any()  # red and green, as no text's
        assert not any(digest.startswith(b"zsc text") for digest in pictures.digests)
        assert cli.main(["store", "info", "--store", str(tmp_path)]) == 0
        assert "colours: 2 pictures, 40 texts, " in capsys.readouterr().out
        assert cli.main(["store", "verify", "--store", str(tmp_path), "--json"]) == 0
        row = json.loads(capsys.readouterr().out)[0]
        assert (row["pictures"], row["texts"], row["embeddings"], row["problems"]) == (2, 40, 42, [])
        assert cli.main(["store", "clear", "--store", str(tmp_path), "--yes"]) == 0 and not list(tmp_path.iterdir())

    def test_a_damaged_part_is_found_and_made_again(self, tmp_path):
        first = zsc.embed_texts(ColourEncoder(), COLOUR_TEXTS, tmp_path)
        model = ColourEncoder()
        (part,) = (tmp_path / model.fingerprint).glob("part-*.parquet")
        data = bytearray(part.read_bytes())
        data[len(data) // 2] ^= 1
        part.write_bytes(bytes(data))
        with pytest.warns(DamagedPartWarning, match="what it held is embedded again"):
            again = zsc.embed_texts(model, COLOUR_TEXTS, tmp_path)
        assert len(model.texts_seen) == 40
        np.testing.assert_array_equal(again, first)
        assert not any(check.problem for check in kept_in(tmp_path, model).verify())

    def test_a_store_that_cannot_be_written_to_costs_only_time(self, tmp_path, monkeypatch):
        model = ColourEncoder()
        monkeypatch.setattr(os, "access", lambda *a, **k: False)
        with pytest.warns(
            StoreWarning, match=r"40 texts could not be kept \(it is read-only\); they are encoded again"
        ):
            rows = zsc.embed_texts(model, COLOUR_TEXTS, tmp_path)
        assert rows.shape == (40, 3)

    def test_an_interrupt_keeps_what_was_done(self, tmp_path, monkeypatch):
        monkeypatch.setattr(job, "PART_ROWS", 8)
        monkeypatch.setattr(job, "TEXTS_AT_ONCE", 4)
        model = ColourEncoder()
        embed = model.embed_tokens

        def interrupted(tokens):
            if len(model.texts_seen) >= 20:
                raise KeyboardInterrupt
            return embed(tokens)

        monkeypatch.setattr(model, "embed_tokens", interrupted)
        with pytest.raises(KeyboardInterrupt):
            zsc.embed_texts(model, COLOUR_TEXTS, tmp_path)
        again = ColourEncoder()
        zsc.embed_texts(again, COLOUR_TEXTS, tmp_path)
        assert len(again.texts_seen) == 40 - 16  # two parts of 8 were whole

    @pytest.mark.slow
    def test_killed_and_two_writers(self, tmp_path):
        def start(log, first, last):
            command = [sys.executable, "-c", SLOW, tmp_path / "store", tmp_path / log, first, last]
            return subprocess.Popen(list(map(str, command)), env=os.environ | {"PYTHONPATH": f"{HERE}:{HERE.parent}"})

        killed, other = start("one", 0, 300), start("two", 60, 180)
        folder = tmp_path / "store" / ColourEncoder().fingerprint
        while len(list(folder.glob("part-*"))) < 5 and killed.poll() is None:
            time.sleep(0.01)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL and other.wait() == 0
        kept = kept_in(tmp_path / "store", ColourEncoder())
        assert 120 <= kept.texts == len(kept) < 300 and not any(check.problem for check in kept.verify())
        model = ColourEncoder()
        rows = zsc.embed_texts(model, [f"a red thing number {i}" for i in range(300)], tmp_path / "store")
        assert len(model.texts_seen) == 300 - len(kept) and (rows == [1, 0, 0]).all()
        assert not any(check.problem for check in kept_in(tmp_path / "store", model).verify())


@pytest.mark.slow
class TestProgress:
    @pytest.mark.parametrize(
        ("seconds", "progress", "is_shown"), [(0.9, True, True), (0.9, None, False), (0, True, False)]
    )
    def test_a_bar_after_three_seconds(self, seconds, progress, is_shown, monkeypatch, capsys):
        monkeypatch.setattr(job, "TEXTS_AT_ONCE", 8)
        monkeypatch.setattr("sys.stderr.isatty", lambda: progress is not None)  # None: a bar where a person looks
        model = ColourEncoder()
        embed = model.embed_tokens
        monkeypatch.setattr(model, "embed_tokens", lambda tokens: time.sleep(seconds) or embed(tokens))
        zsc.embed_texts(model, COLOUR_TEXTS, progress=progress)
        out, err = capsys.readouterr()
        assert not out and ("40/40" in err and "texts/s" in err) == is_shown and bool(err) == is_shown


class TestOnePath:
    """Every question in words goes through `embed_texts`, and so through one cleaning and one tokenizer."""

    @pytest.fixture(scope="class")
    def small_siglip(self, tmp_path_factory):
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp("siglip")
        for part in siglip(folder):
            part.save_pretrained(folder)
        return zsc.load_model(f"hf:{folder}", device="cpu")

    @pytest.fixture
    def asked(self, monkeypatch):
        """List the texts that reach the store's path, wherever it is used."""
        texts, embed = [], job.embed_texts

        def watched(model, words, *args, **options):
            texts.extend([words] if isinstance(words, str) else words)
            return embed(model, words, *args, **options)

        for module in ("classifier", "selection", "retrieval"):
            monkeypatch.setattr(f"zsc.{module}.embed_texts", watched)
        return texts

    def test_capitals_and_full_stops_through_all_of_them(self, small_siglip, pictures, asked):
        """SigLIP never saw a capital or a full stop: both are gone wherever the text comes from."""
        model = small_siglip
        images = zsc.ImageDataset(pictures, np.arange(10) % 4, ODD, name="odd")
        embeddings = zsc.embed_images(model, images, progress=False)
        clf = zsc.ZeroShotClassifier(ODD, model)
        plain = model.encode_texts(["a photo of the english springer"] * 2 + ["cat", "the cat"])
        np.testing.assert_allclose(clf.text_embeddings, plain, atol=1e-6)
        scores = clf.predict_scores(embeddings)
        for k, text in enumerate(ODD):
            found = search(embeddings, text=text, k=10, model=model).set_index("index")["cosine"]
            np.testing.assert_allclose(found.loc[range(10)], scores[:, k], atol=1e-6)
        assert asked == ODD * 2
        zsc.compare_prompts(embeddings, {"bare": "{}", "odd": "A {}."}, model=model)
        ExplorerSession(embeddings, model).ask(dict(zip(ODD, ["Cat.", "b", "c", "d"], strict=True)))
        assert "A Cat,." in asked and "Cat." in asked

    def test_all_candidates_at_once_each_text_once(self, colour_dataset, tmp_path):
        model = ColourEncoder()
        embeddings = zsc.embed_images(model, colour_dataset, progress=False)
        candidates = {"bare": "{}", "photo": ["{}", "a photo of a {}"], "list": ["red", "green", "blue"]}
        table = zsc.compare_prompts(embeddings, candidates, model=model, store=tmp_path)
        assert len(model.texts_seen) == len(set(model.texts_seen)) == 6
        alone = [zsc.ZeroShotClassifier(zsc.ClassPrompts.from_names(["red", "green", "blue"], t), ColourEncoder())
                 .evaluate(embeddings).accuracy for t in ("{}", ["{}", "a photo of a {}"], "{}")]  # fmt: skip
        assert table["accuracy"].tolist() == alone
        assert len(list(tmp_path.rglob("part-*"))) == 1
        other = ColourEncoder()
        choice = zsc.choose_prompts(embeddings, candidates, model=other, store=tmp_path)
        assert not other.texts_seen and choice.name in candidates

    def test_the_commands_keep_them(self, toy, encoded, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("zsc.cli._options.load_model", lambda name: toy)
        words = ["--dataset", "samples", "--store", str(tmp_path / "kept")]
        compare, counts = ["compare", "--templates", "{}", "a photo of a {}"], []
        for command in (["evaluate"], ["evaluate"], compare, compare):
            forget(toy)
            encoded.clear()
            assert cli.main([*command, *words]) == 0, capsys.readouterr()
            counts.append(len(encoded))
        assert counts[1] == counts[3] == 0 < counts[0] and counts[2] > 0

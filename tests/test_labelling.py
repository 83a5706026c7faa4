"""The accuracy from few labels: the estimator is the textbook's, its interval holds the truth, and no label is lost."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import softmax

import zsc
from zsc import cli, labels
from zsc.evaluation import Evaluation
from zsc.labels import FIRST, STEP, CorrectionSession, LabelSession, Sample
from zsc.statistics import wilson_interval

ODD = ["a b.png", 'q"uote.png', "new\nline.png", "=1+1.png", "comma,.png", "\N{GRINNING FACE}.png", " space .png"]


def drawn(n=2000, k=3, strength=2.5, *, blind=False, seed=0):
    """Draw probabilities and true classes; of a blind model they say nothing of which answers are right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += strength
    proba = softmax(2 * logits, axis=1)
    right = proba.argmax(axis=1) == truth
    right = rng.permutation(right) if blind else right
    return proba, np.where(right, proba.argmax(axis=1), (proba.argmax(axis=1) + 1) % k)


def answered(n=200, **options):
    proba, truth = drawn(n, **options)
    names = [*ODD, *(f"{i}.png" for i in range(len(ODD), n))]
    return Evaluation(np.full(n, -1), proba, ["cat", "n", "two dogs"], images=names), truth


def label(session, truth, count):
    for _ in range(count):
        session.press(str(truth[session.row] + 1))


def covered(proba, truth, width, runs=300):
    """Stop as soon as a look is narrow enough: how often the interval holds the accuracy, and labels; so by Wilson."""
    right, found = proba.argmax(axis=1) == truth, []
    for seed in range(runs):
        sample, rows = Sample(proba, seed=seed), np.random.default_rng(seed).permutation(len(right))
        for ends in (
            lambda n, s=sample: s.estimate(s.order[:n], right[s.order[:n]])[1:3],
            lambda n, r=rows: wilson_interval(int(right[r[:n]].sum()), n),
        ):
            n = FIRST
            while np.ptp(ends(n)) > width:
                n += STEP
            low, high = ends(n)
            found.append((low <= right.mean() <= high, n))
    return np.array(found, dtype=float).reshape(runs, 2, 2).mean(axis=0)


class TestEstimate:
    def test_it_is_that_of_prediction_powered_inference(self, monkeypatch):
        """Figures of ppi_mean_pointestimate of ppi-python 0.2.3, with its weights 0, 0.5 and 1, in one stratum."""
        monkeypatch.setattr(labels, "QUARTERS", 1)
        sure = np.array([
            0.82, 0.63, 0.52, 0.51, 0.91, 0.96, 0.8, 0.86, 0.77, 0.97, 0.91, 0.5, 0.93, 0.52, 0.86, 0.59, 0.93, 0.77,
            0.65, 0.71, 0.51, 0.56, 0.84, 0.82, 0.81, 0.69, 1.0, 0.99, 0.84, 0.83, 0.84, 0.69, 0.57, 0.86, 0.76, 0.66,
            0.74, 0.94, 0.97, 0.68,
        ])  # fmt: skip
        rows, right = [10, 14, 35, 36, 28, 33, 39, 31, 25, 6, 23, 4], [1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1]
        found = Sample(np.c_[sure, 1 - sure]).estimate(rows, right)
        assert np.interp(found.weight, [0, 0.5, 1], [0.83333333, 0.82316667, 0.813]) == pytest.approx(found.accuracy)
        steep = np.where(right, 0.9, 0.6)  # probabilities that tell right from wrong
        sure[rows] = steep
        found = Sample(np.c_[sure, 1 - sure]).estimate(rows, right)
        assert found.weight == 1 and found.accuracy == pytest.approx(np.mean(right) - steep.mean() + sure.mean())

    def test_without_weight_it_is_the_mean_over_strata(self):
        proba, truth = drawn(400, blind=True)
        sample, right = Sample(proba), proba.argmax(axis=1) == truth
        rows = sample.order[:80]
        found = sample.estimate(rows, right[rows])
        sure, expected = proba.max(axis=1), 0.0
        for stratum in np.unique(sample.strata):
            here, told = sample.strata == stratum, rows[sample.strata[rows] == stratum]
            expected += (
                here.mean() * (right[told] - found.weight * sure[told]).mean() + found.weight * (here * sure).mean()
            )
        assert found.accuracy == pytest.approx(expected)

    def test_of_all_labels_it_is_the_accuracy_itself(self):
        proba, truth = drawn(120)
        right = proba.argmax(axis=1) == truth
        found = Sample(proba).estimate(np.arange(120), right)
        assert found[:4] == pytest.approx((right.mean(), right.mean(), right.mean(), 120))

    @pytest.mark.parametrize("right", [0, 1])
    def test_without_a_mistake_it_is_no_surer_than_wilson_of_as_many(self, right):
        proba, _ = drawn(100_000, k=2)
        sample = Sample(proba)
        found = sample.estimate(sample.order[:50], np.full(50, right))
        low, high = wilson_interval(50 * right, 50)
        assert found.accuracy == right and found.high - found.low == pytest.approx(high - low, rel=0.25)

    @pytest.mark.parametrize("n", [1, 2, 3, 5, 11])
    def test_few_pictures(self, n):
        proba, truth = drawn(n)
        right = proba.argmax(axis=1) == truth
        for count in range(1, n + 1):
            sample = Sample(proba)
            found = sample.estimate(sample.order[:count], right[sample.order[:count]])
            assert 0 <= found.low <= found.accuracy + 1e-12 and found.accuracy <= found.high + 1e-12 <= 1 + 1e-9


class TestOrder:
    def test_each_beginning_has_the_strata_in_their_shares(self):
        proba, _ = drawn(3000, k=2)
        sample = Sample(proba)
        assert sorted(sample.order) == list(range(3000)) and sample.strata.max() == 7
        shares = np.bincount(sample.strata) / 3000
        for n in (30, 100, 500):
            ratio = np.bincount(sample.strata[sample.order[:n]], minlength=8) / n / shares
            assert ratio.min() > 0.4 and ratio.max() < 2.1
        assert (sample.order != Sample(proba, seed=1).order).any() and (sample.order == Sample(proba).order).all()

    def test_within_a_stratum_every_picture_is_as_likely(self):
        proba, _ = drawn(60, k=2)
        sample = Sample(proba)
        seen = np.sum([np.isin(np.arange(60), Sample(proba, seed=s).order[:20]) for s in range(600)], axis=0) / 600
        for stratum in np.unique(sample.strata):
            assert np.ptp(seen[sample.strata == stratum]) < 0.13  # 4 standard errors and more


class TestCoverage:
    """Small; `python -m benchmarks.labelling` is the full simulation."""

    @pytest.mark.slow
    def test_it_holds_where_labelling_stops_at_a_width_and_saves_labels(self):
        (holds, labels), (_, plain) = covered(*drawn(strength=1.8), 0.12)
        assert 0.93 <= holds <= 0.985 and labels < 0.9 * plain

    @pytest.mark.slow
    def test_it_holds_for_a_model_whose_probabilities_say_nothing(self):
        population = drawn(strength=4, blind=True)
        (holds, labels), (_, plain) = covered(*population, 0.12)
        assert 0.93 <= holds <= 1 and labels < 1.1 * plain


class TestSession:
    def test_labels_are_kept_gone_on_with_and_joined_by_path(self, tmp_path):
        answer, truth = answered()
        session = LabelSession(answer, tmp_path / "labels.csv")
        assert session.estimate is None and "0 labels; the first interval comes after 30" in session.summary()
        label(session, truth, 200)
        assert session.row is None and session.estimate.low == session.estimate.high
        again = LabelSession(answer, tmp_path / "labels.csv")
        assert again.summary() == session.summary()
        table = pd.read_csv(tmp_path / "labels.csv").merge(answer.table, on="image", validate="1:1")
        assert len(table) == 200 and set(ODD) < set(table["image"])
        right = np.array(answer.class_names)[table["y_pred"]] == table["label"]
        assert right.mean() == pytest.approx(session.estimate.accuracy) == (answer.y_pred == truth).mean()
        with pytest.raises(ValueError, match="all are labelled; u takes one back"):
            session.press("1")

    def test_intervals_come_at_their_looks_only(self, tmp_path):
        answer, truth = answered()
        session = LabelSession(answer, tmp_path / "labels.csv")
        seen = []
        for _ in range(62):
            label(session, truth, 1)
            seen.append(session.estimate and session.estimate.n)
        assert seen == [None] * 29 + [30] * 10 + [40] * 10 + [50] * 10 + [60] * 3

    def test_keys(self, tmp_path):
        answer, _ = answered()
        session = LabelSession(answer, tmp_path / "labels.csv")
        for key in ("", "2", "n", "s", "two dogs", " 3 "):
            session.press(key)
        assert [row[1:3] for row in session.rows] == [
            [session.rows[0][3], "class"], ["n", "class"], ["", "none"], ["", "skip"], ["two dogs", "class"],
            ["two dogs", "class"],
        ]  # fmt: skip
        assert "1 of none of these classes, 1 skipped" in session.summary()
        session.press("u")
        assert len(session.rows) == 5 == len(LabelSession(answer, tmp_path / "labels.csv").rows)
        for key in ("0", "4", "x", "-1"):
            with pytest.raises(ValueError, match="type a number from 1 to 3, n, s or u"):
                session.press(key)
        for _ in range(5):
            session.press("u")
        with pytest.raises(ValueError, match="'u': type"):
            session.press("u")
        assert LabelSession(answer, tmp_path / "labels.csv").rows == []

    def test_skipped_pictures_do_not_count_and_none_is_wrong(self, tmp_path):
        answer, _ = answered(40)
        session = LabelSession(answer, tmp_path / "labels.csv")
        for key in ["s"] * 5 + ["n"] * 35:
            session.press(key)
        assert session.estimate.n == 35 and session.estimate.accuracy == pytest.approx(0, abs=0.02)

    def test_a_file_of_something_else_is_left_alone(self, tmp_path):
        answer, truth = answered()
        path = tmp_path / "labels.csv"
        label(LabelSession(answer, path), truth, 3)
        written = path.read_bytes()
        other = Evaluation(answer.y_true, np.roll(answer.proba, 1, axis=1), answer.class_names, images=answer.images)
        for made in (lambda: LabelSession(answer, path, seed=1), lambda: LabelSession(other, path)):
            with pytest.raises(ValueError, match="holds labels of another sample, or something else; go on with"):
                made()
        assert path.read_bytes() == written
        typo = written.replace(b",class,", b"!,class,", 1)
        for content in (b"", b"a,b\n1,2\n", b"\xff\xfe", written.replace(b",class,", b",class;", 1), typo):
            path.write_bytes(content)
            with pytest.raises(ValueError, match="holds labels of another sample"):
                LabelSession(answer, path)
            assert path.read_bytes() == content

    def test_what_another_program_wrote_is_not_overwritten(self, tmp_path):
        answer, truth = answered()
        session = LabelSession(answer, tmp_path / "labels.csv")
        label(session, truth, 2)
        label(LabelSession(answer, tmp_path / "labels.csv"), truth, 1)
        with pytest.raises(ValueError, match="another program has changed it"):
            label(session, truth, 1)
        assert len(LabelSession(answer, tmp_path / "labels.csv").rows) == 3

    def test_pictures_that_cannot_be_opened_are_left_out(self, tmp_path):
        answer, _ = answered(10)
        proba = np.array(answer.proba)
        proba[3] = np.nan
        failed = Evaluation(answer.y_true, proba, answer.class_names, images=answer.images)
        assert LabelSession(failed, tmp_path / "a.csv").answer.n == 9
        with pytest.raises(ValueError, match="there are no pictures to label"):
            LabelSession(failed.select([3]), tmp_path / "a.csv")


class TestWidget:
    def test_buttons_and_keys(self, tmp_path, recwarn):
        pytest.importorskip("ipywidgets")
        answer, _ = answered(12)
        Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
        answer = Evaluation(answer.y_true, answer.proba, answer.class_names, images=[tmp_path / "red.png"] * 12)
        session = LabelSession(answer, tmp_path / "labels.csv")
        shown, buttons, box, said = session.widget().children
        assert "data:image/jpeg" in shown.value and "red.png" in shown.value
        assert 'alt="the picture to label"' in shown.value and box.description == "key"  # for a screen reader
        names = [button.description for button in buttons.children]
        assert names == ["1 cat", "2 n", "3 two dogs", "n none of these", "s skip", "u undo"]
        for button in buttons.children[:5]:
            button.click()
        assert [row[1] for row in session.rows] == ["cat", "n", "two dogs", "", ""]
        buttons.children[5].click()
        box.value = "7"
        box._submission_callbacks(box)
        assert len(session.rows) == 4 and "type a number from 1 to 3" in said.value and box.value == ""
        for _ in range(8):
            buttons.children[0].click()
        assert "all are labelled" in shown.value and "<img" not in shown.value and "accuracy" in said.value


class TestCommand:
    @pytest.fixture
    def words(self, tmp_path):
        for number, (picture, _) in enumerate(zsc.load_dataset("drawn-animals", n=34, seed=2)):
            (tmp_path / "in").mkdir(exist_ok=True)
            picture.save(tmp_path / "in" / f"{number}.png")
        (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
        given = ["--prompts", "a cat", "a dog", "a lion", "--model", "toy", "--labels", tmp_path / "labels.csv"]
        return [str(word) for word in ["label", tmp_path / "in", *given, "--no-store"]]

    def run(self, monkeypatch, capsys, words, keys):
        answers = iter(keys)

        def read(_):
            try:
                return next(answers)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", read)
        return cli.main(words), *capsys.readouterr()

    def test_it_asks_goes_on_and_stops_at_the_width(self, monkeypatch, capsys, words, tmp_path):
        code, out, err = self.run(monkeypatch, capsys, words, ["", "2", "what", "n", "u", "s", "q", "1"])
        assert code == 0 and "1 a cat, 2 a dog, 3 a lion" in out and "'what': type a number from 1 to 3" in err
        assert "2 labels; the first interval comes after 30" in out and "1 of 35 pictures cannot be opened" in out
        assert len(pd.read_csv(tmp_path / "labels.csv")) == 3
        code, out, _ = self.run(monkeypatch, capsys, [*words, "--width", "0.9"], [""] * 60)
        assert code == 0 and "from 30 labels of 34 pictures" in out and len(pd.read_csv(tmp_path / "labels.csv")) == 31

    def test_as_data(self, monkeypatch, capsys, words):
        code, out, _ = self.run(monkeypatch, capsys, [*words, "--json", "--width", "0"], [""] * 34)
        found = json.loads(out)
        assert code == 0 and found["labels"] == 34 and found["estimate"]["accuracy"] == 1


class TestCorrections:
    """What a person corrects is in the data set, nothing else moves, and all of it can be undone."""

    def doubted(self, n=60, wrong=(2, 9, 30)):
        """Label N pictures, some wrongly, and judge them with a model that is sure of the truth of these."""
        proba, truth = drawn(n, strength=9)
        labels = proba.argmax(axis=1)
        labels[list(wrong)] = (labels[list(wrong)] + 1) % 3
        dataset = zsc.ImageDataset([*ODD, *(f"{i}.png" for i in range(len(ODD), n))], labels, ["cat", "n", "two dogs"])
        return dataset, Evaluation(labels, proba, dataset.class_names, images=dataset.paths), proba.argmax(axis=1)

    def test_labels_are_put_right_and_all_else_stays(self, tmp_path):
        dataset, evaluation, truth = self.doubted()
        session = CorrectionSession(evaluation, tmp_path / "c.csv")
        assert sorted(session.order) == [2, 9, 30] and session.estimate is None
        quality = evaluation.proba[session.order, truth[session.order]]
        assert list(quality) == sorted(quality, reverse=True)  # where the model is surest of another class
        label(session, truth, 3)
        assert session.row is None and session.summary() == "3 of 3 labels looked at, 3 changed."
        found = dataset.corrected(tmp_path / "c.csv")
        assert found.labels.tolist() == truth.tolist() != dataset.labels.tolist()
        assert list(found.paths) == list(dataset.paths) and found.class_names == dataset.class_names
        assert found.notes["corrected by c.csv"] == "3 of 60 labels" and not dataset.notes
        after = Evaluation(found.labels, evaluation.proba, found.class_names, images=found.paths)
        assert (evaluation.accuracy, after.accuracy) == (57 / 60, 1.0)
        kept = (tmp_path / "c.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        (tmp_path / "c.csv").write_text("".join(kept[:-1]), encoding="utf-8")  # one is taken out by hand
        assert (dataset.corrected(tmp_path / "c.csv").labels != truth).sum() == 1

    def test_keys(self, tmp_path):
        dataset, evaluation, truth = self.doubted(wrong=range(8))
        session = CorrectionSession(evaluation, tmp_path / "c.csv", rows=[3, 1, 7, 5, 40, 0])
        for key in ("", "s", "n", "u", "n", str(truth[5] + 1), "s"):
            session.press(key)
        again = CorrectionSession(evaluation, tmp_path / "c.csv", rows=[3, 1, 7, 5, 40, 0])
        given, said = (dataset.class_names[labels[0]] for labels in (dataset.labels, truth))
        assert again.row == 0
        assert again.question(0) == f"a b.png: labelled {given} (Enter keeps it), predicted {said}"
        expected = np.array(dataset.labels)
        expected[[7, 5]] = -1, truth[5]
        assert dataset.corrected(tmp_path / "c.csv").labels.tolist() == expected.tolist()
        assert again.summary() == "5 of 6 labels looked at, 2 changed."
        for _ in range(5):
            again.press("u")
        with pytest.raises(ValueError, match="no rows below the header"):  # nothing to apply, and said
            dataset.corrected(tmp_path / "c.csv")

    def test_a_write_that_fails_loses_nothing(self, tmp_path, monkeypatch):
        dataset, evaluation, truth = self.doubted()
        session = CorrectionSession(evaluation, tmp_path / "c.csv")
        label(session, truth, 1)
        written = (tmp_path / "c.csv").read_bytes()
        with monkeypatch.context() as broken:
            broken.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(OSError, match="could not be written"):
                label(session, truth, 1)
        assert (tmp_path / "c.csv").read_bytes() == written and len(session.rows) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]
        label(session, truth, 2)
        assert dataset.corrected(tmp_path / "c.csv").labels.tolist() == truth.tolist()

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("image,label\n9.png,cat\nx.png,cat\n", "line 3 gives 'x.png' the class 'cat'; name a picture of 'images'"),
            ("image,label\n9.png,dog\n", r"line 2 gives '9\.png' the class 'dog'; .* and one of \['cat', 'n', 'two d"),
            ("image,class\n9.png,cat\n", "no column label"),
        ],
    )
    def test_an_unknown_picture_or_class_is_one_sentence(self, tmp_path, text, told):
        (tmp_path / "c.csv").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=told) as caught:
            self.doubted()[0].corrected(tmp_path / "c.csv")
        assert str(caught.value).count("\n") == 0

    def test_by_hand(self, tmp_path):
        (tmp_path / "c.csv").write_text("label;image\nn;8.png\n two  dogs ;8.png\n;7.png\n", encoding="utf-8")
        dataset, *_ = self.doubted()
        found = dataset.corrected(tmp_path / "c.csv").labels
        assert found[8] == 2 and found[7] == -1  # of two rows the last counts
        assert np.delete(found, [7, 8]).tolist() == np.delete(dataset.labels, [7, 8]).tolist()
        memory = zsc.load_dataset("drawn-animals", n=4)
        (tmp_path / "c.csv").write_text("image,label\npicture 2,wild\n", encoding="utf-8")
        assert memory.corrected(tmp_path / "c.csv").labels.tolist() == [*memory.labels[:2], 2, memory.labels[3]]
        several = zsc.load_dataset("drawn-animals", n=4, attributes=True)
        with pytest.raises(ValueError, match="line 2 gives 'picture 2'"):
            several.corrected(tmp_path / "c.csv")

    def test_what_cannot_be_corrected(self, tmp_path):
        _, evaluation, _ = self.doubted(wrong=())
        proba, names = evaluation.proba, evaluation.class_names
        bare = Evaluation(np.full(60, -1), proba, names, images=evaluation.images)
        for made, rows in ((evaluation, None), (bare, None), (bare, [1])):
            with pytest.raises(ValueError, match="there is no label to correct"):
                CorrectionSession(made, tmp_path / "c.csv", rows=rows)
        memory = Evaluation(evaluation.y_true, proba, names, images=[Image.new("RGB", (8, 8))] * 60)
        with pytest.raises(ValueError, match="in memory has no name that a file could keep"):
            CorrectionSession(memory, tmp_path / "c.csv", rows=[4])
        assert not (tmp_path / "c.csv").exists()

    def test_the_panel(self, tmp_path, recwarn):
        pytest.importorskip("ipywidgets")
        _, evaluation, truth = self.doubted()
        session = CorrectionSession(evaluation, tmp_path / "c.csv")
        shown, buttons, _, said = session.widget().children
        row = session.row
        assert (
            f"labelled {session.proposed[row]} (Enter keeps it), predicted {evaluation.class_names[truth[row]]}"
            in shown.value
        )
        buttons.children[truth[row]].click()
        assert session.rows[0][1] == evaluation.class_names[truth[row]] and "1 changed" in said.value

    def test_pictures_are_untouched_and_embedded_once(self, tmp_path, colours, monkeypatch):
        for i, colour in enumerate(("red", "green", "blue")):
            Image.new("RGB", (8, 8), colour).save(tmp_path / f"{i}.png")
        before = {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}
        dataset = zsc.ImageDataset([tmp_path / name for name in before], [0, 1, 0], ["warm", "cold"])
        first = zsc.embed_images(colours, dataset, tmp_path / "store", progress=False)
        (tmp_path / "c.csv").write_text(f"image,label\n{dataset.paths[1]},warm\n", encoding="utf-8")
        monkeypatch.setattr(type(colours), "encode_pixels", lambda *_: pytest.fail("embedded again"))
        again = zsc.embed_images(colours, dataset.corrected(tmp_path / "c.csv"), tmp_path / "store", progress=False)
        assert again.digests == first.digests and np.array_equal(again.values, first.values)
        assert (first.labels.tolist(), again.labels.tolist()) == ([0, 1, 0], [0, 0, 0])
        assert {path.name: path.read_bytes() for path in tmp_path.glob("*.png")} == before


class TestMergeClasses:
    def test_two_questions_of_one_folder(self):
        dataset = zsc.ImageDataset(list("abcde"), [0, 1, 2, 3, -1], ["lion", "cat", "tiger", "dog"])
        merged = dataset.merge_classes({"wild": ["tiger", "lion"], "pet": ["cat", "dog"]})
        assert merged.class_names == ["wild", "pet"] and merged.labels.tolist() == [0, 1, 0, 1, -1]
        assert list(merged.paths) == list("abcde") and dataset.class_names[2] == "tiger"
        kept = dataset.merge_classes({"lion": ["lion", "tiger"]})
        assert kept.class_names == ["lion", "cat", "dog"] and kept.labels.tolist() == [0, 1, 0, 2, -1]

    @pytest.mark.parametrize(
        "groups",
        [{"wild": ["lion", "wolf"]}, {"a": ["lion"], "b": ["lion"]}, {"cat": ["lion"]}, {"a": ["lion", "lion"]}],
    )
    def test_what_cannot_be_merged(self, groups):
        dataset = zsc.ImageDataset(["a"], [0], ["lion", "cat", "tiger"])
        with pytest.raises(ValueError, match="must name classes of .* each once"):
            dataset.merge_classes(groups)
        with pytest.raises(TypeError, match="groups is the one text 'cat'"):
            dataset.merge_classes({"pet": "cat"})

"""An audit against naive counts, against classifiers whose flaw is known, and against ones that have none."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from scipy.stats import binomtest, fisher_exact

import zsc
from benchmarks import planted
from zsc import cli
from zsc.auditing import CHANGES, EXAMPLES
from zsc.embeddings import ImageEmbeddings
from zsc.evaluation import evaluate
from zsc.explanation import _windows, pointing_game
from zsc.probes import linear_probe
from zsc.statistics import wilson_interval

CLASSES = ["red", "green", "blue"]


@pytest.fixture
def balls():
    """Noisy one-coloured pictures, some of which the colour model takes for another class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    mixed = 0.3 * np.eye(3)[labels] + 0.6 * rng.random((90, 3))
    pictures = [Image.fromarray(np.full((20, 24, 3), 255 * row / mixed.max(), np.uint8)) for row in mixed]
    return zsc.ImageDataset(pictures, labels, CLASSES, name="balls")


@pytest.fixture
def clf(colours):
    return zsc.ZeroShotClassifier(CLASSES, colours)


def rows(found, kind):
    return found.table[found.table["kind"] == kind].set_index("name")


def naive_holm(p_values):
    """Step down by hand, as in Holm (1979)."""
    order, most, corrected = sorted(range(len(p_values)), key=lambda i: p_values[i]), 0.0, [0.0] * len(p_values)
    for rank, i in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = most
    return corrected


class TestChanges:
    def test_flips_and_tests_equal_a_naive_loop(self, clf, balls):
        found = rows(zsc.audit(clf, balls, progress=False), "change")
        before = clf.predict(balls)["y_pred"].to_numpy()
        p_values = []
        for name, change in CHANGES.items():
            rng = np.random.default_rng(0).integers(1, 3, len(balls))
            flips = right = wrong = 0
            words = [CLASSES[(label + step) % 3] for label, step in zip(balls.labels, rng, strict=True)]
            changed = [
                change(picture.copy(), np.random.default_rng((0, i)), words[i]) for i, picture in enumerate(balls.paths)
            ]
            for i, (label, answer) in enumerate(zip(balls.labels, clf.predict(changed)["y_pred"], strict=True)):
                flips += answer != before[i]
                right += answer == label != before[i]
                wrong += before[i] == label != answer
            row = found.loc[name]
            assert (row["n"], round(row["value"] * 90)) == (90, flips), name
            assert (row["low"], row["high"]) == wilson_interval(flips, 90)
            assert round(90 * row["difference"]) == right - wrong
            p_values.append(binomtest(right, right + wrong).pvalue if right + wrong else 1.0)
        assert found["p_value"].tolist() == pytest.approx(p_values)
        assert found["p_adjusted"].tolist() == pytest.approx(naive_holm(p_values))
        assert (found["verdict"] == np.where(found["p_adjusted"] < 0.05, "told apart", "not told apart")).all()
        assert found["value"].min() > 0 or found["value"].max() > 0.2  # the pictures tell something

    def test_an_identity_flips_nothing_and_a_turn_of_colours_most(self, clf, balls):
        changes = {"same": lambda picture, *_: picture, "negative": lambda picture, *_: ImageOps.invert(picture)}
        found = rows(zsc.audit(clf, balls, changes=changes, progress=False), "change")
        assert found.loc["same", ["value", "difference", "p_value"]].tolist() == [0, 0, 1]
        assert found.loc["negative", "value"] > 0.9 and found.loc["negative", "verdict"] == "told apart"

    def test_a_model_that_reads_is_caught_by_the_name_and_not_by_the_label(self, clf, balls, colours):
        names, right = clf.class_names, clf.predict(balls)["y_pred"].to_numpy() == balls.labels
        labels = {name: CHANGES["wrong name"](Image.new("RGB", (24, 20)), None, name) for name in names}
        signs = {np.asarray(label)[16:18].tobytes(): name for name, label in labels.items()}

        class Reads:
            class_names, model, evaluate = names, colours, clf.evaluate

            def predict_proba(self, embeddings):
                proba = clf.predict_proba(embeddings)
                for row, source in zip(proba, embeddings.paths, strict=True):
                    if name := signs.get(np.asarray(zsc.open_image(source))[16:18].tobytes()):
                        row[:] = np.eye(3)[names.index(name)]
                return proba

        found = rows(zsc.audit(Reads(), balls, changes=["wrong name", "white label"], progress=False), "change")
        plain = rows(zsc.audit(clf, balls, changes=["wrong name", "white label"], progress=False), "change")
        assert len(signs) == 3 and found.loc["wrong name", "after"] == 0  # it always answers what is written
        assert found.loc["wrong name", ["difference", "verdict"]].tolist() == [-right.mean(), "told apart"]
        columns = ["value", "after", "p_value"]
        assert found.loc["white label", columns].equals(plain.loc["white label", columns])
        assert plain.loc["wrong name", "after"] > 0.5

    def test_the_seed_decides_words_and_noise_by_the_number_of_the_picture(self, clf, balls):
        one, same = (zsc.audit(clf, balls, seed=1, progress=False) for _ in range(2))
        pd.testing.assert_frame_equal(one.table, same.table)

        def looks(change, seed):
            shown = zsc.audit(clf, balls.head(5), seed=seed, changes=[change], progress=False).examples
            return {i: changed().tobytes() for i, changed in zip(shown["index"], shown["changed"], strict=True)}

        for change, different in (("noise 10 %", 5), ("wrong name", 1), ("mirror", 0)):
            first, again, other = (looks(change, seed) for seed in (1, 1, 2))
            assert first == again and sum(first[i] != other[i] for i in range(5)) >= different, change
            assert different or first == other, change

    def test_examples_lost_most_and_open(self, clf, balls):
        found = zsc.audit(clf, balls, changes=["grey", "blur"], progress=False)
        before = clf.predict_proba(balls)
        grey = clf.predict_proba([picture.convert("L") for picture, _ in balls])
        lost = before.max(axis=1) - grey[np.arange(90), before.argmax(axis=1)]
        first = found.examples[found.examples["change"] == "grey"]
        assert len(first) == EXAMPLES and set(first["index"]) == set(np.argsort(-lost)[:EXAMPLES])
        assert first["lost"].tolist() == pytest.approx(sorted(lost)[: -EXAMPLES - 1 : -1])
        assert zsc.open_image(first["changed"].iloc[0]).size == (24, 20)

    def test_without_labels_only_flips_are_counted(self, clf, balls):
        bare = zsc.ImageDataset(balls.paths, None, [], name="bare")
        found, known = (zsc.audit(clf, data, changes=["grey"], progress=False) for data in (bare, balls))
        assert found.table["value"].tolist() == known.table["value"].tolist()
        assert found.table[["before", "p_value", "verdict"]].isna().all(axis=None)
        with pytest.raises(ValueError, match="90 of 90 pictures have no label"):
            zsc.audit(clf, bare, by=[0] * 90, progress=False)

    def test_changes_leave_the_size_and_the_given_picture(self):
        rng, picture = (
            np.random.default_rng(0),
            Image.fromarray(np.arange(48 * 65 * 3, dtype=np.uint8).reshape(48, 65, 3)),
        )
        kept = picture.tobytes()
        for name, change in CHANGES.items():
            changed = change(picture.copy(), rng, "a long name")
            assert changed.convert("RGB").tobytes() != kept, name
            assert changed.size == ((51, 34) if name == "crop 70 %" else (65, 48)), name
        for size in ((1, 1), (3, 400)):
            for name, change in CHANGES.items():
                assert change(Image.new("RGB", size), rng, "").size >= (1, 1), name

    def test_what_cannot_be_opened_is_left_out(self, clf, balls, tmp_path):
        paths = [*balls.paths[:40], tmp_path / "none.png", *balls.paths[41:]]
        broken = zsc.ImageDataset(paths, balls.labels, CLASSES, name="broken")
        with pytest.raises(zsc.ImageError, match="no such file"):
            zsc.audit(clf, broken, progress=False)
        by = np.where(np.arange(90) == 40, "lost", "there")
        for how in ("skip", "record"):
            found = zsc.audit(clf, broken, by, changes=["grey"], on_error=how, progress=False)
            assert found.evaluation.n == 89 and rows(found, "group").index.tolist() == ["group = there"]
            assert rows(found, "change")["n"].tolist() == [89]
            assert found.failures["index"].tolist() == [40] and "no such file" in found.failures["error"][0]
            for row in found.examples.itertuples():  # numbers are those of the data set, whatever is left out
                assert paths[row.index] is row.image
        last = zsc.audit(clf, broken.select([40, 89]), changes=["grey"], on_error="skip", progress=False).examples
        assert last["index"].tolist() == [1]

    def test_published_decisions_stand_beside_similar_changes(self, clf, balls):
        found = zsc.audit(clf, balls, changes=["grey", "mirror"], progress=False).published
        assert found["name"].tolist() == ["grey", "grey"] and found["condition"].tolist() == ["cr", "bw"]
        assert found[["vit_b32", "human_right"]].to_numpy().tolist() == [[622, 2326], [612, 2270]]


class Known:
    """A classifier that says what a column of the embeddings holds."""

    class_names = ("no", "yes")

    def predict_proba(self, embeddings):
        yes = embeddings.values[:, 0] > 0
        return np.stack([~yes, yes], axis=1).astype(float)

    def evaluate(self, embeddings):
        return evaluate(embeddings.labels, self.predict_proba(embeddings), self.class_names)


def answers(labels, right):
    """Make embeddings of which `Known` gets those right that are said to be."""
    yes = np.where(right, labels, 1 - np.asarray(labels)) == 1
    values = np.stack([np.where(yes, 1.0, -1.0), np.zeros(len(yes))], axis=1).astype(np.float32)
    return ImageEmbeddings(values, [f"{i}.png" for i in range(len(yes))], np.asarray(labels), ["no", "yes"])


class TestGroups:
    def test_accuracies_and_gap_equal_a_naive_count(self):
        rng = np.random.default_rng(3)
        labels, group = rng.integers(0, 2, 400), rng.choice(["a", "b", "c", ""], 400, p=[0.5, 0.3, 0.15, 0.05])
        right = rng.random(400) < np.where(group == "b", 0.7, 0.95)
        found = zsc.audit(Known(), answers(labels, right), {"place": group}, changes=())
        groups, gap = rows(found, "group"), rows(found, "gap").iloc[0]
        for name in "abc":
            k, n = right[group == name].sum(), (group == name).sum()
            expected = (n, k / n, *wilson_interval(int(k), int(n)))
            assert groups.loc[f"place = {name}", ["n", "value", "low", "high"]].tolist() == pytest.approx(expected)
        assert len(groups) == 3  # "" is no group
        (best, k, n), (worst, j, m) = max(counts := counted(right, group)), min(counts)
        assert gap["value"] == pytest.approx(best - worst) and gap["verdict"] == "told apart"
        assert gap["p_value"] == pytest.approx(3 * fisher_exact([[k, n - k], [j, m - j]]).pvalue)
        (low, high), (below, above) = (wilson_interval(*of, 1 - 0.05 / 3) for of in ((k, n), (j, m)))
        wanted = [
            best - worst - np.hypot(best - low, above - worst),
            best - worst + np.hypot(high - best, worst - below),
        ]
        assert gap[["low", "high"]].tolist() == pytest.approx(wanted)

    def test_small_groups_are_not_judged_and_no_worst(self):
        group = np.repeat(["many", "some", "few", "wide"], [200, 100, 29, 35])
        right = np.r_[[True] * 190, [False] * 10, [True] * 90, [False] * 10, [False] * 29, [True, False] * 17, [True]]
        found = zsc.audit(Known(), answers(np.zeros(364, int), right), group, changes=())
        told = rows(found, "group")["verdict"]
        assert told[["group = few", "group = wide"]].tolist() == ["too few to be judged"] * 2
        assert told[["group = many", "group = some"]].isna().all()
        assert rows(found, "gap").index.tolist() == ["group: many less some"]
        alone = zsc.audit(Known(), answers(np.zeros(364, int), right), np.where(group == "many", 1, np.nan), changes=())
        assert rows(alone, "gap")["verdict"].tolist() == ["too few groups to be judged"]

    def test_another_classifier_is_compared_group_by_group(self):
        group, labels = np.repeat(["a", "b"], 100), np.zeros(200, int)
        right = np.r_[[True] * 100, [True] * 60, [False] * 40]

        class Other(Known):
            def predict_proba(self, embeddings):
                return np.tile([1.0, 0.0], (len(embeddings.values), 1))

        found = rows(zsc.audit(Known(), answers(labels, right), group, against=Other(), changes=()), "group")
        assert found["before"].tolist() == [1, 1] and found["after"].tolist() == [1, 0.6]
        assert found["p_value"].tolist() == pytest.approx([1, 2 * 0.5**40])
        assert found["verdict"].tolist() == ["not told apart", "told apart"]

    def test_the_interval_of_the_gap_is_newcombes(self):
        """Newcombe (1998), table II, method 10: 56 of 70 less 48 of 80 has the interval .0524 to .3339."""
        right, group = np.r_[[True] * 56, [False] * 14, [True] * 48, [False] * 32], np.repeat(["a", "b"], [70, 80])
        gap = rows(zsc.audit(Known(), answers(np.zeros(150, int), right), group, changes=()), "gap").iloc[0]
        assert gap[["low", "high"]].tolist() == pytest.approx([0.0524, 0.3339], abs=5e-5)

    def test_equal_groups_are_seldom_accused(self):
        """Four groups of one accuracy, 300 times: the chance of a false alarm is at most 5 %."""
        rng, alarms = np.random.default_rng(0), 0
        for _ in range(300):
            right, group = rng.random(240) < 0.85, rng.permutation(np.repeat(list("abcd"), 60))
            table = zsc.audit(Known(), answers(np.zeros(240, int), right), group, changes=()).table
            alarms += (table["verdict"] == "told apart").any()
        assert alarms <= 300 * 0.05


def counted(right, group):
    return [(right[group == g].mean(), int(right[group == g].sum()), int((group == g).sum())) for g in "abc"]


class TestCauses:
    def test_effect_and_test_equal_a_naive_count(self):
        rng = np.random.default_rng(5)
        off, on = rng.random(200) < 0.4, rng.random(200) < 0.4
        on |= rng.random(200) < 0.3
        pair = [answers(np.ones(200, int), said) for said in (off, on)]
        row = rows(zsc.audit(Known(), pair[0], causes={"hat": pair, "none": [pair[0]] * 2}, changes=()), "cause")
        assert row.index.tolist() == ["hat → yes", "none → yes"]  # of two classes the second
        won, lost = int((on & ~off).sum()), int((off & ~on).sum())
        p = binomtest(won, won + lost).pvalue
        wanted = (200, (won + lost) / 200, off.mean(), on.mean(), (won - lost) / 200, p, 2 * p)
        columns = ["n", "value", "before", "after", "difference", "p_value", "p_adjusted"]
        assert row.loc["hat → yes", columns].tolist() == pytest.approx(wanted)
        assert row.loc["none → yes", [*columns[1:2], "p_adjusted"]].tolist() == [0, 1]

    def test_of_more_classes_each_is_tested(self, clf, balls):
        turned = zsc.ImageDataset([ImageOps.invert(p) for p in balls.paths], balls.labels, CLASSES, name="balls")
        found = zsc.audit(clf, balls, causes={"negative": (balls, turned)}, changes=(), progress=False)
        assert rows(found, "cause").index.tolist() == [f"negative → {name}" for name in CLASSES]

    def test_names_are_for_drawings_as_they_were_drawn(self, colours):
        drawn = zsc.load_dataset("drawn-glasses", n=6, seed=3)
        clf = zsc.ZeroShotClassifier(["red", "green"], colours)
        bare = zsc.ImageDataset(drawn.paths, None, [], name=drawn.name, split_name="test", notes=drawn.notes)
        found = zsc.audit(clf, bare, causes=["hat", "smile"], changes=(), progress=False)
        assert rows(found, "cause").index.tolist() == ["hat → green", "smile → green"]
        for asked in ({"by": "hat"}, {"causes": ["hat"]}):
            with pytest.raises(ValueError, match="attributes are known of drawings only, all and in the order"):
                zsc.audit(clf, bare.select([0, 2]), changes=(), progress=False, **asked)
        with pytest.raises(ValueError, match="by='cap'; by must be one of glasses, sunglasses, hat"):
            zsc.audit(clf, bare, by="cap")
        with pytest.raises(ValueError, match="change='woman'; change must be one of"):
            zsc.audit(clf, bare, causes=["woman"])

    def test_a_column_of_drawings_is_what_was_drawn(self, clf):
        drawn = zsc.load_dataset("drawn-glasses", n=40, seed=3)
        truth = zsc.load_dataset("drawn-glasses", n=40, seed=3, attributes=True)
        hats = truth.labels[:, truth.class_names.index("hat")]
        labels = drawn.labels

        class Right:
            class_names, model = ("no glasses", "glasses"), clf.model

            def evaluate(self, embeddings):
                return evaluate(labels, np.eye(2)[labels], self.class_names)

        found = rows(zsc.audit(Right(), drawn, by="hat", changes=(), progress=False), "group")
        assert found["n"].to_dict() == {"hat = False": (hats == 0).sum(), "hat = True": (hats == 1).sum()}


class TestUse:
    def test_a_probe_is_audited_with_the_model_that_embeds(self, clf, balls, colours):
        probe = linear_probe(zsc.embed_images(colours, balls, progress=False), strengths=[0.01], validation=None)
        found = zsc.audit(probe, balls, changes=["grey"], model=colours, progress=False)
        assert found.evaluation.accuracy == probe.evaluate(zsc.embed_images(colours, balls)).accuracy
        with pytest.raises(TypeError, match="model"):
            zsc.audit(probe, balls, progress=False)

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"changes": ["glitter"]}, "changes='glitter'; changes must be one of wrong name, white label"),
            ({"by": [1, 2]}, "dataset holds 90 and group holds 2; both must hold the same number"),
            ({"seed": -1}, "seed=-1; seed must be a whole number of 0 or more"),
        ],
    )
    def test_errors(self, clf, balls, asked, message):
        with pytest.raises(ValueError, match=message):
            zsc.audit(clf, balls, progress=False, **asked)

    def test_several_labels_are_refused(self, colours, balls):
        many = zsc.ImageDataset(balls.paths, np.eye(3, dtype=int)[balls.labels], CLASSES, name="many")
        clf = zsc.ZeroShotClassifier(CLASSES, colours, multi_label=True, thresholds=0.5)
        with pytest.raises(ValueError, match="the classes of this result do not exclude each other"):
            zsc.audit(clf, many, progress=False)
        with pytest.raises(ValueError, match="the classes of this result do not exclude each other"):
            zsc.audit(clf, zsc.ImageDataset(balls.paths, None, []), progress=False)

    def test_report_and_figure_say_it(self, clf, balls):
        turned = [ImageOps.invert(p) for p in balls.paths]
        found = zsc.audit(clf, balls, np.repeat(["<a>", "b"], 45), causes={"x": (balls, balls)}, progress=False)
        page = zsc.report.html_report(found.evaluation, audit=found)
        for text in ("What breaks it", "contrast 30 %", "group = &lt;a&gt;", "x → blue", "bethgelab", "<td>2326</td>"):
            assert text in page, text
        assert page.count("<figcaption") >= EXAMPLES * len(CHANGES) and turned
        few = zsc.audit(clf, balls.head(20), np.repeat(["a", "b"], 10), changes=(), progress=False)  # no gap is judged
        assert "- to -" not in zsc.report.html_report(few.evaluation, audit=few)
        assert "What breaks it" not in zsc.report.html_report(found.evaluation)
        drawn = zsc.plots.audit(found)
        names = [label.get_text() for label in drawn.get_yticklabels()]
        assert names[:2] == ["change: wrong name", "change: white label"] and len(names) == len(CHANGES) + 2 + 1 + 3
        assert (
            f"{found.table['value'][9]:.3f} (" in drawn.texts[9].get_text()
            and "told apart" in drawn.texts[9].get_text()
        )
        assert "group = b" in zsc.plots.describe(drawn)

    def test_the_command(self, capsys, tmp_path, monkeypatch, colours):
        monkeypatch.setattr("zsc.cli._options.load_model", lambda name: colours)
        prompts = tmp_path / "prompts.json"
        prompts.write_text('{"no glasses": "red", "glasses": "green"}')
        words = ["audit", "--dataset", "drawn-glasses", "--limit", "40", "--prompts-file", prompts, "--by", "hat",
                 "--causes", "hat", "--figure", tmp_path / "a.png", "--html", tmp_path / "a.html"]  # fmt: skip
        assert cli.main([*map(str, words), "--json"]) == 0
        data = json.loads(capsys.readouterr().out)
        kinds = [row["kind"] for row in data["table"]]
        assert kinds == ["change"] * len(CHANGES) + ["group"] * 2 + ["gap", "cause"]
        assert data["n"] == 40 and len(data["published"]) == 8 and data["examples"][0]["image"].startswith("picture ")
        assert (tmp_path / "a.png").stat().st_size > 10_000 and "What breaks it" in (tmp_path / "a.html").read_text()
        assert cli.main([*map(str, words[:7]), "--quiet"]) == 0
        shown = capsys.readouterr().out
        assert "contrast 30 %" in shown and "Accuracy" in shown and "group" not in shown

    def test_the_command_says_what_it_left_out(self, capsys, tmp_path, monkeypatch, colours):
        monkeypatch.setattr("zsc.cli._options.load_model", lambda name: colours)
        for name in ("red", "green"):
            (tmp_path / name).mkdir()
            Image.new("RGB", (8, 8), name).save(tmp_path / name / "1.png")
        (tmp_path / "red" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
        words = ["audit", "--folder", str(tmp_path), "--on-error", "skip", "--quiet"]
        assert cli.main(words) == 0
        shown = capsys.readouterr().out
        assert "1 of 3 pictures cannot be opened" in shown and "2.png" in shown
        assert cli.main([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["failures"][0]["index"] == 2


@pytest.mark.slow
def test_a_planted_hat_is_named_and_the_healthy_twin_is_not_accused():
    """Two probes of the same drawings, of which only one saw hats go with glasses; 20 audits of 60 drawings each."""
    model = zsc.load_model("toy")
    train = planted.with_and_without(model, "hat", 250, split="train", seed=11)
    pairs = {"hat": planted.with_and_without(model, "hat", 200, seed=12)}
    chances = [np.random.default_rng(i).choice(200, 60, replace=False) for i in range(20)]
    found = {}
    for name, shares in planted.PROBES.items():
        probe = planted.plant(*train, shares)
        assert probe.evaluate(pairs["hat"][0]).accuracy > 0.85  # by itself an accuracy shows nothing
        found[name] = pd.concat([planted.look(probe, pairs, rows, model) for rows in chances])
    flawed, healthy = (found[name] for name in ("flawed", "healthy"))
    assert (flawed["verdict"] == "told apart").sum() >= 15 and (flawed["difference"] > 0).all()
    assert (healthy["verdict"] == "told apart").sum() <= 1 and healthy["difference"].abs().mean() < 0.05


def test_the_maps_point_at_a_planted_hat_and_those_of_the_healthy_twin_do_not():
    """On faces that wear a hat and no glasses, asked for "glasses"; chance is the hat's share of the picture."""
    model = zsc.load_model("toy")
    train = planted.with_and_without(model, "hat", 250, split="train", seed=11)
    pictures, hats = planted.faces_with_hats(12)
    assert all(0.08 < hat.mean() < 0.25 for hat in hats)
    maps = {name: planted.maps_of(planted.plant(*train, of), pictures, model) for name, of in planted.PROBES.items()}
    pairs = {name: list(zip(of, hats, strict=True)) for name, of in maps.items()}
    lost = {name: np.array([m[hat].mean() - m[~hat].mean() for m, hat in of]) for name, of in pairs.items()}
    assert (lost["flawed"] > lost["healthy"]).mean() > 0.9 and lost["flawed"].mean() > 0 > lost["healthy"].mean()
    apart = [a - b for a, b in zip(maps["flawed"], maps["healthy"], strict=True)]
    hits = np.mean([pointing_game(m, hat) for m, hat in zip(apart, hats, strict=True)])
    assert hits > 2 * np.mean(hats)


def test_the_map_of_a_probe_is_that_of_its_own_logits():
    """By hand: what one grey window takes from the difference of the probe's two logits, up to one factor."""
    model = zsc.load_model("toy")
    train = planted.with_and_without(model, "hat", 60, split="train", seed=11)
    probe = planted.plant(*train, (0.0, 0.95))
    pictures, _ = planted.faces_with_hats(1)
    pixels = model.transform(pictures[0])
    covered = [np.where(w, pixels.mean(axis=(1, 2), keepdims=True), pixels) for w in _windows(64, 5, 0.3)]
    own = probe.predict_logits(model.encode_pixels([pixels, *covered])) @ [-1, 1]
    clf = planted.as_classifier(probe, model)
    ours = clf.predict_logits(clf.embed(pictures))[0] @ [-1, 1]
    theirs = model.encode_pixels([pixels, *covered]) @ clf.text_embeddings.T @ [-1, 1] * model.logit_scale
    assert ours == pytest.approx(theirs[0], abs=1e-4)
    assert np.corrcoef(own - own[0], theirs - theirs[0])[0, 1] > 0.9999 and np.ptp(own) > 1

"""The report is one page that needs nothing else, says what the evaluation says, and escapes every text."""

import dataclasses
import html.parser
import os
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from test_browser import HOSTILE, NEEDS_BROWSER, browser_page, what_a_browser_does

import zsc
from zsc import report
from zsc.evaluation import Evaluation, evaluate
from zsc.plots import style
from zsc.report import html_report, write_report


class Page(html.parser.HTMLParser):
    """What a page holds: its texts, the tags that are open, and what it would fetch."""

    def __init__(self, source):
        super().__init__()
        self.texts, self.open, self.addresses, self.tags, self.alts, self.elements = [], [], [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        self.alts += [value for name, value in attrs if name == "alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture
def evaluation(colours, colour_dataset):
    prompts = zsc.ClassPrompts.from_texts({"red": ["red", "red <ball>"], "green": "green", "blue": "blue"}, name="mine")
    return zsc.ZeroShotClassifier(prompts, colours, pooling="max").evaluate(colour_dataset)


def test_it_says_what_the_evaluation_says(evaluation):
    before = plt.get_fignums()
    page = Page(html_report(evaluation))
    assert plt.get_fignums() == before  # nothing is left open
    assert page.open == [] and page.tags[:2] == ["html", "head"]
    assert "colours test, classified by colours" in page.text
    assert evaluation.summary()[1:] in page.text
    row = "red 4 4 1.000 0.510 to 1.000 0.800 0.889"  # pictures, right, recall, its interval, precision, f1
    for words in (
        "accuracy 0.917",
        "95 % interval 0.646 to 0.985",
        row,
        "blue red 1 0.250",
        "true red green blue red 4",
    ):
        assert words in page.text, words
    for words in ("mine, pooling max", "red <ball>", "fingerprint", evaluation.made_by.fingerprint, "numpy "):
        assert words in page.text, words
    assert "1 of 1, the most frequent confusion first" in page.text and "wrong: blue → red" in page.text


@pytest.mark.slow
def test_it_needs_nothing_else(evaluation):
    page = Page(html_report(evaluation))
    inside = {"#" + attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {address for address in page.addresses if not address.startswith("data:image/")} <= inside
    assert sum(address.startswith("data:image/") for address in page.addresses) == 3
    assert not {"script", "link", "iframe"} & set(page.tags) and "http" not in page.text
    assert "@import" not in html_report(evaluation) and "url(" not in html_report(evaluation)


def test_every_text_is_escaped():
    names = ["<b>cat</b>", 'dog & "co"', "<script>alert(1)</script>"]
    about = {"model": "<i>m</i>", "dataset": "a & b", "prompts": {n: [f"a {n}"] for n in names}, "library": "<u>"}
    proba = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    source = html_report(evaluate([0, 1, 1], proba, names, about=about), title="<h1>$x$</h1>")
    page = Page(source)
    assert page.open == [] and not {"b", "i", "u", "script"} & set(page.tags) and page.tags.count("h1") == 1
    for text in (*names, "<i>m</i>", "a & b", "<u>", "<h1>$x$</h1>"):
        assert text in page.text


@pytest.mark.slow
def test_files_are_named_without_their_folders(tmp_path, evaluation):
    paths = [tmp_path / f"picture-{i}.png" for i in range(12)]
    for path, picture in zip(paths, evaluation.images, strict=True):
        picture.save(path)
    source = html_report(evaluate(evaluation.y_true, evaluation.proba, evaluation.class_names, images=paths))
    assert "picture-11.png" in source and str(tmp_path) not in source
    for source in ("http://127.0.0.1:9/folder/cat.png?key=1", "http://127.0.0.1:9/folder/cat.png#key=1"):
        page = html_report(evaluate(evaluation.y_true, evaluation.proba, evaluation.class_names, images=[source] * 12))
        assert ">cat.png<" in page and "key=1" not in page and "127.0.0.1" not in page
    opened = [Image.open(path) for path in paths]  # knows its path
    source = html_report(evaluate(evaluation.y_true, evaluation.proba, evaluation.class_names, images=opened))
    assert ">picture-11.png<" in source and str(tmp_path) not in source


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h.org/a.png?token=secret", "a.png"),
        ("https://h.org/?token=secret", "h.org"),
        ("http://[bad/x.png#secret", "x.png"),
    ],
)
def test_a_page_shows_no_query_of_a_url(url, shown):
    found = evaluate([0, 1], np.eye(2)[[1, 0]], ["a", "b"], images=[url, url])
    page = html_report(found)
    assert "secret" not in page and shown in page


def test_without_pictures_about_and_errors():
    proba = np.array([[0.9, 0.1], [0.2, 0.8]])
    page = Page(html_report(evaluate([0, 1], proba, ["a", "b"])))
    assert "pictures, classified by a model" in page.text and "Mistakes None." in page.text
    assert "2 of 2 got the right name: 100 of 100." in page.text and "There is no mistake among them." in page.text
    assert "versions when this page was made" in page.text and "Words" not in page.texts
    one_wrong = html_report(evaluate([1, 1], proba, ["a", "b"]))
    assert "wrong: b → a" in Page(one_wrong).text and "picture 0" in Page(one_wrong).text


def test_kept_versions_are_those_of_the_evaluation():
    about = {"versions": {"zsc": "9.9", "torch": "8.8"}, "hardware": {"machine": "m1", "cores": 2}}
    page = Page(html_report(evaluate([0, 1], np.eye(2), ["a", "b"], about=about)))
    assert "versions zsc 9.9, torch 8.8" in page.text and "hardware m1, 2" in page.text
    assert "when this page was made" not in page.text


LONG = "a very long name of a class, of which nothing may be left out on the page at all, not even its very end"


def made_up(k, *, long=False, images=None, n=None):
    """A result of K classes, most answers right, where the first classes are taken for class 1 more often than once."""
    rng = np.random.default_rng(k)
    y_true = np.arange(n or 4 * k) % k
    y_pred = np.where(rng.random(len(y_true)) < 0.7, y_true, rng.integers(0, k, len(y_true)))
    y_pred[y_true == 0] = 1
    proba = 0.3 * rng.dirichlet(np.ones(k), len(y_true))
    proba[np.arange(len(y_true)), y_pred] += 0.7
    names = [f"{LONG} {i:0>16}" if long else f"class {i}" for i in range(k)]
    assert not long or len(names[0]) == 120
    about = {"model": "m", "dataset": "d", "prompts": {name: [f"a photo of a {name}"] for name in names}}
    return evaluate(y_true, proba, names, images=images and images * len(y_true), about=about)


def test_many_classes_are_listed_worst_first_with_their_confusions():
    """R3: no wall of zeros, and from each count a way to its pictures (X14)."""
    found = made_up(200, images=[Image.new("RGB", (9, 9))])
    source = html_report(found)
    page, by_class, pairs = Page(source), found.by_class, zsc.plots.confused_pairs(found)
    assert page.tags.count("td") < 200 * 12 and len(re.sub(r"data:[^\"]*", "", source)) < 250_000
    classes = page.text.partition("The 20 classes of lowest recall, of 200")[2]
    assert classes.index(by_class.index[0]) < classes.index(by_class.index[1]) < classes.index("Confusions")
    assert "class 0 4 0 0.000 0.000 to 0.490" in page.text
    assert f"The 20 most frequent confusions of {len(pairs)}" in page.text and "class 0 class 1 4 1.000" in page.text
    linked = [a["href"] for a in page.all("a") if a["href"].startswith("#mistakes-")]
    figures = [figure["id"] for figure in page.all("figure") if "id" in figure]
    assert linked == [f"#{name}" for name in figures] and len(figures) == 20
    assert page.alts[:20] == [f"picture {i}: {t}, called {p}" for i, t, p in first_of_each(found, pairs)]
    assert page.text.count("{} stands for the name") == 1 and "a photo of a class 7" not in page.text


def first_of_each(found, pairs):
    for pair in pairs.head(20).itertuples():
        errors = found.errors
        same = errors[(errors["true"] == pair.true) & (errors["predicted"] == pair.predicted)]
        yield same["index"].iloc[0], pair.true, pair.predicted


def test_every_count_of_a_small_confusion_leads_to_its_pictures():
    found = made_up(3, images=[Image.new("RGB", (9, 9))])
    page, pairs = Page(html_report(found)), zsc.plots.confused_pairs(found)
    linked = [a["href"] for a in page.all("a") if a["href"].startswith("#mistakes-")]
    assert len(linked) == 2 * len(pairs) == 2 * len(set(linked))  # in the list and in the whole table
    assert page.tags.count("figure") == 2 + len(found.errors)  # and two curves


def test_it_begins_in_plain_words():
    """R4: what was asked of which pictures, how good, what to expect, where it fails; then the numbers, explained."""
    found = made_up(2, n=200)
    text = Page(html_report(found)).text.partition("Numbers")[0]
    fewest, most = zsc.statistics.next_right(found.correct, 200)
    for words in ("200 pictures were each given one of 2 names by the model m", "class 0", "a photo of a class 0",
                  f"{found.correct} of 200 got the right name: {round(found.correct / 2)} of 100.",
                  f"Of the next hundred pictures like these, expect {fewest} to {most}", "right for up to 50 of 100",
                  "100 of the 100 pictures of class 0 were called class 1",
                  "weakest on class 0 : 0 of 100 are right"):  # fmt: skip
        assert words in text, words
    assert not re.search(r"recall|precision|Brier|log loss|f1|support|sha256|fingerprint|0\.\d", text)
    page = Page(html_report(found)).text
    for name in ("accuracy", "95 % interval", "macro recall", "log loss", "Brier score", "expected calibration error"):
        assert re.search(rf"{name} \d[\d.to ]* [a-z]{{2,}} \w+ \w+", page), name
    assert page.index("Brier") > page.rindex("Details for experts") > page.index("macro recall 0")


def test_it_says_what_an_embedded_model_is():
    found = made_up(2, n=20)
    for model, said in (
        ("conse", "the model conse (not CLIP, but a method that preceded it), and"),
        ("toy", "the model toy (a small CLIP that has seen only the drawings of this project), and"),
        ("m", "the model m, and"),
    ):
        made_by = dataclasses.replace(found.made_by, model=model)
        assert said in Page(html_report(dataclasses.replace(found, made_by=made_by))).text


WORSE, UNSHOWN = "The model is worse than that.", "These pictures do not show that the model is better than that."


@pytest.mark.parametrize(("right", "said"), [(0, {WORSE}), (3, {UNSHOWN}), (5, set())])
def test_it_says_where_guessing_is_as_good(right, said):
    y_pred = np.r_[np.arange(5) >= right, np.arange(5) < right].astype(int)
    page = Page(html_report(evaluate(np.repeat([0, 1], 5), np.eye(2)[y_pred], ["a", "b"])))
    assert {words for words in (WORSE, UNSHOWN) if words in page.text} == said


def test_a_share_is_never_rounded_to_all_or_none():
    for right, n, said in ((999, 1000, "more than 99"), (50, 50, "100"), (1, 1000, "less than 1"), (9, 17, "53")):
        y_pred = (np.arange(n) >= right).astype(int)
        text = Page(html_report(evaluate(np.zeros(n, int), np.eye(2)[y_pred], ["a", "b"]), max_images=1)).text
        assert f"{right} of {n} got the right name: {said} of 100." in text


def test_the_weakest_class_is_named_only_where_it_can_be_told():
    """R5: an interval for each class; eight classes with none of one right have no weakest among them."""
    few = Page(html_report(evaluate(np.arange(17), np.eye(17)[np.arange(17) // 2 * 2], [f"c{i}" for i in range(17)])))
    assert "too few to tell on which class" in few.text and "weakest on" not in few.text
    assert "Weakest:" not in few.text and "c1 1 0 0.000 0.000 to 0.793" in few.text
    assert "weakest on class 0" in Page(html_report(made_up(2, n=200))).text


def test_the_smalls():
    """R6: three decimals, integers, "-" where nothing is to be divided; names, captions and scopes for all."""
    proba = np.eye(3)[[0, 0, 0, 0]]
    page = Page(html_report(evaluate([0, 0, 1, 0], proba, ["a", "b", "never"], images=["gone.png"] * 4)))
    assert "a 3 3 1.000 0.439 to 1.000 0.750 0.857" in page.text  # "1" and "1.000" are one number
    assert "b 1 0 0.000 0.000 to 0.793 - 0.000" in page.text and "never 0 0 - - - -" in page.text
    assert not re.search(r"\b\d+\.0\b|\bnan\b", page.text.partition("What made it")[0])
    assert page.text.count("cannot be opened") == 1 and "1 of 1 pictures cannot be opened (moved?)" in page.text
    assert page.tags.count("main") == page.tags.count("nav") == page.tags.count("h1") == 1
    assert all(th["scope"] in ("row", "col") for th in page.all("th")) and page.all("th")
    assert (
        page.tags.count("caption") == page.tags.count("table") == len([d for d in page.all("div") if "tabindex" in d])
    )
    assert len(page.alts) == page.tags.count("img") and all(len(alt) > 40 for alt in page.alts)
    assert "0.750 of the surest 4" in page.alts[1] and "0.750 of 4 at 1.000" in page.alts[0]
    assert {a["href"] for a in page.all("a")} >= {"#numbers", "#classes", "#confusion", "#mistakes", "#details"}


def test_names_from_right_to_left_keep_their_side_of_the_arrow():
    """Without isolation a browser would swap two Hebrew names around an arrow, and the mistake would read backwards."""
    source = html_report(evaluate([0, 1], [[0.2, 0.8], [0.1, 0.9]], ["חתול", "כלב"]))
    assert "wrong: <bdi>חתול</bdi> → <bdi>כלב</bdi>" in source


def test_letters_that_no_figure_has():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate([0, 1], [[0.2, 0.8], [0.1, 0.9]], ["猫", "🐶"], about={"dataset": "画像", "model": "模型"})
        page = Page(html_report(found))
    assert "猫 → 🐶" in page.text and "画像, classified by 模型" in page.text


def luminance(colour):
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def mixed(colour, ground, percent):
    both = zip(*(bytes.fromhex(c[1:]) for c in (colour, ground)), strict=True)
    return "#" + "".join(f"{round(a * percent / 100 + b * (1 - percent / 100)):02X}" for a, b in both)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_contrast_of_all_that_is_to_be_read(theme):
    colours = report.PAGES.get_template("tones.css.j2").module
    tones = getattr(colours, theme.upper())
    figures = style.RIGHT, style.WRONG, style.WRONG_TEXT
    assert (colours.RIGHT, colours.WRONG, colours.LIGHT["wrong"]) == figures, "pages have the colours of figures"
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert (
        min(contrast(tones[name], tones["ground"]) for name in ("text", "faint", "wrong", "bar")) >= 4.5
    )  # bar: links
    assert min(contrast(tones[name], tones["track"]) for name in ("bar", "text")) >= 3  # the bar, and its interval
    for percent in range(colours.MOST + 1):
        for colour in (colours.RIGHT, colours.WRONG):
            assert contrast(tones["text"], mixed(colour, tones["ground"], percent)) >= 4.5


ODD = ["caf\udce9", "nul\x00\x1b[31m", "turn\u202e", "two\nlines"]


def test_names_that_are_no_utf8_are_shown(tmp_path, colour_dataset):
    """Names, prompts and paths can hold bytes that are no text, and control characters: all of them as escapes."""
    paths = [os.fsdecode(os.fsencode(tmp_path) + b"/pic\xe9%d.png" % k) for k in range(4)]
    for path, picture in zip(paths, colour_dataset.paths, strict=False):
        picture.save(path)
    about = {
        "model": ODD[0],
        "dataset": ODD[1],
        "prompts": {name: [f"a {name}", name] for name in ODD},
        "library": ODD[2],
    }
    evaluation = evaluate([1, 0, 3, 2], np.eye(4), ODD, images=paths, about=about)
    path = write_report(evaluation, tmp_path / os.fsdecode(b"page\xe9.html"), title="t\udce9")
    source = path.read_text(encoding="utf-8")
    for shown in ("caf\\xe9", "pic\\xe90.png", "nul\\x00\\x1b[31m", "turn\\u202e", "two\\nlines", "t\\xe9"):
        assert shown in source, shown
    assert not {"\x00", "\x1b", "\u202e"} & set(source)
    assert "data:image/png" in source and [p.suffix for p in tmp_path.iterdir()].count(".html") == 1


def test_an_old_page_survives_a_failure(evaluation, tmp_path, monkeypatch):
    path = write_report(evaluation, tmp_path / "report.html", title="old")
    monkeypatch.setattr(report, "html_report", lambda *a, **k: "new \udce9")
    with pytest.raises(ValueError, match="cannot be written as UTF-8"):
        write_report(evaluation, path)
    assert "old" in path.read_text(encoding="utf-8") and list(tmp_path.iterdir()) == [path]


def test_long_names_are_not_cut(tmp_path):
    name = "a very long name of a class, of which nothing may be left out on the page at all, not even the end"
    assert Page(html_report(evaluate([0, 1], np.eye(2), [name, "b"]))).text.count(name) >= 3


def test_the_path_is_checked_and_the_file_appears_whole(evaluation, tmp_path):
    path = write_report(evaluation, tmp_path / "report.html", title="Mine")
    assert Page(path.read_text(encoding="utf-8")).text.split()[0] == "Mine" and list(tmp_path.iterdir()) == [path]
    for name, reason in {"report.pdf": "end it with .html or .htm", "no/report.html": "there is no folder"}.items():
        with pytest.raises(ValueError, match=reason):
            write_report(evaluation, tmp_path / name)


@pytest.mark.slow
@NEEDS_BROWSER
def test_a_browser_shows_it(evaluation, tmp_path):
    path = write_report(evaluation, tmp_path / "report.html")
    with browser_page(tmp_path) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        widths = page.locator("img").evaluate_all("images => images.map(i => i.naturalWidth)")
        assert len(widths) == 3 and min(widths) == 10 and max(widths) > 300  # one small picture
        assert page.locator("h2").first.inner_text() == "Numbers"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


ONE_LINE = """cells => cells.filter(cell => {
    const range = document.createRange(); range.selectNodeContents(cell);
    const lines = new Set([...range.getClientRects()].map(r => r.top)).size;
    return lines > 1 && /^[-\\d.]+( to [\\d.]+)?$/.test(cell.innerText.trim());
}).map(cell => cell.innerText)"""


@pytest.mark.slow
@NEEDS_BROWSER
def test_many_and_long_fit_every_width_and_paper(tmp_path):
    """R1, R2: numbers in one line, nothing sideways, nothing folded or cut in print; bars in forced colours."""
    with browser_page(tmp_path) as page:
        for k in (2, 17, 30, 200):
            found = made_up(k, long=True)
            page.goto(write_report(found, tmp_path / f"{k}.html").as_uri())
            for width in (350, 390, 1280):
                page.emulate_media(media="screen", color_scheme="dark" if width == 390 else "light")
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.locator("td").evaluate_all(ONE_LINE) == []
            page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
            page.emulate_media(media="print", color_scheme="dark")
            cut = "tables => tables.filter(t => t.getBoundingClientRect().right > window.innerWidth).length"
            assert page.locator("table").evaluate_all(cut) == 0
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
            text = page.locator("body").inner_text()
            pair = zsc.plots.confused_pairs(found).iloc[0]
            assert all(name in text for name in found.class_names) and f"wrong: {pair.true} → {pair.predicted}" in text
        page.emulate_media(media="screen", forced_colors="active")
        bar = page.locator(".bar").last
        assert bar.evaluate("b => getComputedStyle(b).backgroundColor") not in (
            "rgba(0, 0, 0, 0)",
            "rgb(255, 255, 255)",
        )
        page.locator("a[href='#mistakes-1']").first.click()
        assert page.locator("#mistakes-1").evaluate("f => f.getBoundingClientRect().top") < 200
        page.evaluate("document.querySelectorAll('style').forEach(s => s.remove())")
        text = page.locator("main").inner_text()
        assert f"{found.correct} of {found.n} got the right name" in text and "0.000 to 0.490" in text


@NEEDS_BROWSER
def test_hostile_texts_are_inert_in_a_browser(colour_dataset, tmp_path):
    name, prompt = HOSTILE
    picture = tmp_path / f"{name.replace('/', '')}.png"
    colour_dataset.paths[0].save(picture)
    about = {
        "model": name,
        "dataset": prompt,
        "prompts": {name: [prompt], prompt: [name]},
        "pooling": name,
        name: prompt,
    }
    found = evaluate([1, 0], [[0.9, 0.1], [0.2, 0.8]], [name, prompt], images=[picture] * 2, about=about)
    path = write_report(found, tmp_path / "page.html")
    seen = what_a_browser_does(path, tmp_path)
    assert seen.dialogs == [] and seen.requests == [path.as_uri()] and not seen.foreign
    assert seen.text.count(name) > 5 and seen.text.count(prompt) > 5
    assert f"{picture.name}: {prompt}, called {name}" in seen.attributes("alt")


def test_a_picture_without_a_label_is_said():
    with pytest.raises(ValueError, match="1 of 2 pictures have no label"):
        html_report(Evaluation([0, -1], np.eye(2), ["a", "b"]))

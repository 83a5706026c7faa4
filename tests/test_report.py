"""The report is one page that needs nothing else, says what the evaluation says, and escapes every text."""

import html.parser
import os
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from test_browser import HOSTILE, NEEDS_BROWSER, browser_page, what_a_browser_does

import zsc
from zsc import report
from zsc.evaluation import Evaluation, evaluate
from zsc.report import html_report, write_report


class Page(html.parser.HTMLParser):
    """What a page holds: its texts, the tags that are open, and what it would fetch."""

    def __init__(self, source):
        super().__init__()
        self.texts, self.open, self.addresses, self.tags, self.alts = [], [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        self.alts += [value for name, value in attrs if name == "alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

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
    for words in ("accuracy 0.917", "95 % interval 0.646 to 0.985", "red 0.800 1.000 0.889 4", "blue 1 0 3"):
        assert words in page.text, words
    for words in ("mine, pooling max", "red <ball>", "fingerprint", evaluation.made_by.fingerprint, "numpy "):
        assert words in page.text, words
    assert "The 1 most confident of 1." in page.text and "blue red" in page.text


@pytest.mark.slow
def test_it_needs_nothing_else(evaluation):
    page = Page(html_report(evaluation))
    assert page.addresses and all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags) and "http" not in page.text
    assert page.alts[:2] == ["confusion, as in the table below", "the mistakes of the table below, as pictures"]
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
        assert "<td>cat.png</td>" in page and "key=1" not in page and "127.0.0.1" not in page
    opened = [Image.open(path) for path in paths]  # knows its path
    source = html_report(evaluate(evaluation.y_true, evaluation.proba, evaluation.class_names, images=opened))
    assert "<td>picture-11.png</td>" in source and str(tmp_path) not in source


def test_without_pictures_about_and_errors():
    proba = np.array([[0.9, 0.1], [0.2, 0.8]])
    page = Page(html_report(evaluate([0, 1], proba, ["a", "b"])))
    assert "pictures, classified by a model" in page.text and "Mistakes None." in page.text
    assert "versions when this page was made" in page.text and "Prompts" not in page.texts
    one_wrong = html_report(evaluate([1, 1], proba, ["a", "b"]))
    assert "The 1 most confident of 1." in Page(one_wrong).text


def test_kept_versions_are_those_of_the_evaluation():
    about = {"versions": {"zsc": "9.9", "torch": "8.8"}, "hardware": {"machine": "m1", "cores": 2}}
    page = Page(html_report(evaluate([0, 1], np.eye(2), ["a", "b"], about=about)))
    assert "versions zsc 9.9, torch 8.8" in page.text and "hardware m1, 2" in page.text
    assert "when this page was made" not in page.text


@pytest.mark.slow
def test_many_classes_have_a_map_and_a_table_of_pairs():
    names = [f"class {i}" for i in range(200)]
    y_true = np.arange(200)
    proba = np.eye(200)[np.where(y_true < 3, 7, y_true)]
    source = html_report(evaluate(y_true, proba, names))
    page = Page(source)
    assert "<details open>" in source and "3 most frequent of 3 pairs" in page.text
    assert "class 0 class 7 1" in page.text and page.tags.count("td") < 200 * 12  # not one for each pair of classes
    assert page.alts[0] == "confusion, as in the table below"
    few = Page(html_report(evaluate(y_true[:30], np.eye(30), names[:30])))
    assert "3 most frequent" not in few.text and few.tags.count("td") > 30 * 30


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
        assert len(widths) == 4 and min(widths) > 300
        assert page.locator("h2").first.inner_text() == "Results"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


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
    assert f"reliability of {prompt}, classified by {name}" in seen.attributes("alt")


def test_a_picture_without_a_label_is_said():
    with pytest.raises(ValueError, match="1 of 2 pictures have no label"):
        html_report(Evaluation([0, -1], np.eye(2), ["a", "b"]))

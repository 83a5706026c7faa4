"""The explorer as one page: its numbers are Python's, it asks for nothing, and no name in it becomes markup.

What runs in a browser needs Debian's chromium, Playwright for Python and the files of onnxruntime-web (`make runtime`);
skipped with the reason where one is absent.
"""

import base64
import contextlib
import dataclasses
import gzip
import json
import random
import re
import unicodedata

import ftfy
import numpy as np
import pytest
from ftfy.badness import is_bad
from test_browser import CHROMIUM, FLAGS, HOSTILE, NEEDS_BROWSER

import zsc
from zsc.explorer import ExplorerSession, PromptExplorer, page
from zsc.models import export
from zsc.prompts.prompts import packaged
from zsc.report import PAGES
from zsc.statistics import wilson_interval

CAN_RUN = all((page.PLACES[0] / name).is_file() for name in page.FILES)
IN_BROWSER = [
    NEEDS_BROWSER,
    pytest.mark.slow,
    pytest.mark.skipif(not CAN_RUN, reason="no onnxruntime-web here: make runtime"),
]
A = {"cat": "a photo of a cat", "dog": "a photo of a dog", "wild": "a photo of a wild animal"}
B = {"cat": "a cat", "dog": "a dog", "wild": "a wolf\na tiger\na lion\na fox\na leopard"}
ASKED = [  # boxes, templates, pooling
    (A, "", "mean"),
    (B, "", "max"),
    ({**B, "wild": "a wild animal\n" + B["wild"]}, "", "chils"),
    ({"cat": "kitten\nCAT", "dog": "puppy", "wild": "lion\ntiger"}, "a drawing of a {}.\nthe {}’s “head”", "mean"),
    (B, "It's &lt;{}&gt; \\u00e9", "sum"),
]
PIECES = [
    *("a photo of a", "cat", "Glasses", "it's", "I'LL", "they'RE", "'ſ", "’s", "“quoted”", "<|startoftext|>"),
    *("<|ENDOFTEXT|>", "<|endoftext|>", "&amp;", "&amp", "&lt;b&gt;", "&EACUTE;", "&eacute;", "&notit;", "&#233;"),
    *("&#x1F600;", "&#0;", "&#150;", "&#xD800;", "&#1114112;", "&#12ab;", "&#59;", "&amp;amp;lt;", "&nbsp;", "<b>"),
    *("&hellip;", "</script>", "ﬁne", "ŉ", "Ǆ", "ﬆ", "ＬＯＵＤ", "ｶﾞ", "\u3000", "\xa0", "\u200b", "\u2028", "\r\n"),
    *("\n", "\t", "\x1b[31m", "\x07", "\ufeff", "\ufffc", "\x1c", "e\u0301", "\u0345", "İstanbul", "ΣΑΣ", "ß", "ẞ"),
    *(
        "\u212a",
        "½",
        "Ⅷ",
        "٣",
        "犬猫",
        "猫が好き",
        "ไทย",
        "हिन्दी",
        "עברית",
        "العربية",
        "🐶",
        "👩\u200d👩\u200d👧",
        "naïve",
        "_",
    ),
    *("Œuvre", "¿qué?", "12345", "3.14", "#!?", "...", "\\", "$&", "{}", "constructor", "dÃ©jà", "â€™", "№5", "«ça»"),
    *("ø", "ǅ", "𝒥", "\x7f", "\u206a"),
]


def odd_texts(n, seed=0):
    """Pieces with and without spaces, random letters of all scripts (of Unicode 13 and before), random ASCII."""
    rng = random.Random(seed)
    known = [chr(c) for c in range(32, 0x1FBFF) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    kinds = [
        lambda: " ".join(rng.choices(PIECES, k=rng.randint(1, 6))),
        lambda: "".join(rng.choices(PIECES, k=rng.randint(2, 8))),
        lambda: "".join(rng.choices(known, k=rng.randint(1, 30))),
        lambda: "".join(map(chr, rng.choices(range(32, 127), k=rng.randint(1, 60)))),
    ]
    texts = [kinds[i % 4]() for i in range(n)]
    return texts + [t.replace("{}", "crane") for each in packaged("templates").values() for t in each["templates"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return export.export_model("toy", tmp_path_factory.mktemp("onnx") / "toy")


@pytest.fixture(scope="module")
def session(folder):
    model = zsc.load_model("toy")
    pictures = zsc.load_dataset("drawn-animals", split="test", n=240, seed=1)
    return ExplorerSession(zsc.embed_images(model, pictures, progress=False), model, A, sealed=0.5)


@pytest.fixture(scope="module")
def written(session, folder, tmp_path_factory):
    """The page of a session with torch's toy; its graphs were exported before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "export_model", lambda name, _: folder if name == "toy" else None)
        return session.export(tmp_path_factory.mktemp("page") / "lesson.html", progress=False)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def shown(browser, path, **options):
    """Open a page by its file, without network: the tab, and what it asked for, its dialogs and its errors."""
    context = browser.new_context(offline=True, **{"viewport": {"width": 1100, "height": 1300}, **options})
    tab, seen = context.new_page(), {"request": [], "dialog": [], "pageerror": []}
    tab.on("request", lambda asked: seen["request"].append(asked.url.partition(":")[0]))
    tab.on("dialog", lambda dialog: (seen["dialog"].append(dialog.message), dialog.dismiss()))
    tab.on("pageerror", lambda error: seen["pageerror"].append(str(error)))
    tab.goto(path.as_uri())
    tab.locator("html[data-ready]").wait_for(timeout=60_000)
    yield tab, seen
    context.close()


@pytest.fixture(scope="module")
def opened(browser, written):
    with shown(browser, written) as (tab, seen):
        yield tab
        assert seen == {"request": ["file", "blob"], "dialog": [], "pageerror": []}


def asked(tab, texts, templates, pooling, part=0):
    script = "([texts, templates, pooling, part]) => zsc.lesson.ask(texts, templates, pooling, { part })"
    return tab.evaluate(script, [[list(pair) for pair in texts.items()], templates, pooling, part])


class TestInTheBrowser:
    pytestmark = IN_BROWSER

    @pytest.mark.parametrize(("texts", "templates", "pooling"), ASKED)
    def test_it_answers_as_python_does(self, opened, session, texts, templates, pooling):
        own, found = session.ask(texts, templates, pooling), asked(opened, texts, templates, pooling)
        assert found["prompts"] == [[name, prompts] for name, prompts in own.prompts.texts.items()]
        vectors = opened.evaluate("texts => zsc.lesson.encoded(texts)", list(own.prompts))
        scores = own.classifier.predict_scores(session.embeddings)
        assert np.abs(np.array(vectors) - own.classifier.text_embeddings).max() < 1e-4
        assert np.abs([one["scores"] for one in found["pictures"]] - scores).max() < 1e-4
        assert [one["said"] for one in found["pictures"]] == own.result.y_pred.tolist()
        assert [one["proba"] for one in found["pictures"]] == pytest.approx(own.result.proba.max(axis=1), abs=1e-3)
        assert (found["accuracy"], found["correct"], found["n"]) == (own.scores[0], own.evaluation.correct, 120)
        assert found["interval"] == pytest.approx(own.scores[1:3], abs=1e-12)
        assert found["confusion"] == own.evaluation.confusion.to_numpy().tolist()

    def test_three_new_prompts_take_less_than_200_ms(self, opened):
        sets = [{name: f"{text} and {k} trees" for name, text in A.items()} for k in range(6)]
        taken = [asked(opened, texts, "", "mean")["milliseconds"] for texts in sets]
        assert min(taken) < 200, taken  # the best of six, as the machine may have other work

    def test_it_cuts_texts_into_the_same_tokens(self, opened, session, monkeypatch):
        texts = odd_texts(2000)
        script = (
            "texts => texts.map(t => { try { return zsc.lesson.tokenizer.ids(t) } catch (e) { return e.message } })"
        )
        found, own = opened.evaluate(script, texts), session.model.tokenizer.ids(texts)
        refused = [text for text, ids in zip(texts, found, strict=True) if isinstance(ids, str)]
        assert [t for t, a, b in zip(texts, found, own, strict=True) if isinstance(a, list) and a != b] == []
        assert len(texts) >= 2000
        assert len(refused) < 0.15 * len(texts)  # the pieces have some that are wrongly decoded
        monkeypatch.setattr(ftfy, "is_bad", lambda text: is_bad(text) and bool(bad.append(text) or True))
        for text in refused:  # as hardly anybody types: what ftfy, too, takes for wrongly decoded on its way
            bad = []
            ftfy.fix_text(text)
            assert bad, text

    @pytest.mark.parametrize("right", [0, 1, 7, 119, 120])
    def test_wilson(self, opened, right):
        assert opened.evaluate("r => zsc.wilson(r, 120)", right) == pytest.approx(
            wilson_interval(right, 120), abs=1e-12
        )

    def test_typing_answers_at_once(self, opened, session):
        opened.get_by_role("textbox", name="wild").fill(B["wild"])
        opened.get_by_label("pooling").select_option("max")
        right = session.ask({**A, "wild": B["wild"]}, "", "max")
        opened.locator("#accuracy", has_text=right.in_short).wait_for(timeout=3000)
        assert opened.locator("#time").inner_text().endswith(" ms")
        opened.get_by_role("textbox", name="cat").fill("")
        opened.locator(".note", has_text="has no prompt").wait_for()
        assert opened.get_by_role("button", name="open the sealed pictures").is_disabled()
        opened.get_by_role("textbox", name="cat").fill(A["cat"])
        opened.get_by_label("templates").fill("no place")
        opened.locator("#template-note", has_text="exactly one {}").wait_for()
        opened.get_by_label("templates").fill("")
        opened.get_by_role("textbox", name="dog").fill("dÃ©jà")
        opened.locator(".note", has_text="looks wrongly decoded").wait_for()
        opened.get_by_role("textbox", name="dog").fill("dog " * 100)
        opened.locator(".note", has_text="only 77 tokens").wait_for()
        opened.get_by_role("textbox", name="dog").fill(A["dog"])
        opened.locator("#accuracy", has_text=right.in_short).wait_for()

    def test_a_class_is_left_out_and_added(self, opened, session):
        opened.get_by_role("button", name="leave out wild").click()
        two = session.ask({"cat": A["cat"], "dog": A["dog"]}, "", "max")
        opened.locator("#accuracy", has_text=two.in_short).wait_for()
        opened.get_by_label("new class").fill("wild")
        opened.get_by_role("button", name="add").click()
        opened.get_by_role("textbox", name="wild").fill(A["wild"])
        opened.get_by_label("pooling").select_option("mean")
        opened.locator("#accuracy", has_text=session.ask(A, "", "mean").in_short).wait_for()

    def test_numbers_open_their_pictures(self, opened, session):
        found = session.ask(A, "", "mean")
        count = int(found.evaluation.confusion.loc["wild", "cat"])
        opened.get_by_role("button", name=f"{count}: wild, said to be cat").press("Enter")
        opened.locator("#shown", has_text=f"1 to 12 of {count}").wait_for()
        cards = opened.locator("#gallery figure")
        assert cards.count() == 12 and set(cards.evaluate_all("all => all.map(one => one.className)")) == {"wrong"}
        rows = found.rows(2, 0)
        assert f"p = {found.result.proba[rows[0]].max():.3f}" in cards.first.inner_text()
        opened.get_by_role("button", name="more").click()
        opened.locator("#shown", has_text=f"13 to {min(24, count)} of {count}").wait_for()

    def test_the_sealed_half_is_opened_and_looks_are_counted(self, opened, session):
        answer = session.ask(A, "", "mean")
        sealed = session.unseal(answer)
        for look in (1, 2):
            opened.get_by_role("button", name="open the sealed pictures").click()
            opened.locator("#sealed", has_text=f"look {look}").wait_for()
        said = opened.locator("#sealed").inner_text()
        assert f"accuracy {sealed.accuracy:.3f} ({sealed.correct} of {sealed.n})" in said
        assert f"optimism {answer.scores[0] - sealed.accuracy:+.3f}" in said

    def test_the_prompts_go_back_into_python(self, opened, tmp_path):
        opened.get_by_text("take the prompts along").click()
        file = tmp_path / "prompts.json"
        file.write_text(opened.get_by_label("a file for zsc.ClassPrompts.load").input_value(), encoding="utf-8")
        prompts = zsc.ClassPrompts.load(file)
        assert (prompts.texts, prompts.pooling) == ({name: [text] for name, text in A.items()}, "mean")

    def test_nothing_can_be_fetched(self, opened):
        for address in ("https://example.org/", "data:text/plain,a"):
            assert "Failed to fetch" in opened.evaluate("a => fetch(a).then(() => '', e => e.message)", address)
        script = """() => new Promise(done => {
            const hurt = document.createElement('script');
            hurt.textContent = 'window.hurt = 1';
            document.body.append(hurt);
            hurt.remove();
            const tried = () => { try { return new Function('') } catch (error) { return error.name } };
            setTimeout(() => done([window.hurt, tried()]));
        })"""
        assert opened.evaluate(script) == [None, "EvalError"]

    def test_everything_has_a_name(self, opened):
        tree = opened.locator("main").aria_snapshot()
        kinds = "textbox|combobox|button|img|table|rowheader|columnheader|region"
        assert re.findall(rf"- (?:{kinds})\b(?! [\"'/])", tree) == [], tree


@pytest.fixture
def empty_program(monkeypatch, tmp_path):
    """Files with the names of onnxruntime-web's, and a text encoder that nobody opens."""
    for name in page.FILES:
        (tmp_path / name).write_text(f"/*!\n * ONNX Runtime Web v{page.RUNTIME}\n */\n", encoding="utf-8")
    monkeypatch.setattr(page, "_text_encoder", lambda *_: (b"", {}))
    return tmp_path


def hostile_session(colours, colour_dataset):
    embeddings = zsc.embed_images(colours, colour_dataset, progress=False)
    names = [*HOSTILE, *(f"class {k}" for k in range(len(colour_dataset.class_names) - 2))]
    embeddings = dataclasses.replace(embeddings, class_names=names, dataset=HOSTILE[0])
    return ExplorerSession(embeddings, colours, dict(zip(names, colour_dataset.class_names, strict=True)))


def carried(path):
    packed = re.findall(r'<script type="text/plain" id="(\w+)">([^<]*)<', path.read_text(encoding="utf-8"))
    return {name: gzip.decompress(base64.b64decode(data)) for name, data in packed}


class TestTheFile:
    def test_no_name_is_markup(self, colours, colour_dataset, empty_program):
        session = hostile_session(colours, colour_dataset)
        path = session.export(empty_program / "new.html", runtime=empty_program, progress=False)
        text = path.read_text(encoding="utf-8")
        assert text.count("<script>") == 2 and "<img" not in text and text.count("onerror") == 2  # title and heading
        assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in text and "{{" not in text.partition("<script")[0]
        assert "connect-src 'none'" in text and "unsafe-eval'" in text and "'unsafe-inline'; img" in text

    def test_what_is_carried_is_what_was_kept(self, colours, colour_dataset, empty_program):
        session = hostile_session(colours, colour_dataset)
        answer = session.ask(session.start[0], "{}", "max")
        path = session.export(empty_program / "new.html", answer, runtime=empty_program, progress=False)
        found = carried(path)
        content = json.loads(found["lesson"])
        rows = np.frombuffer(found["rows"], "<f4").reshape(len(content["pictures"]), -1)
        assert np.array_equal(rows, session.embeddings.values)
        assert content["parts"] == [session.embeddings.labels.tolist()] and content["labels"][0] == [HOSTILE[0], 0]
        assert (content["templates"], content["pooling"]) == ("{}", "max")
        assert all(uri.startswith("data:image/jpeg") for uri in content["pictures"])

    def test_a_panel_gives_what_is_typed(self, colours, colour_dataset, empty_program, monkeypatch):
        pytest.importorskip("ipywidgets")
        monkeypatch.setattr("asyncio._get_running_loop", lambda: None)  # the browser of other tests has one
        session = hostile_session(colours, colour_dataset)
        panel = PromptExplorer(session.embeddings, colours, session.first)
        panel.boxes[HOSTILE[1]].value = "grey"
        path = panel.export(empty_program / "new.html", runtime=empty_program, progress=False)
        content = carried(path)["lesson"]
        assert json.loads(content)["start"][1] == [HOSTILE[1], "grey"]

    def test_the_path_of_a_model_stays_here(self, colours, colour_dataset, empty_program):
        session = hostile_session(colours, colour_dataset)
        session.model.info = dataclasses.replace(session.model.info, name=f"onnx:{empty_program}")
        text = session.export(empty_program / "new.html", runtime=empty_program, progress=False).read_text("utf-8")
        assert str(empty_program) not in text and f"embedded by {empty_program.name}." in text

    def test_a_bad_place_is_refused_and_nothing_written(self, colours, colour_dataset, empty_program):
        session = hostile_session(colours, colour_dataset)
        with pytest.raises(ValueError, match="no name for a page; end it with .html or .htm"):
            session.export(empty_program / "page.pdf", runtime=empty_program)
        assert not [*empty_program.glob("page*")]


class TestWhatIsNeeded:
    def test_a_missing_program_is_told_with_the_line_to_type(self, tmp_path, monkeypatch):
        monkeypatch.setattr(page, "PLACES", (tmp_path,))
        line = f"type 'npm install onnxruntime-web@{page.RUNTIME}' in this folder"
        with pytest.raises(FileNotFoundError, match=f"this folder has no onnxruntime-web {page.RUNTIME}, .*: {line}"):
            page.find_runtime()
        with pytest.raises(FileNotFoundError, match="nowhere has no onnxruntime-web"):
            page.find_runtime(tmp_path / "nowhere")

    def test_the_folder_of_npm_is_found(self, empty_program, monkeypatch):
        place = empty_program / "node_modules" / "onnxruntime-web" / "dist"
        place.mkdir(parents=True)
        for name in page.FILES:
            (empty_program / name).rename(place / name)
        monkeypatch.chdir(empty_program)
        monkeypatch.setattr(page, "PLACES", page.PLACES[1:])
        assert page.find_runtime().resolve() == page.find_runtime(place.parent) == page.find_runtime(place) == place

    def test_another_version_is_refused(self, empty_program):
        (empty_program / page.FILES[0]).write_text("/*! ONNX Runtime Web v1.30.01\n */")
        with pytest.raises(FileNotFoundError, match=rf"has no onnxruntime-web {page.RUNTIME}, .*npm install"):
            page.find_runtime(empty_program)

    def test_other_tokens_are_refused(self, colours):
        with pytest.raises(ValueError, match=f"a page computes CLIP's tokens, not those of {colours.name}; take toy"):
            page._text_encoder(colours, ("a cat",))

    @pytest.mark.slow
    def test_a_large_or_another_encoder_is_refused(self, folder, monkeypatch):
        model = zsc.load_model(f"onnx:{folder}")
        graph, tokens = page._text_encoder(model, ("a cat",))
        assert graph == (folder / "text.onnx").read_bytes() and len(tokens["merges"]) == 48_894
        monkeypatch.setattr(export, "export_model", lambda name, _: folder)
        other = zsc.load_model("toy")
        monkeypatch.setattr(other, "encode_texts", lambda texts, **_: np.eye(128, dtype=np.float32)[: len(texts)])
        with pytest.raises(ValueError, match="off the session's model, and 0.0001 is allowed; embed the pictures"):
            page._text_encoder(other, ("a cat",))
        monkeypatch.setattr(page, "LARGEST", 6_000_000)
        with pytest.raises(ValueError, match="has 7 MB, and a page takes 6; take a smaller model"):
            page._text_encoder(model, ("a cat",))


class TestItsLooks:
    pytestmark = IN_BROWSER

    def test_narrow_dark_and_hostile(self, browser, folder, tmp_path):
        model = zsc.load_model(f"onnx:{folder}")
        pictures = zsc.embed_images(model, zsc.load_dataset("drawn-animals", split="test", n=24), progress=False)
        names = [*HOSTILE, "a name of one very long word: " + "w" * 80]
        pictures = dataclasses.replace(pictures, class_names=names, dataset=HOSTILE[0])
        session = ExplorerSession(pictures, model, dict(zip(names, A.values(), strict=True)))
        path = session.export(tmp_path / "lesson.html", progress=False)
        with shown(browser, path, viewport={"width": 350, "height": 800}, color_scheme="dark") as (tab, seen):
            tab.get_by_label(names[2]).first.fill(HOSTILE[1])
            tab.locator("#accuracy", has_text=session.ask({**A_of(names), names[2]: HOSTILE[1]}).in_short).wait_for()
            assert tab.evaluate("document.documentElement.scrollWidth") <= 350
            ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            dark = PAGES.get_template("tones.css.j2").module.DARK["ground"]
            assert "#{:02X}{:02X}{:02X}".format(*map(int, re.findall(r"\d+", ground))) == dark
            assert tab.locator("img:not([src^='data:']), iframe, object, [onerror], [onload]").count() == 0
            assert tab.locator("h1").inner_text().startswith(HOSTILE[0])
            assert seen == {"request": ["file", "blob"], "dialog": [], "pageerror": []}

    def test_without_labels_it_shows_who_gets_what(self, browser, folder, tmp_path):
        model = zsc.load_model(f"onnx:{folder}")
        pictures = zsc.embed_images(model, zsc.load_dataset("drawn-animals", split="test", n=24), progress=False)
        pictures = dataclasses.replace(pictures, labels=np.full(24, -1))
        session = ExplorerSession(pictures, model, A)
        answer = session.ask(*session.start)
        with shown(browser, session.export(tmp_path / "lesson.html", progress=False)) as (tab, _):
            assert tab.locator("#accuracy").inner_text() == "24 pictures, no labels"
            counts = tab.locator("#recall td:last-child").all_inner_texts()
            assert [int(n) for n in counts] == answer.counts.tolist()
            assert tab.locator("#confusion table").count() == 0 and tab.locator("#unseal").is_hidden()
            least = answer.rows(unsure=True)[0]
            shown_first = tab.locator("#gallery figure").first.inner_text()
            assert f"p = {answer.result.proba[least].max():.3f}" in shown_first

    def test_size(self, written):
        assert written.stat().st_size < 30e6


def A_of(names):
    return dict(zip(names, A.values(), strict=True))

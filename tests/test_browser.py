"""JupyterLab in a real browser: the explorer's notebook is opened, run and typed into, and answers.

Needs Debian's chromium and Playwright for Python (`make browser`); skipped with the reason where one is absent. Keeps a
screenshot at $ZSC_SCREENSHOT, or in pytest's temporary folder.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "06_your_own_classifier.ipynb"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
SETTINGS = {  # all cells in the page, wherever the page is scrolled to; no question about news
    "notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    "apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
}
WAIT = 60_000  # milliseconds: conse is loaded in the kernel
CELLS = (
    "import zsc\nfrom zsc.explorer import PromptExplorer",
    'model = zsc.load_model("conse", device="cpu")\n'
    'embeddings = zsc.embed_images(model, zsc.load_dataset("samples"), progress=False)',
    "explorer = PromptExplorer(embeddings, model)\nexplorer",
)

NEEDS_BROWSER = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="no chromium or no Playwright here: apt-get install chromium, then make browser",
)
HOSTILE = "</script><img src=x onerror=alert(1)>", 'a "photo" of \'it\' {{ 7 * 7 }} {x} <b>&amp; onclick="alert(1)" `'


def small_notebook(folder):
    path = folder / "explorer.ipynb"
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def own_notebook(folder):
    if not NOTEBOOK.exists():
        pytest.skip(f"{NOTEBOOK.name} is not written yet")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []  # what is kept there is a picture of an explorer, not one to type into
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    last = next(i for i, cell in enumerate(code) if "PromptExplorer" in cell.source)
    notebook.cells = code[: last + 1]
    nbformat.write(notebook, folder / NOTEBOOK.name)
    return folder / NOTEBOOK.name


@contextlib.contextmanager
def jupyter(folder, served):
    """Start a Jupyter server on loopback, on a free port: the address of its pages and their token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, settings = secrets.token_hex(16), folder / "settings"
    for name, content in SETTINGS.items():
        file = settings / "@jupyterlab" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content), encoding="utf-8")
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={served}",
        "--LabApp.extension_manager=readonly",
    ]
    places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    env = os.environ | {f"JUPYTER_{place}": str(folder / place.lower()) for place in places}
    env |= {"JUPYTERLAB_SETTINGS_DIR": str(settings), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    env["OMP_NUM_THREADS"] = "1"  # the browser works beside the kernel
    env.pop("MPLBACKEND", None)
    log = folder / "server.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *options], env=env, stdout=stream, stderr=stream
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(f"{address}/api/status?token={token}", server, log)
        yield address, token
    finally:
        server.terminate()  # the server ends its kernels
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_up(address, server, log, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:
                return json.load(reply)
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no answer in {seconds} s: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def screenshot_path(folder):
    return Path(os.environ.get("ZSC_SCREENSHOT", folder / "explorer.png"))


@contextlib.contextmanager
def browser_page(folder, *flags):
    """Open a page in a headless Chromium with a profile of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(folder / "profile"),
            executable_path=CHROMIUM,
            args=[*FLAGS, *flags],
            viewport={"width": 1400, "height": 1900},
        )
        try:
            page = context.pages[0] if context.pages else context.new_page()
            page.set_default_timeout(WAIT)
            yield page
        except BaseException:
            page.screenshot(path=screenshot_path(folder))  # what the browser showed when it went wrong
            raise
        finally:
            context.close()


@dataclasses.dataclass
class Seen:
    """What a browser did with a page: dialogs, addresses it asked for, elements that no template has, and the text."""

    dialogs: list
    requests: list
    foreign: int
    text: str
    elements: list

    def attributes(self, name):
        return [values[name] for values in self.elements if name in values]


def what_a_browser_does(path, folder, click=None):
    with browser_page(folder) as page:
        dialogs, requests = [], []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda asked: requests.append(asked.url))
        page.goto(path.as_uri())
        if click:
            page.locator(click).click()
        page.mouse.move(200, 200)
        page.wait_for_timeout(300)
        foreign = page.locator("script, iframe, object, img:not([src^='data:']), [onerror], [onload]").count()
        script = "all => all.map(e => Object.fromEntries([...e.attributes].map(a => [a.name, a.value])))"
        elements = page.locator("*").evaluate_all(script)
        asked = [url for url in requests if not url.startswith("data:")]
        return Seen(dialogs, asked, foreign, page.locator("html").evaluate("e => e.textContent"), elements)


def run_all(page):
    page.locator(".jp-NotebookPanel").wait_for()
    page.get_by_text("(ipykernel) | Idle").wait_for()  # before that, running asks which kernel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


def type_prompt(page):
    """Type another prompt for a class: for the galaxies of the samples one that gains a picture, with a negation."""
    galaxies = page.locator(".zsc-class").filter(has=page.get_by_text("galaxies", exact=True))
    box, text = page.locator(".zsc-class").first, "not at all"
    if galaxies.count():
        box, text = galaxies, "not a fountain at night"
    if box.locator("textarea").input_value().startswith("a photo of a "):  # notebook 06 shows whole sentences
        text = f"a photo of a {text}"
    box.locator("textarea").fill("")
    box.locator("textarea").press_sequentially(text, delay=10)
    return box


def changed(page, place, before):
    """Wait until the HTML of a place differs from before."""
    script = "([place, before]) => document.querySelector(place).innerHTML !== before"
    page.wait_for_function(script, arg=[place, before], timeout=WAIT)
    return page.locator(place).first.inner_html()


def pictures(page):
    words = "cards => cards.map(c => c.innerText + c.querySelector('img')?.src)"
    return page.locator(".zsc-gallery .card").evaluate_all(words)


def classify_own_picture(page, folder):
    """Upload a picture in the second tab, and see one bar per class."""
    picture = folder / "mine.png"
    Image.new("RGB", (400, 300), (30, 90, 200)).save(picture)
    page.get_by_role("tab", name="your own picture").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="a picture").click()
    chooser.value.set_files(picture)
    page.locator(".zsc-own-picture", has_text="mine.png").wait_for()
    assert page.locator(".zsc-own tr").count() == page.locator(".zsc-class").count()
    track, bar = (page.locator(f".zsc-own .{name}").first.bounding_box() for name in ("track", "bar"))
    assert bar["x"] == track["x"] and bar["height"] == track["height"] and 0 < bar["width"] < track["width"]


def lose_a_large_picture(page, folder):
    """Upload more than the server takes in one message: after the advice is followed, the next picture gets through."""
    large = folder / "large.png"
    Image.frombytes("RGB", (2000, 2000), os.urandom(12_000_000)).save(large)
    for file, name in ((large, "nothing happened?"), (folder / "mine.png", None)):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="a picture").click()
        chooser.value.set_files(file)
        if name:
            page.wait_for_timeout(3000)
            page.get_by_role("button", name=name).click()
            page.locator(".zsc-message", has_text="more than 10 MB does not get through").wait_for()
    page.locator(".zsc-own-picture", has_text="mine.png").wait_for()
    page.get_by_role("textbox", name="or a path or URL").fill(str(large))
    page.keyboard.press("Enter")
    page.locator(".zsc-own-picture", has_text="large.png").wait_for()


def look_at_numbers(page):
    """Open the pictures behind a number, with the keyboard."""
    button = page.locator(".zsc-confusion button").first
    words = button.inner_text().replace(" → ", " said to be ")
    button.press("Enter")
    page.locator(".zsc-gallery [role=heading]", has_text=f"pictures of {words}: 1 to 1 of 1").wait_for()
    page.get_by_role("combobox", name="pictures of").select_option("any class")
    page.get_by_role("combobox", name="said to be").select_option("a wrong class")


def empty_a_box(page):
    """See that an answer that is no more the present one can be neither copied nor exported."""
    box = page.locator(".zsc-class textarea").first
    before = box.input_value()
    box.fill("")
    page.locator(".zsc-gallery", has_text="of the last complete prompts").wait_for()
    assert page.locator(".zsc-copy").is_disabled()
    assert page.get_by_role("button", name="export to YAML").is_disabled()
    assert "has no prompt" in page.locator(".zsc-class .zsc-notes").first.inner_text()
    box.fill(before)
    page.locator(".zsc-copy:enabled").wait_for()


def nameless(page):
    """List what a screen reader would call by its kind alone."""
    tree = page.locator(".zsc-panel").aria_snapshot()
    kinds = "textbox|combobox|button|img|table|tab|rowheader|columnheader"
    return re.findall(rf"- (?:{kinds})\b(?! [\"'/])", tree), tree.count("- status")


def cut_off(page, widths=(1100, 700, 350, 234)):
    """List what is drawn outside of the panel at some widths; JupyterLab leaves 234 of a window's 350 pixels."""
    script = """(panel, width) => {
        panel.style.width = `${width}px`;
        const right = panel.getBoundingClientRect().right + 1;
        const cut = [...panel.querySelectorAll('*')].filter(
            e => e.getBoundingClientRect().right > right && !e.closest('.wide')).map(e => e.className);
        panel.style.width = '';
        return cut;
    }"""
    found = {width: page.locator(".zsc-panel").evaluate(script, width) for width in widths}
    return {width: names for width, names in found.items() if names}


@NEEDS_BROWSER
@pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="no JupyterLab here: make setup")
@pytest.mark.parametrize("build", [small_notebook, own_notebook])
def test_typing_a_prompt_changes_accuracy_and_gallery(build, tmp_path):
    served = tmp_path / "notebooks"
    served.mkdir()
    notebook = build(served)
    with jupyter(tmp_path, served) as (address, token), browser_page(tmp_path) as page:
        page.goto(f"{address}/lab/tree/{notebook.name}?token={token}")
        run_all(page)
        page.locator(".zsc-accuracy", has_text="accuracy").first.wait_for()
        page.locator(".zsc-gallery .card img").first.wait_for()
        accuracy = page.locator(".zsc-accuracy b").first.inner_text()
        gallery, before = page.locator(".zsc-gallery").first.inner_html(), pictures(page)
        box = type_prompt(page)
        changed(page, ".zsc-gallery", gallery)
        page.wait_for_function(
            "before => document.querySelector('.zsc-accuracy b')?.innerText !== before", arg=accuracy, timeout=WAIT
        )
        assert pictures(page) and pictures(page) != before
        assert "negation" in box.locator(".zsc-notes").inner_text()
        page.locator(".zsc-history", has_text="tried so far: 2").wait_for()
        assert page.locator("button.zsc-copy").get_attribute("data-code").startswith("import zsc")
        shot = screenshot_path(tmp_path)
        page.locator(".zsc-about").first.scroll_into_view_if_needed()
        box.locator(".zsc-notes").scroll_into_view_if_needed()
        page.screenshot(path=shot)
        assert shot.stat().st_size > 50_000
        if build is small_notebook:
            look_at_numbers(page)
            empty_a_box(page)
            names, announced = nameless(page)
            assert names == [] and announced >= 2
            assert cut_off(page) == {}
        classify_own_picture(page, tmp_path)
        page.screenshot(path=shot.with_name(f"{shot.stem}-own{shot.suffix}"))
        if build is small_notebook:
            assert nameless(page)[0] == []
            lose_a_large_picture(page, tmp_path)
            typed = explorer_saved(page, notebook)
            assert "not a fountain at night" in typed and "wrong: " in typed  # what was typed, not what was first shown


def explorer_saved(page, notebook):
    """Save the notebook and read the still form in it."""
    assert page.locator("[class^=zsc-still]").is_hidden()  # while the panel lives
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_text("Save Notebook", exact=True).click()
    page.locator(".jp-mod-dirty").first.wait_for(state="detached")
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(output.get("data", {}).get("text/html", "") for output in cells[-1].outputs)


LABELLING = """\
import zsc
from zsc.labels import LabelSession
drawn = zsc.load_dataset("drawn-animals", n=40, seed=3)
clf = zsc.ZeroShotClassifier({"cat": "a cat", "dog": "a dog", "wild animal": "a lion"}, "toy")
session = LabelSession(clf.answer(drawn), "labels.csv")
session.widget()
"""
CORRECTING = """\
from zsc.labels import CorrectionSession
few, files = drawn.head(3), ["a.png", "b.png", "c.png"]
for picture, file in zip(few.paths, files):
    picture.save(file)
dataset = zsc.ImageDataset(files, [1, 1, 2], ["cat", "dog", "wild animal"])
CorrectionSession(clf.evaluate(dataset), "corrections.csv", rows=[0, 1, 2]).widget()
"""


@NEEDS_BROWSER
@pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="no JupyterLab here: make setup")
def test_a_button_and_a_key_label_a_picture(tmp_path):
    served = tmp_path / "notebooks"
    served.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in (LABELLING, CORRECTING)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), served / "label.ipynb")
    with jupyter(tmp_path, served) as (address, token), browser_page(tmp_path) as page:
        page.goto(f"{address}/lab/tree/label.ipynb?token={token}")
        run_all(page)
        said = page.locator("[role=status]", has_text="labels;").first
        said.wait_for()
        page.locator(".jp-OutputArea img").first.wait_for()
        page.locator("button", has_text="3 wild animal").first.click()
        page.locator("[role=status]", has_text="1 labels;").first.wait_for()
        box = page.locator("input[placeholder^=number]").first
        for number, key in enumerate(("2", "n", ""), 2):
            box.fill(key)
            box.press("Enter")
            page.locator("[role=status]", has_text=f"{number} labels;").first.wait_for()
        panels = page.locator(".jp-OutputArea-output")
        panels.first.screenshot(path=screenshot_path(tmp_path))
        panels.last.locator("button", has_text="1 cat").click()
        for number, key in enumerate(("", "n"), 2):
            panels.last.locator("[role=status]", has_text=f"{number - 1} of 3 labels").wait_for()
            panels.last.locator("input").fill(key)
            panels.last.locator("input").press("Enter")
        panels.last.locator("[role=status]", has_text="3 of 3 labels looked at, 2 changed").wait_for()
        panels.last.locator("button", has_text="undo").click()
        panels.last.locator("[role=status]", has_text="2 of 3 labels looked at, 1 changed").wait_for()
        panels.last.screenshot(path=tmp_path / "corrections.png")
    assert (served / "corrections.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        "a.png,cat,class,dog", "b.png,dog,class,dog"
    ]  # fmt: skip
    rows = (served / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[1:3] for row in rows[1:4]] == [["wild animal", "class"], ["dog", "class"], ["", "none"]]
    assert len(rows) == 5


MAP = """import zsc
drawings, model = zsc.load_dataset("drawn-animals", n=200), zsc.load_model("toy", device="cpu")
embeddings = zsc.embed_images(model, drawings, progress=False)
answers = zsc.ZeroShotClassifier(drawings.class_names, model).evaluate(embeddings)
shown = zsc.plots.map_widget(embeddings, answers)
shown.scatter.widget.observe(lambda _: open("rows.txt", "w").write(" ".join(map(str, shown.rows))), "selection")
shown
"""


@NEEDS_BROWSER
@pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="no JupyterLab here: make setup")
@pytest.mark.skipif(importlib.util.find_spec("jscatter") is None, reason="no jupyter-scatter here: make setup")
def test_a_lasso_on_the_map_gives_pictures_and_rows(tmp_path):
    served = tmp_path / "notebooks"
    served.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(MAP)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), served / "map.ipynb")
    webgl = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # computed by the processor
    with jupyter(tmp_path, served) as (address, token), browser_page(tmp_path, *webgl) as page:
        page.goto(f"{address}/lab/tree/map.ipynb?token={token}")
        run_all(page)
        page.locator("[role=status]", has_text="0 of 200 pictures selected").wait_for()
        box = page.locator(".jp-OutputArea canvas").first.bounding_box()
        page.wait_for_timeout(2000)  # the points are drawn
        x, y, w, h = (box[name] for name in ("x", "y", "width", "height"))
        corners = [(0.05, 0.05), (0.95, 0.05), (0.95, 0.5), (0.05, 0.5), (0.05, 0.05)]
        page.locator(".jp-OutputArea button").nth(1).click()  # the lasso
        page.mouse.move(x + 0.05 * w, y + 0.05 * h)
        page.mouse.down()
        for right, down in corners[1:]:
            page.mouse.move(x + right * w, y + down * h, steps=20)
        page.mouse.up()
        page.locator("[role=status]", has_text=re.compile("^[1-9].* of 200 pictures selected")).wait_for()
        names = page.locator(".jp-OutputArea img[src^=data]").evaluate_all("all => all.map(e => e.alt)")
        page.screenshot(path=screenshot_path(tmp_path))
    rows = [int(row) for row in (served / "rows.txt").read_text(encoding="utf-8").split()]
    assert 24 < len(rows) < 200 and rows == sorted(set(rows)) and len(names) == 24

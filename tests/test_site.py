"""The site's own check finds what is planted: dead links and anchors, and what a browser would fetch from elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = """<!doctype html><html><head><title>a</title><link rel="stylesheet" href="one.css"></head>
<body><h1 id="top">a</h1><a href="other.html#here">b</a><a href="#top">c</a><a href="https://example.org">d</a>{}</body></html>"""


def check(site, body=""):
    site.mkdir(exist_ok=True)
    (site / "index.html").write_text(PAGE.format(body), encoding="utf-8")
    (site / "other.html").write_text("<p id='here'>there</p>", encoding="utf-8")
    if not (site / "one.css").exists():
        (site / "one.css").write_text("p { background: url(picture.png) }")
    command = [sys.executable, ROOT / "docs/site/check.py", site]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_sound_site_is_sound(tmp_path):
    code, said = check(tmp_path / "a site", '<img src="data:image/png;base64,aaaa"><svg><use href="#top"/></svg>')
    assert code == 0 and "every link leads somewhere" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<a href="gone.html">x</a>', "index.html: leads to gone.html, which is not there"),
        ('<a href="other.html#gone">x</a>', "leads to other.html#gone, where no such place is"),
        ('<a href="#gone">x</a>', "leads to #gone"),
        ('<a href="../secret">x</a>', "leads to ../secret"),
        ('<img src="gone.png">', "leads to gone.png"),
        ('<img src="https://example.org/a.png">', "fetches https://example.org/a.png"),
        ('<script src="//example.org/a.js"></script>', "fetches //example.org/a.js"),
        ('<link rel="preconnect" href="https://example.org">', "fetches https://example.org"),
        ("<style>@import 'https://example.org/a.css'</style>", "names another host"),
        ("<p style=\"background: url('http://example.org/a')\">x</p>", "names another host"),
        ('<script>fetch("https://example.org")</script>', "names another host"),
    ],
)
def test_a_planted_fault_is_found(tmp_path, body, said):
    code, lines = check(tmp_path / "site", body)
    assert code == 1 and said in lines and len(lines.splitlines()) == 1


def test_a_style_sheet_and_an_empty_folder(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/one.css").write_text("@font-face { src: url(https://example.org/f) }")
    assert check(tmp_path / "site") == (1, "one.css: fetches from another host\n")
    done = subprocess.run([sys.executable, ROOT / "docs/site/check.py", tmp_path / "nothing"], check=False)
    assert done.returncode == 1

"""Look through the built site: every link leads to a page and a heading that are there, and no page asks another host.

`python docs/site/check.py SITE`; what is wrong is listed, one line each, and the exit code is 1. A link that a reader
may follow to another host is none of its business; what a browser would fetch by itself is.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {
    "img": "src",
    "script": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}
FETCHED |= {"link": "href", "object": "data"}
IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)['"]?(https?:)?//""")
IN_SCRIPTS = re.compile(r"""(?:fetch|import|importScripts|open)\(\s*['"`](https?:)?//|\.src\s*=\s*['"`](https?:)?//""")


class Page(HTMLParser):
    """What a page links to, what a browser fetches for it, and the places in it that can be linked to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.places: set[str] = set()
        self.inside = ""
        self.calls: list[str] = []  # styles and scripts in the page that name another host
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this tag links to, fetches, and names."""
        known = {key: value or "" for key, value in attrs}
        self.inside = tag
        self.places |= {known[key] for key in ("id", "name") if key in known}
        is_hint = tag == "link" and known.get("rel") in ("canonical", "alternate")
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        elif tag in FETCHED and FETCHED[tag] in known and not is_hint:
            self.fetched.append(known[FETCHED[tag]])
        if IN_STYLES.search(known.get("style", "")):
            self.calls.append(known["style"])

    def handle_data(self, data: str) -> None:
        """Look through styles and scripts that stand in the page."""
        pattern = {"style": IN_STYLES, "script": IN_SCRIPTS}.get(self.inside)
        if pattern and (found := pattern.search(data)):
            self.calls.append(found[0])

    def handle_endtag(self, tag: str) -> None:
        """Leave the style or script."""
        self.inside = ""


def faults(site: Path) -> list[str]:
    """List what is wrong with a built site, one line each: the page, and the link or the address at fault."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    found = [] if pages else [f"{site}: no page is here"]
    for path, page in pages.items():
        name = path.relative_to(site)
        found += [f"{name}: names another host in a style or script: {call[:80]}" for call in page.calls]
        elsewhere = [a for a in page.links + page.fetched if urlsplit(a).scheme or urlsplit(a).netloc]
        found += [f"{name}: fetches {a[:80]}" for a in page.fetched if a in elsewhere and not a.startswith("data:")]
        for address in page.links + page.fetched:
            if address in elsewhere:
                continue
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_relative_to(site) or not target.exists():
                found.append(f"{name}: leads to {address}, which is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
                found.append(f"{name}: leads to {address}, where no such place is")
    for path in site.rglob("*.css"):
        if IN_STYLES.search(path.read_text(encoding="utf-8")):
            found.append(f"{path.relative_to(site)}: fetches from another host")
    return found


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).resolve())
    print("\n".join(wrong) or f"{sys.argv[1]}: every link leads somewhere, and nothing is fetched from another host")
    sys.exit(bool(wrong))

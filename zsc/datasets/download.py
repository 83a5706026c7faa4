"""Fetch one file safely: resumed, checked, and in place only when it is whole.

The transfer is requests'; its retries with growing pauses are urllib3's. What has come stays in `NAME.part` until the
file is complete and its checksum is right; then it is renamed, last of all.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from tqdm.auto import tqdm
from urllib3.util.retry import Retry

CHUNK = 1 << 16
_RETRY = Retry(total=4, connect=1, backoff_factor=0.5, status_forcelist=(500, 502, 503, 504), raise_on_status=False)


class DownloadError(OSError):
    """A file that could not be fetched whole; the message names the URL, the file and its folder."""


def fetch(
    url: str, path: Path, *, sha256: str | None = None, timeout: float = 15.0, progress: bool = True, attempts: int = 4
) -> Path:
    """Fetch a URL into a file, going on from an earlier try where there is one.

    Parameters
    ----------
    url
        An http or https address.
    path
        Where the file shall lie; its folder is made.
    sha256
        The checksum that was published, in hexadecimal; None where there is none.
    timeout
        Seconds of silence after which the connection is given up.
    progress
        Show a bar with size and rate.
    attempts
        How often a connection that broke off is taken up again.

    Returns
    -------
    Path
        `path`, complete.

    Raises
    ------
    DownloadError
        If the file could not be fetched whole. What has come stays in ``NAME.part``, and the next call goes on there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    where = f"{url} (for {path.name} in {path.parent})"
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=_RETRY))
        session.mount("https://", HTTPAdapter(max_retries=_RETRY))
        for attempt in range(1, attempts + 1):
            try:
                _transfer(session, url, part, timeout, progress)
                break
            except requests.RequestException as error:
                if attempt == attempts or not _worth_another_try(error):
                    raise DownloadError(f"{where}: could not be fetched ({_short(error)}).") from error
    found = sha256_of(part)
    if sha256 is not None and found != sha256:
        part.unlink()
        raise DownloadError(f"{where}: arrived with sha256 {found}, expected {sha256}; it was thrown away, try again.")
    return part.replace(path)


def sha256_of(path: Path) -> str:
    """Compute the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: object) -> str:
    digest = hashlib.sha256()  # Python 3.10 has no file_digest
    while block := file.read(CHUNK):  # type: ignore[attr-defined]
        digest.update(block)
    return digest.hexdigest()


def _transfer(session: requests.Session, url: str, part: Path, timeout: float, progress: bool) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with session.get(url, headers=headers, stream=True, timeout=timeout) as reply:
        if reply.status_code == requests.codes.requested_range_not_satisfiable and _is_whole(reply, have):
            return
        if reply.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # what is here is not the beginning of what is there
            raise requests.ConnectionError("the part on disk is larger than the file; starting again")
        reply.raise_for_status()
        resumed = reply.status_code == requests.codes.partial_content
        total = int(reply.headers.get("Content-Length", 0)) + (have if resumed else 0)
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(
                total=total or None, initial=have if resumed else 0, unit="B", unit_scale=True, desc=part.stem,
                disable=not progress,
            ) as bar,
        ):  # fmt: skip
            for block in reply.iter_content(CHUNK):
                file.write(block)
                bar.update(len(block))
    if total and part.stat().st_size != total:
        raise requests.ConnectionError(f"broke off at {part.stat().st_size} of {total} bytes")


def _is_whole(reply: requests.Response, have: int) -> bool:
    return reply.headers.get("Content-Range", "").endswith(f"/{have}")


def _worth_another_try(error: requests.RequestException) -> bool:
    """Tell a connection that broke off from an answer that would come again."""
    if isinstance(error, requests.HTTPError):
        return False
    return "Failed to establish" not in str(error) and "resolve" not in str(error).lower()


def _short(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    text = str(error)
    if "resolve" in text.lower() or "Failed to establish" in text or "ProxyError" in text:
        return "no network, or the host cannot be reached"
    return text if len(text) < 200 else f"{type(error).__name__}: {text[:150]}..."

"""Fetch one file safely: resumed, checked, and in place only when it is whole.

The transfer is requests'; its retries with growing pauses are urllib3's. What has come stays in `NAME.part` until the
file is complete and its checksum is right; then it is renamed, last of all. No message holds a login or a signed URL.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

CHUNK = 1 << 16
RESERVE = 64 * 2**20  # bytes that stay free
_RETRY = Retry(  # of answers that ask to come again; what breaks off is taken up below, where it broke
    total=4,
    connect=0,
    read=0,
    other=0,
    backoff_factor=0.5,
    status_forcelist=(500, 502, 503, 504),
    raise_on_status=False,
    respect_retry_after_header=False,
)


class DownloadError(OSError):
    """A file that could not be fetched whole; the message names the URL, the file and its folder."""


def fetch(
    url: str,
    path: Path,
    *,
    checksum: str | None = None,
    auth: AuthBase | None = None,
    timeout: tuple[float, float] = (6.0, 20.0),
    progress: bool = True,
    attempts: int = 4,
) -> Path:
    """Fetch a URL into a file, going on from an earlier try where there is one.

    Parameters
    ----------
    url
        An http or https address.
    path
        Where the file shall lie; its folder is made.
    checksum
        What was published, as "sha256:..." or "md5:..." in hexadecimal; None where nothing was.
    auth
        A login, sent to the address itself and not to where it redirects.
    timeout
        Seconds to wait for the connection, and seconds of silence after which it is given up.
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
    where = f"{shown(url)} (for {path.name} in {path.parent})"
    if path.exists():  # fetched before, and stopped before it was used
        path.replace(part)
    with requests.Session() as session, _unlogged():
        session.auth = auth
        session.mount("http://", HTTPAdapter(max_retries=_RETRY))
        session.mount("https://", HTTPAdapter(max_retries=_RETRY))
        for attempt in range(1, attempts + 1):
            try:
                _transfer(session, url, part, timeout, progress)
                break
            except requests.RequestException as error:
                if attempt == attempts or not _worth_another_try(error):
                    raise DownloadError(f"{where}: could not be fetched ({reason(error)}).") from None
                time.sleep(_RETRY.backoff_factor * attempt)
            except (ValueError, UnicodeError, HTTPError) as error:  # an address, login or header that makes no sense
                raise DownloadError(f"{where}: could not be fetched ({type(error).__name__}).") from None
    _check(part, checksum, where)
    return part.replace(path)


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Compute the checksum of a file, in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def shown(url: str) -> str:
    """Give an address as it may be shown: without a login, and without what may be a signature."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def reason(error: requests.RequestException) -> str:
    """Say in a few words why a transfer failed; never with an address, which may be signed."""
    if isinstance(error, requests.HTTPError):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "timed out"
    if isinstance(error, _BrokenOffError):
        return str(error)
    if isinstance(error, ValueError):
        return "the address makes no sense"
    if not _was_connected(error):
        return "no network, or the host cannot be reached"
    return f"the connection broke off, {type(error).__name__}"


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep urllib3 from logging addresses, which may be signed."""

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("urllib3.connectionpool")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


class _BrokenOffError(requests.ConnectionError):
    """A transfer that ended before the file did."""


def _transfer(session: requests.Session, url: str, part: Path, timeout: tuple[float, float], progress: bool) -> None:
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(url, headers=headers, stream=True, timeout=timeout) as reply:
        if reply.status_code == requests.codes.requested_range_not_satisfiable:
            if reply.headers.get("Content-Range", "").endswith(f"/{have}"):
                return  # nothing is missing
            part.unlink()  # what is here is not the beginning of what is there
            raise _BrokenOffError("the part on disk is larger than the file; starting again")
        reply.raise_for_status()
        start = have if reply.headers.get("Content-Range", "").startswith(f"bytes {have}-") else 0
        if reply.status_code == requests.codes.partial_content and not start:
            raise _BrokenOffError("the server sent another part than was asked for")
        rest = int(reply.headers.get("Content-Length", 0))
        _refuse_full_disk(part, rest)
        with part.open("ab" if start else "wb") as file:
            bar = tqdm(total=start + rest or None, initial=start, unit="B", unit_scale=True, disable=not progress)
            with bar:
                bar.set_description(part.stem)
                for block in reply.iter_content(CHUNK):
                    file.write(block)
                    bar.update(len(block))
    if rest and part.stat().st_size != start + rest:
        raise _BrokenOffError(f"broke off at {part.stat().st_size} of {start + rest} bytes")


def _refuse_full_disk(part: Path, size: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if size + RESERVE > free:
        raise DownloadError(
            f"{part.stem} needs {size / 1e9:.2f} GB more and {part.parent} has {free / 1e9:.2f} GB free; make room, or "
            "choose another folder."
        )


def _check(part: Path, checksum: str | None, where: str) -> None:
    if checksum is None:
        return
    algorithm, _, expected = checksum.partition(":")
    found = digest_of(part, algorithm)
    if found != expected:
        part.unlink()
        raise DownloadError(
            f"{where}: arrived with {algorithm} {found}, expected {expected}; it was thrown away, try again."
        )


def _was_connected(error: requests.RequestException) -> bool:
    text = str(error).lower()
    return not any(sign in text for sign in ("failed to resolve", "failed to establish", "proxyerror", "unreachable"))


def _worth_another_try(error: requests.RequestException) -> bool:
    """Tell a connection that broke off from an answer that would come again."""
    if isinstance(error, requests.HTTPError | requests.Timeout | requests.exceptions.InvalidURL | ValueError):
        return False
    return _was_connected(error)

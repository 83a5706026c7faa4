"""The user's Kaggle credentials, as Kaggle's own packages find them. They are sent, never shown."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth


class _Token(AuthBase):
    """An access token; requests drops the header where an address redirects to another host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def kaggle_login(report: Callable[[str], None]) -> AuthBase | None:
    """Find the credentials: KAGGLE_API_TOKEN, KAGGLE_USERNAME and KAGGLE_KEY, or kaggle.json.

    Parameters
    ----------
    report
        Told where `kaggle.json` can be read by others, or is damaged; never the credentials.

    Returns
    -------
    AuthBase or None
        What requests sends; None where there are no credentials.
    """
    from kagglehub.config import get_kaggle_credentials

    _warn_if_readable(report)
    try:
        found = get_kaggle_credentials()
    except (ValueError, OSError, TypeError):
        report(f"kaggle: {_file()} cannot be read as Kaggle's credentials; fetch it again from your Kaggle settings.")
        return None
    if found is None:
        return None
    token, username, key = ((text or "").strip() for text in (found.api_key, found.username, found.key))
    if not all(text.isascii() and text.isprintable() for text in (token, username, key)):
        report("kaggle: the credentials hold letters that no credentials have; copy them again from Kaggle.")
        return None
    return _Token(token) if token else HTTPBasicAuth(username, key)


def may_log_in(url: str) -> bool:
    """Tell whether an address may be sent the login: Kaggle's own by https, or this machine's, as tests use it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_kaggle = parts.scheme == "https" and (host == "kaggle.com" or host.endswith(".kaggle.com"))
    return is_kaggle or host in ("127.0.0.1", "localhost", "::1")


def _file() -> Path:
    return Path(os.environ.get("KAGGLE_CONFIG_DIR") or Path.home() / ".kaggle") / "kaggle.json"


def _warn_if_readable(report: Callable[[str], None]) -> None:
    file = _file()
    if os.name == "posix" and file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        report(f"kaggle: others on this machine can read {file}; run chmod 600 {file}.")

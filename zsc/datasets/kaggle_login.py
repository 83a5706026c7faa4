"""The user's Kaggle credentials, as Kaggle's own packages find them. They are sent to Kaggle only, and never shown."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from zsc.files import expanded, printable

TRUSTED = {("https", "kaggle.com", 443)}  # with the hosts below them; nobody else is sent the login


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
    _warn_if_readable(report)
    try:
        token, username, key = (_text(value).strip() for value in _find())
        if not token and bool(username) != bool(key):
            raise ValueError("one of the two is empty")
    except (ValueError, OSError, TypeError, KeyError):
        report(
            f"kaggle: {printable(_file())} cannot be read as Kaggle's credentials; fetch it again from your Kaggle "
            "settings."
        )
        return None
    if not all(text.isascii() and text.isprintable() for text in (token, username, key)):
        report("kaggle: the credentials hold letters that no credentials have; copy them again from Kaggle.")
        return None
    if token:
        return _Token(token)
    return HTTPBasicAuth(username, key) if username and key else None


def may_log_in(url: str) -> bool:
    """Tell whether an address may be sent the login: Kaggle's own, by https, as the library reads it that sends it.

    What two libraries may read differently is refused: backslashes, logins, spaces, letters of other scripts.
    """
    try:
        parts = parse_url(url)
    except (HTTPError, ValueError):
        return False
    if re.search(r"[^!-~]|[\\@]", url) or parts.auth is not None:
        return False
    host, port = parts.host or "", parts.port or (443 if parts.scheme == "https" else 80)
    return re.fullmatch(r"[a-z0-9.-]+", host) is not None and any(
        (parts.scheme, port) == (scheme, its_port) and f".{host}".endswith(f".{name}")
        for scheme, name, its_port in TRUSTED
    )


def _find() -> tuple[object, object, object]:
    """Find token, user name and key; empty where there are none."""
    try:
        from kagglehub.config import get_kaggle_credentials
    except RuntimeError:  # it looks for the home directory, and there is none
        known = os.environ.get
        return known("KAGGLE_API_TOKEN"), known("KAGGLE_USERNAME"), known("KAGGLE_KEY")
    try:
        found = get_kaggle_credentials()
    except ValueError:
        read = json.loads(_file().read_bytes())  # which knows the marks that Windows' editors put before a text
        return "", read["username"], read["key"]
    return (found.api_key, found.username, found.key) if found else ("", "", "")


def _text(value: object) -> str:
    if not isinstance(value, str | None):
        raise TypeError("credentials are texts")
    return value or ""


def _file() -> Path:
    return Path(os.environ.get("KAGGLE_CONFIG_DIR") or expanded("~/.kaggle")) / "kaggle.json"


def _warn_if_readable(report: Callable[[str], None]) -> None:
    file = _file()
    if os.name == "posix" and os.access(file, os.R_OK) and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        report(f"kaggle: others on this machine can read {printable(file)}; run chmod 600 {printable(file)}.")

"""No page of the site makes a browser ask another server: a script, style, font or picture from elsewhere is a
warning, which ends a strict build.
"""

import logging
import re
from pathlib import Path
from typing import Any

LOG = logging.getLogger("mkdocs.hooks.no_requests")
ASKS = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(?:https?:)?//"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"']?(?:https?:)?//"
    r"|url\([\"']?(?:https?:)?//|@import [\"'](?:https?:)?//", re.I,
)  # fmt: skip


def on_post_build(config: Any) -> None:
    """Looks through all pages and styles."""
    for file in sorted(Path(config.site_dir).rglob("*")):
        if file.suffix in (".html", ".css") and (found := ASKS.search(file.read_text(encoding="utf-8"))):
            LOG.warning("%s asks another server: %s", file.name, found[0])

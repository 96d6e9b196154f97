"""Where a remote model answers, and with which key.

Keys are read here and nowhere else. They go to the server they belong to, over https or inside a private network, and
into no error text, file or log.
"""

import ipaddress
import os
from urllib.parse import urlsplit

from hf_transfer_kit.errors import RemoteError
from hf_transfer_kit.plan.specs import Remote

KEY_VARIABLE = "TRANSFER_KIT_API_KEY"
NETWORK_NAMES = (".localhost", ".local", ".internal", ".lan")


def server_name(remote: Remote) -> str:
    """The server for people, without what a URL may hold besides its address."""
    if remote.url is None:
        return f"provider '{remote.provider}'"
    parts = urlsplit(remote.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def find_key(remote: Remote) -> str:
    """The key for `remote`: from TRANSFER_KIT_API_KEY for a URL, of `hf auth login` or HF_TOKEN for a provider.

    Over plain http a key goes only to this machine or a private network: private addresses (10.0.0.5), names without a
    dot (containers, clusters), and those that end in .localhost, .local, .internal or .lan.

    Raises:
        RemoteError: there is none, or it would travel in clear text, or stands in the URL.

    Example:
        >>> os.environ["TRANSFER_KIT_API_KEY"] = "any word"
        >>> find_key(Remote(url="http://127.0.0.1:8000/v1"))
        'any word'
    """
    if remote.url is None:
        from huggingface_hub import get_token

        key = get_token()
        if not key:
            raise RemoteError(f"{server_name(remote)} wants a key, and nothing was sent; run: hf auth login")
        return key
    parts = urlsplit(remote.url)
    if parts.username or parts.password:
        raise RemoteError(
            f"the url of {server_name(remote)} holds a name or password; take it out: export {KEY_VARIABLE}=..."
        )
    if parts.scheme == "http" and not _is_private(parts.hostname or ""):
        raise RemoteError(f"{server_name(remote)}: over http a key would travel in clear text; use https://.")
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise RemoteError(
            f"{server_name(remote)} wants a key, and nothing was sent; export {KEY_VARIABLE}=... "
            "(any word for a server without keys)."
        )
    if not (key.isascii() and key.isprintable()):
        raise RemoteError(f"{KEY_VARIABLE} holds characters that no key has; export it again.")
    return key


def _is_private(host: str) -> bool:
    """Whether `host` is this machine or in a private network, by its name alone."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(NETWORK_NAMES))

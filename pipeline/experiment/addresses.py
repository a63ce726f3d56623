"""Addresses of servers and storages: what may be shown of them, and what makes them unusable."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_TOKEN = re.compile(r"://\S*")
_OPTION = re.compile(r"([?&;])([^=?&;\s]+)=([^&;\s]*)")
_SECRET = re.compile(r"key|secret|token|pass|pwd|^pw$|sig|cred|auth(?!ority)|sas|session|odbc", re.IGNORECASE)
_LEAST = 3
"""Characters of a secret that is also hidden where it stands alone: shorter ones are parts of ordinary words."""


def shown(text: str, *addresses: str | None) -> str:
    """Return a text for display, without the secrets of the addresses in it.

    Of ``scheme://user:password@host/path?secret_key=x``, ``scheme://host/path?secret_key=***`` is left: what stands
    before the last ``@``, and the values of options whose names say that they are secret, are hidden.

    Args:
        text: An address, or any text that may hold some.
        addresses: Addresses whose passwords and secret options are hidden also where they stand alone.
    """
    for secret in sorted({each for address in addresses if address for each in secrets(address)}, key=len)[::-1]:
        text = text.replace(secret, "***")
    return _TOKEN.sub(lambda token: _without_secrets(token[0]), text)


def secrets(address: str) -> Iterator[str]:
    """Yield the password and the secret options of an address, as written, decoded and encoded."""
    _, _, rest = address.partition("://")
    user, _, _ = ("" if rest.startswith("/") else rest).rpartition("@")
    found = [user.partition(":")[2] or user]
    found += [value for name, value in parse_qsl(rest.partition("?")[2]) if _SECRET.search(name)]
    for secret in found:
        yield from (each for each in (secret, unquote(secret), quote(secret, safe="")) if len(each) >= _LEAST)


def has_secrets(address: str) -> bool:
    """Return whether an address holds a user or a secret option."""
    return _without_secrets(address) != address


def fault(address: str) -> str | None:
    """Return why no program would read an address as it is meant, or None; the reason holds no part of the address."""
    if re.search(r"[\s\x00-\x1f\x7f]", address):
        return "must hold no blanks: write %20 for a blank"
    try:
        parts = urlsplit(address)
        user = parts.netloc.rpartition("@")[0]
        unclear = parts.port is None and parts.netloc.endswith(":")
    except ValueError:  # a password with / or ? ends the host's name, and what is left is no number of a port
        user, unclear = "", True
    if unclear or "@" in user:
        return "must name a host, and a number as its port; / ? # @ : in a password are written %2F %3F %23 %40 %3A"
    return None


def _without_secrets(address: str) -> str:
    scheme, mark, rest = address.partition("://")
    if not rest.startswith("/"):  # there is a host, which a user may precede
        rest = rest.rpartition("@")[2]
    return scheme + mark + _OPTION.sub(_hidden, rest)


def _hidden(option: re.Match[str]) -> str:
    mark, name, value = option.groups()
    return f"{mark}{name}={'***' if _SECRET.search(unquote(name)) and value else value}"

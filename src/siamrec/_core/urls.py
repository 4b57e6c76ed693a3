"""Database URLs as they may be shown: without what opens the database."""

from __future__ import annotations

OPEN_KEYS = frozenset(
    {"host", "port", "user", "dbname", "mode", "uri", "sslmode", "connect_timeout"}
)
"""Parts of a query that are no secret; the values of all others are left out."""
MASK = "***"


def masked(url: object) -> str:
    """Return a URL, or what was meant as one, without password and secret options.

    Where it cannot be told which part is the password, nothing but the scheme is left.

    Examples:
        >>> masked("postgresql://ann:secret@host/name?sslmode=require&password=secret")
        'postgresql://ann:***@host/name?sslmode=require'
        >>> masked("ann:sec@ret/@host/name"), masked("postgresql://host/name?password=s@cret")
        ('ann:***@host/name', 'postgresql://***')
    """
    text = str(url)
    scheme, there, rest = text.partition("://") if "://" in text else ("", "", text)
    place, _, query = rest.partition("?")
    if "@" in query:
        return f"{scheme}{there}{MASK}"
    who, at, where = place.rpartition("@")
    user, colon, _ = who.partition(":")
    told = [part for part in query.split("&") if part.partition("=")[0] in OPEN_KEYS]
    known = f"{user}{colon}{MASK if colon else ''}{at}{_host(where)}"
    return f"{scheme}{there}{known}{'?' * bool(told)}{'&'.join(told)}"


def _host(where: str) -> str:
    """Return host, port and name; what is no port may be the password of a URL without a host."""
    address, slash, name = where.partition("/")
    host, colon, port = address.rpartition(":")
    if colon and not port.isdigit() and not address.endswith("]"):
        address = f"{host}{colon}{MASK}"
    return f"{address}{slash}{name}"

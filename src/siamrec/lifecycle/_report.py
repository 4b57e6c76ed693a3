"""`report.html`: tables and pictures of one cycle in one file that works offline."""

from __future__ import annotations

import hashlib
import math
import re
from base64 import b64encode
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from siamrec._core.lazy import extra
from siamrec._core.table import span, words
from siamrec.errors import MissingExtraError
from siamrec.lifecycle._figures import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TEMPLATE = "report.html.j2"


def render(summary: Mapping[str, Any]) -> str:
    """Return the page; without Plotly it has its tables and says how to get the pictures."""
    jinja = extra("jinja2", extra="plots", purpose="Writing the report")
    text = files("siamrec.lifecycle").joinpath("templates").joinpath(_TEMPLATE).read_text("utf-8")
    environment = jinja.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja.StrictUndefined
    )
    environment.filters |= {"number": words, "interval": _interval, "short": _short}
    pictures, library, missing = _pictures(summary)
    page = environment.from_string(text).render(
        summary=summary,
        pictures=pictures,
        library=jinja.utils.markupsafe.Markup(library),
        missing=missing,
        policy=_PLACE,
    )
    return str(page).replace(_PLACE, policy_of(_scripts(library, pictures)))


_PLACE = "content-security-policy"


def policy_of(scripts: Iterable[str]) -> str:
    """Return a content security policy under which these scripts run, and nothing is loaded.

    Whatever a text of somebody else should bring into the page is no script that is known.
    """
    digests = (b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts)
    known = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {known}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _scripts(library: str, pictures: Mapping[str, Any]) -> list[str]:
    """Return the text of every script that we have drawn."""
    drawn = (text for part in pictures.values() for text in _SCRIPT.findall(str(part)))
    return [*filter(None, [library]), *drawn]


_SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)


def _pictures(summary: Mapping[str, Any]) -> tuple[dict[str, Any], str, str]:
    """Return the pictures as HTML, the script they share, and what is missing."""
    try:
        drawn = figures(summary)
    except MissingExtraError as error:
        return {}, "", str(error)
    markup = extra("markupsafe", extra="plots", purpose="Writing the report").Markup
    offline = extra("plotly.offline", extra="plots", purpose="Drawing the report")
    parts = {
        # A fixed id: a random one would make two equal runs write different files.
        name: markup(
            figure.to_html(
                full_html=False,
                include_plotlyjs=False,
                div_id=f"figure-{name}",
                config={"displayModeBar": False, "responsive": True},
            )
        )
        for name, figure in drawn.items()
    }
    return parts, offline.get_plotlyjs(), ""


def _interval(found: Mapping[str, Any]) -> str:
    """Return the ends of an interval; None is an end that is not bounded."""
    low, high = found["low"], found["high"]
    return span(-math.inf if low is None else low, math.inf if high is None else high)


def _short(version: str | None) -> str:
    return "–" if not version else version[:12]

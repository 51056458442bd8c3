"""The pages' templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

_FOLDER = Path(__file__).parent


def render(name: str, **values: Any) -> str:
    """Fills a template of this folder; what is put in is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**values)

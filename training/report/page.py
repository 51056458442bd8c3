"""The report of a run as one page: `report.html`, with nothing outside of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contract.files import write_whole
from contract.run_folder import RunFolder
from training.report import figures, tables, words
from training.report.facts import facts, gap
from training.report.material import gather
from training.report.template import render


def write_report(run: RunFolder, say: Callable[[str], None]) -> Path:
    """Writes a run's pictures and its page, from what lies in the run folder.

    Args:
        run: evaluated.
        say: takes a line for the user: a picture that can't be drawn, where the page is.

    Returns:
        The page, `report.html`.

    Raises:
        RunError: this is no run folder, or the run is not evaluated.
    """
    material = gather(run, say)
    pictures = figures.write(run, list(figures.plans(material)), say)
    content = render(
        "page.html.j2",
        config=material.config,
        recipe=material.config.recipe,
        manifest=material.manifest,
        duplicates=material.facts.duplicates,
        skipped=material.facts.skipped,
        pictures=pictures,
        facts=facts(material),
        gap=gap(material),
        counts=tables.counts(material),
        classes=tables.classes(material),
        confusion=tables.confusion(material),
        mistakes=tables.mistakes(material),
        regression=tables.regression(material),
        layers=tables.layers(material),
        settings=words.settings(material.config.recipe),
    )
    write_whole(run.page, content.encode(errors="replace"))
    say(f"report: {run.page}")
    return run.page

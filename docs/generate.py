"""Writes the tables of docs/recipes.md and docs/settings.md from the code; a test compares them.

python docs/generate.py
"""

from pathlib import Path

from contract.settings import Settings, describe
from training.recipes import RECIPES
from training.show import size

HERE = Path(__file__).parent


def recipes() -> str:
    rows = [
        "| recipe | document | data | input | epochs | parameters | expected |",
        "|---|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES.values():
        cells = (recipe.name, recipe.document, recipe.data, size(recipe.input), recipe.epochs)
        rows.append(
            "| " + " | ".join(map(str, cells)) + f" | {recipe.parameters:,} | {recipe.expected} |"
        )
    return "\n".join(rows)


def settings() -> str:
    rows = ["| variable | default | what |", "|---|---|---|"]
    for variable, value, text in describe(Settings()):
        rows.append(f"| `{variable}` | {f'`{value}`' if value else ''} | {text} |")
    return "\n".join(rows)


TABLES = {"recipes.md": recipes, "settings.md": settings}
START, END = "<!-- generated: python docs/generate.py -->", "<!-- end -->"


def with_table(page: str, table: str) -> str:
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table}\n{END}{after}"


if __name__ == "__main__":
    for name, table in TABLES.items():
        path = HERE / name
        path.write_text(with_table(path.read_text(), table()))

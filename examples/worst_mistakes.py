"""Reads an output of `lince score --labels-from-folders`: recall of each class, worst mistakes.

python examples/worst_mistakes.py results.parquet
"""

import sys
from collections import Counter
from heapq import nlargest
from pathlib import Path

from client.scoring import outputs


def main() -> None:
    seen: Counter[str] = Counter()
    right: Counter[str] = Counter()
    mistakes = []
    for row in outputs.read(Path(sys.argv[1])):
        if row.error is not None:
            print(f"{row.path}: {row.error}")
            continue
        seen[row.true_label] += 1
        right[row.true_label] += row.label == row.true_label
        if row.label != row.true_label:
            mistakes.append((row.probability, row.path, row.label))
    for label, count in sorted(seen.items()):
        print(f"{label}: {right[label]} of {count} found")
    for probability, path, label in nlargest(5, mistakes):
        print(f"{path} is no {label}, whatever the model says ({probability:.0%})")


if __name__ == "__main__":
    main()

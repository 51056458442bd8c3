"""Batch scoring: every picture of the sources through a model, a row each, nothing lost."""

from client.scoring.merge import merge
from client.scoring.rows import Parameters, Ranked, Row, Shard, Summary
from client.scoring.run import Job, score

__all__ = ["Job", "Parameters", "Ranked", "Row", "Shard", "Summary", "merge", "score"]

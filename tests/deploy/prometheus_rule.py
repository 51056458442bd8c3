"""Makes the Prometheus operator's form of the rules in monitoring/prometheus/rules.

    python -m tests.deploy.prometheus_rule

writes k8s/components/monitoring/rules.yaml; a test compares the two.
"""

from pathlib import Path
from typing import Any

import yaml

from contract.files import write_whole

ROOT = Path(__file__).parents[2]
RULES = ROOT / "monitoring" / "prometheus" / "rules"
TARGET = ROOT / "k8s" / "components" / "monitoring" / "rules.yaml"

_HEAD = """# yamllint disable-file
# Generated from monitoring/prometheus/rules: python -m tests.deploy.prometheus_rule
"""


class _Dumper(yaml.SafeDumper):
    """Indents lists as yamllint wants them."""

    def increase_indent(self, flow: bool = False, *_: object, **__: object) -> None:
        super().increase_indent(flow, indentless=False)


def groups() -> list[Any]:
    """The rule groups of all files, by the files' names."""
    files = sorted(RULES.glob("*.yml"))
    return [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]


def text() -> str:
    """The manifest as it should be."""
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "lince", "labels": {"app.kubernetes.io/part-of": "lince"}},
        "spec": {"groups": groups()},
    }
    return _HEAD + yaml.dump(
        manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96
    )


if __name__ == "__main__":
    write_whole(TARGET, text().encode())

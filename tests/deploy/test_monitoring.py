"""Rules and dashboards: what they ask for exists, and what they promise is there."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import promql_parser
import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from contract.settings import Settings
from monitoring.queries import FOLDER, dashboards, filled, rules
from server import metrics
from server.app import create_app
from server.model_server import monitoring as model_server
from tests.programs import require

PROMETHEUS = FOLDER / "prometheus"
ALERTS = [rule for rule in rules() if rule.alert]
RECORDED = {rule.name: rule.expression for rule in rules() if not rule.alert}

#: Of kube-state-metrics, cAdvisor and Prometheus itself.
OTHERS = {
    "ALERTS": {"alertname", "alertstate"},
    "up": set(),
    "kube_pod_container_resource_limits": {"pod", "container", "resource"},
    "kube_pod_container_status_restarts_total": {"pod", "container"},
    "container_cpu_cfs_periods_total": {"pod", "container"},
    "container_cpu_cfs_throttled_periods_total": {"pod", "container"},
    "container_cpu_usage_seconds_total": {"pod", "container"},
    "container_memory_working_set_bytes": {"pod", "container"},
}
#: What Prometheus, or its operator, adds to every series.
ADDED = {"job", "instance", "namespace"}
#: What is counted and on no dashboard, and why.
NOT_SHOWN = {
    "lince_build_info": "it is the dashboards' list of namespaces",
    ":tensorflow:serving:request_example_counts": "only of Classify and Regress, not of Predict",
    ":tensorflow:serving:request_example_count_total": "the same",
}
#: The values of labels that come from closed sets.
VALUES = {
    "reason": set(metrics.REJECTIONS),
    "stage": set(metrics.STAGES_OF_A_REQUEST),
    "state": set(metrics.BREAKER_STATES),
    "track": {"stable", "canary"},
    "method": set(metrics.METHODS),
    "status": {"OK", "success", "fail"},
}


def queries() -> list[tuple[str, str]]:
    """Every query, and where it stands."""
    found = [(rule.name, rule.expression) for rule in rules()]
    for name, panels in dashboards().items():
        for panel in panels:
            found += [
                (f"{name}: {panel.title}", filled(target.expression, rate="1m"))
                for target in panel.targets
            ]
    return found


def selectors(expression: str) -> list[promql_parser.VectorSelector]:
    found = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def groupings(expression: str) -> set[str]:
    """All labels that an expression groups by."""
    lists = re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", expression)
    return {label for text in lists for label in re.findall(r"\w+", text)}


def families() -> Iterator[tuple[str, set[str]]]:
    """The series that there are, and their labels."""
    rows = {row.name: set(row.labels) for row in metrics.table()}
    histograms = {
        metric.describe()[0].name
        for metric in vars(metrics).values()
        if isinstance(metric, Counter | Gauge | Histogram)
        if metric.describe()[0].type == "histogram"
    }
    for name, labels in rows.items():
        yield from _histogram(name, labels) if name in histograms else [(name, labels)]
    for metric in vars(model_server.Metrics()).values():
        if isinstance(metric, model_server.Sampler):
            yield from _histogram(metric.name, set(metric.labels))
        elif isinstance(metric, model_server.Counter):
            yield metric.name, set(metric.labels)
    for name in RECORDED:
        yield name, set(name.partition(":")[0].split("_"))
    yield from OTHERS.items()


def _histogram(name: str, labels: set[str]) -> list[tuple[str, set[str]]]:
    return [(f"{name}_bucket", labels | {"le"}), (f"{name}_sum", labels), (f"{name}_count", labels)]


KNOWN = dict(families())


@pytest.mark.parametrize(("where", "expression"), queries())
def test_a_query_asks_for_what_there_is(where: str, expression: str) -> None:
    found = selectors(expression)
    assert found, where
    labels: set[str] = set()
    for selector in found:
        assert selector.name in KNOWN, where
        labels |= KNOWN[selector.name]
        for matcher in selector.matchers.matchers:
            assert matcher.name in KNOWN[selector.name] | ADDED, where
            if matcher.name in VALUES and matcher.op == promql_parser.MatchOp.Equal:
                assert matcher.value in VALUES[matcher.name], where
    assert groupings(expression) <= labels | ADDED, where


def test_codes_are_those_of_grpc() -> None:
    codes = {code.name for code in grpc.StatusCode}
    asked = re.findall(r'lince_backend_requests_total{\s*code!?[=~]+"([^"]+)"', str(queries()))
    assert asked
    assert {code for text in asked for code in text.split("|")} <= codes


def test_routes_of_the_objective_are_those_of_pictures() -> None:
    [pattern] = set(re.findall(r'route=~"([^"]+)"', " ".join(text for _, text in queries())))
    app = create_app(Settings(models=()))
    brings_pictures = {
        rule.rule: "POST" in (rule.methods or ()) for rule in app.url_map.iter_rules()
    }
    assert any(brings_pictures.values())
    for rule, brings in brings_pictures.items():
        assert bool(re.fullmatch(pattern, rule)) == brings, rule


def test_the_bound_of_the_objective_is_a_bucket() -> None:
    [bound] = set(re.findall(r'le="([^"]+)"', " ".join(RECORDED.values())))
    metrics.DURATION.labels("unknown")
    samples = [sample for family in metrics.DURATION.collect() for sample in family.samples]
    assert bound in {sample.labels.get("le") for sample in samples}


def test_what_is_counted_is_shown() -> None:
    shown = {s.name for where, text in queries() if ": " in where for s in selectors(text)}
    shown |= {s.name for name in shown & set(RECORDED) for s in selectors(RECORDED[name])}
    ours = {row.name for row in metrics.table()}
    ours |= {m.name for m in vars(model_server.Metrics()).values() if hasattr(m, "series")}
    hidden = {
        name
        for name in ours
        if not shown & {name, f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    }
    assert hidden == set(NOT_SHOWN)


def test_every_stage_is_shown() -> None:
    titles = [panel.title for panel in dashboards()["gateway"]]
    stages = [title.removeprefix("Stage: ") for title in titles if title.startswith("Stage: ")]
    assert tuple(stages) == metrics.STAGES_OF_A_REQUEST


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_what_to_do(alert: Any, root: Path) -> None:
    assert alert.content["labels"]["severity"] in ("critical", "warning")
    notes = alert.content["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    base, _, anchor = notes["runbook_url"].partition("docs/runbook.md#")
    assert base == "{{ $externalLabels.runbooks }}"
    assert anchor == alert.name.lower()
    entry = _entries(root)[alert.name]
    assert "**Means:**" in entry
    assert "**Do:**" in entry


def test_the_runbook_has_no_entry_of_another() -> None:
    root = FOLDER.parent
    assert list(_entries(root)) == [alert.name for alert in ALERTS]


def test_the_runbook_names_panels_that_there_are(root: Path) -> None:
    titles = {panel.title for panels in dashboards().values() for panel in panels}
    named = re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", (root / "docs" / "runbook.md").read_text())
    assert named
    assert set(named) <= titles


def _entries(root: Path) -> dict[str, str]:
    parts = re.split(r"^### (Lince\w+)$", (root / "docs" / "runbook.md").read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_promtool_accepts_the_files() -> None:
    _promtool("check", "config", PROMETHEUS / "prometheus.yml")
    _promtool("check", "rules", *sorted((PROMETHEUS / "rules").glob("*.yml")))


@pytest.mark.integration
@pytest.mark.parametrize(
    "path", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda path: path.stem
)
def test_alerts_fire_when_they_should(path: Path) -> None:
    _promtool("test", "rules", path)


def _promtool(*arguments: str | Path) -> None:
    done = subprocess.run([require("promtool"), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire_and_to_keep_silent() -> None:
    """Silent: where there is data of all that it asks for, and it isn't among those that fire."""
    needs = {alert.name: _sources(alert.expression) for alert in ALERTS}
    fired, silent = set(), set()
    for path in sorted((PROMETHEUS / "tests").glob("*.yml")):
        for case in yaml.safe_load(path.read_text())["tests"]:
            data = {series["series"].partition("{")[0] for series in case["input_series"]}
            for check in case["promql_expr_test"]:
                expected = set(re.findall(r'alertname="(\w+)"', str(check["exp_samples"])))
                fired |= expected
                silent |= {name for name in set(needs) - expected if needs[name] <= data}
    assert fired == set(needs)
    assert silent == set(needs)


def _sources(expression: str) -> set[str]:
    names = {selector.name for selector in selectors(expression)}
    recorded = {source for name in names & set(RECORDED) for source in _sources(RECORDED[name])}
    return names - set(RECORDED) | recorded


def test_prometheus_scrapes_both(root: Path, compose: dict[str, Any]) -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(jobs) == {"gateway", "model-server"} <= set(compose["services"])
    assert jobs["model-server"]["metrics_path"] == model_server.DEFAULT_PATH
    for name, job in jobs.items():
        [target] = job["static_configs"][0]["targets"]
        assert target.partition(":")[0] == name

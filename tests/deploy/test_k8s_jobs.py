"""k8s/jobs and k8s/kserve: that the commands are Lince's, and what a pod does in which state."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import lince
from server.model_server.flags import IGNORED, Options
from tests.deploy import pods
from tests.deploy.pods import Document
from tests.deploy.quantities import to_bytes, to_cpus

Render = Callable[[str], list[Document]]


def _given(command: list[str]) -> dict[str, Any]:
    """What Lince makes of a command, or click's complaint."""
    program, verb, *words = command
    assert program == "lince"
    with lince.cli.commands[verb].make_context(verb, words) as context:
        return dict(context.params)


@pytest.fixture
def job(root: Path) -> Callable[[str], Document]:
    """The Job of a folder, as it is written."""

    def read(name: str) -> Document:
        text = (root / "k8s" / "jobs" / name / "job.yaml").read_text()
        [document] = pods.read_documents(text)
        return document

    return read


def test_scoring_in_shards(job: Callable[[str], Document]) -> None:
    document = job("score")
    [container] = document["spec"]["template"]["spec"]["containers"]
    given = _given(container["command"])
    assert given["shards"] == document["spec"]["completions"]
    assert "{shard}" in given["out"]
    assert given["skip_finished"]
    assert given["version"] is not None, "all shards ask one version"


@pytest.mark.integration
def test_scoring_reaches_the_gateway(render: Render, job: Callable[[str], Document]) -> None:
    [container] = job("score")["spec"]["template"]["spec"]["containers"]
    name, port = _given(container["command"])["url"].removeprefix("http://").split(":")
    together = render("base+ingress") + render("jobs/score")
    [service] = [d for d in pods.of_kind(together, "Service") if d["metadata"]["name"] == name]
    assert int(port) in [p["port"] for p in service["spec"]["ports"]]
    policies = {d["metadata"]["name"]: d["spec"] for d in pods.of_kind(together, "NetworkPolicy")}
    [(_, gateway)] = pods.gateways(together)
    out, into = policies["score"]["egress"][0], policies["gateway"]["ingress"][0]
    assert out["ports"] == into["ports"]
    assert out["ports"][0]["port"] == pods.ports(gateway)["http"]
    templates = pods.templates(together)
    assert pods.chosen(out["to"][0]["podSelector"]["matchLabels"], templates) == ["gateway"]
    callers = [
        name
        for source in into["from"]
        if "podSelector" in source
        for name in pods.chosen(source["podSelector"]["matchLabels"], templates)
    ]
    assert callers == ["score"]


STATES = {
    "nothing yet": ([], "train digits-cnn --device gpu"),
    "killed before an epoch was finished": (["run.json"], "train digits-cnn --device gpu"),
    "killed in the fit": (
        ["backup/1-4.keras", "checkpoints/1-3.weights.h5"],
        "resume digits-cnn --device gpu",
    ),
    "killed after it": (["checkpoints/1-3.weights.h5"], "evaluate digits-cnn"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_pod_goes_on_where_the_last_one_was(
    job: Callable[[str], Document], tmp_path: Path, state: str
) -> None:
    [container] = job("train")["spec"]["template"]["spec"]["initContainers"]
    files, expected = STATES[state]
    for name in files:
        file = tmp_path / "runs" / "digits-cnn" / "20260101T000000Z" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    program = tmp_path / "bin" / "lince"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "LINCE_RUNS_DIR": str(tmp_path / "runs"),
        "RECIPE": "digits-cnn",
        "DEVICE": "gpu",
    }
    done = subprocess.run(
        container["command"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected
    _given(["lince", *expected.split()])


def test_exit_codes_that_end_a_job_are_those_of_the_help(job: Callable[[str], Document]) -> None:
    for folder, verb in (("train", "train"), ("score", "score")):
        rules = job(folder)["spec"]["podFailurePolicy"]["rules"]
        [codes] = [rule["onExitCodes"] for rule in rules if "onExitCodes" in rule]
        text = " ".join(click.Context(lince.cli.commands[verb]).get_help().split())
        said = text.partition("Exit codes")[2]
        for code in set(codes["values"]) - {2}:  # click's own, for a wrong command
            assert f" {code} " in said, (verb, code)


@pytest.mark.integration
@pytest.mark.parametrize("kind", ["", "-gpu"])
def test_the_cron_job_makes_the_job(render: Render, kind: str) -> None:
    [one] = pods.of_kind(render(f"jobs/train{kind}"), "Job")
    documents = render(f"jobs/retrain{kind}")
    [cron] = pods.of_kind(documents, "CronJob")
    assert pods.of_kind(documents, "Job") == []
    assert cron["spec"]["jobTemplate"]["spec"] == one["spec"]
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"


@pytest.mark.integration
def test_training_on_a_gpu(render: Render) -> None:
    [template] = pods.templates(render("jobs/train-gpu")).values()
    [train] = template["spec"]["initContainers"]
    assert train["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "DEVICE", "value": "gpu"} in train["env"]
    assert {c["image"] for c in pods.containers(template)} == {"lince-trainer:0.1.0-gpu"}


@pytest.mark.integration
def test_models_go_where_the_model_servers_look(render: Render) -> None:
    documents = render("jobs/train") + render("overlays/claim")
    [claim] = [
        d
        for d in pods.of_kind(documents, "PersistentVolumeClaim")
        if d["metadata"]["name"] == "lince-models"
    ]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    used = [
        volume["persistentVolumeClaim"]
        for template in pods.templates(documents).values()
        for volume in template["spec"]["volumes"]
        if volume.get("persistentVolumeClaim", {}).get("claimName") == "lince-models"
    ]
    assert sorted(volume.get("readOnly", False) for volume in used) == [False, True]


def test_kserve_s_predictor_and_transformer(root: Path, base: list[Document]) -> None:
    text = (root / "k8s" / "kserve" / "inference-service.yaml").read_text()
    service = yaml.safe_load(text)
    name = service["metadata"]["name"]
    predictor, transformer = service["spec"]["predictor"], service["spec"]["transformer"]
    model = predictor["model"]
    flags = pods.flags(model)
    known = {field.name for field in fields(Options)} | set(IGNORED)
    assert set(flags) - known == set()
    [(_, alone)] = pods.model_servers(base)
    expected = pods.flags(alone)
    assert flags == {key: expected[key] for key in flags}
    assert model["image"] == alone["image"]
    assert int(flags["tensorflow_intra_op_parallelism"]) == to_cpus(
        model["resources"]["limits"]["cpu"]
    )

    [container] = transformer["containers"]
    settings = pods.settings(base, container)
    [(_, gateway)] = pods.gateways(base)
    there = pods.settings(base, gateway)
    assert settings.models == (name,)
    # The second port of the predictor's list is one of its Service's own, under its number.
    assert settings.model_server == f"dns:///{name}-predictor:{pods.ports(model)['grpc']}"
    assert settings.port == pods.ports(container)["http1"]
    bounds = ("workers", "threads", "max_body_bytes", "max_image_pixels", "max_buffered_bytes")
    assert all(getattr(settings, bound) == getattr(there, bound) for bound in bounds)
    assert to_bytes(container["resources"]["limits"]["memory"]) == to_bytes(
        gateway["resources"]["limits"]["memory"]
    )
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert transformer["terminationGracePeriodSeconds"] >= pause + settings.drain_seconds + 5


def test_the_transformer_ignores_what_kserve_adds(root: Path, tmp_path: Path) -> None:
    text = (root / "k8s" / "kserve" / "inference-service.yaml").read_text()
    [container] = yaml.safe_load(text)["spec"]["transformer"]["containers"]
    program = tmp_path / "lince"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    added = ["--model_name", "digits-cnn", "--predictor_host", "digits-cnn-predictor.lince"]
    done = subprocess.run(
        [*container["command"], *added],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "gateway\n"

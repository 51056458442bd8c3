"""What the metrics say, for tests that count."""

from prometheus_client.parser import text_string_to_metric_families

from server import exposition


def figure(name: str, **labels: str) -> float | None:
    """A sample's value now; None if there is no such sample."""
    text, _ = exposition.text()
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


class Growth:
    """How much a sample has grown since this was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = figure(name, **labels) or 0.0

    def __call__(self) -> float:
        return (figure(self._name, **self._labels) or 0.0) - self._before

"""What the routes share: the parts of one gateway process."""

from __future__ import annotations

from dataclasses import dataclass

from contract.settings import Settings
from server.backend import Backend
from server.catalog import Catalog
from server.classify import Classifier


@dataclass(frozen=True)
class Services:
    """The parts of one gateway process; made after the fork, since a gRPC channel is among them."""

    settings: Settings
    backend: Backend
    catalog: Catalog
    classifier: Classifier


def make_services(settings: Settings) -> Services:
    """Opens the channel to the model server and starts to follow its versions."""
    backend = Backend(settings.model_server)
    catalog = Catalog(settings.models, backend)
    classifier = Classifier(backend, catalog, settings.max_image_pixels)
    return Services(settings, backend, catalog, classifier)

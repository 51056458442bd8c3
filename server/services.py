"""What the routes share: the parts of one gateway process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contract.canary import parse
from contract.processor import cores
from contract.settings import Settings
from server.answer_cache import AnswerCache
from server.backend import Backend
from server.batches import Batches
from server.catalog import Catalog
from server.classify import Classifier
from server.decoding import Decoder
from server.greenlets import Threads
from server.heavy import Heavy
from server.observer import Observer, make_observer
from server.security.answer_headers import AnswerHeaders
from server.security.guard import Guard, make_guard


@dataclass(frozen=True)
class Services:
    """The parts of one gateway process; made after the fork, since a gRPC channel is among them.

    Attributes:
        heavy: threads for what takes long, as many as there are CPUs for.
        stopping: whether the process is about to end, and so not ready any more.
        guard: who may call, and how often.
        observer: what is looked at when images were answered.
        answer_headers: what every answer's head says for browsers' safety.
    """

    settings: Settings
    backend: Backend
    catalog: Catalog
    decoder: Decoder
    classifier: Classifier
    heavy: Heavy
    stopping: Callable[[], bool]
    guard: Guard
    answer_headers: AnswerHeaders
    observer: Observer


def make_services(
    settings: Settings, stopping: Callable[[], bool], guard: Guard | None = None
) -> Services:
    """Opens the channel to the model server.

    Args:
        guard: shared by all processes; None makes one for this process alone.
    """
    guard = guard or make_guard(settings)
    # Whatever is in hand may wait for a call.
    calling = Threads(settings.threads, "call")
    # Its part of the CPUs, unless the settings say how many.
    heavy = Heavy(settings.working or max(1, cores() // settings.workers))
    backend = Backend(settings, calling)
    catalog = Catalog(settings.models, backend, [parse(text) for text in settings.canary])
    decoder = Decoder(settings.max_image_pixels, heavy)
    classifier = Classifier(
        catalog,
        Batches(backend, settings.max_batch, settings.calls_at_once, calling),
        AnswerCache(settings.cache_answers),
        decoder,
    )
    headers = AnswerHeaders(settings)
    return Services(
        settings,
        backend,
        catalog,
        decoder,
        classifier,
        heavy,
        stopping,
        guard,
        headers,
        make_observer(settings, heavy),
    )

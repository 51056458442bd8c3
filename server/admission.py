"""How much a gateway process takes on: what is over it is refused before any work is done for it.

Used from one event loop alone, so nothing here needs a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.problems import OVERLOADED, Problem


@dataclass
class Room:
    """A bounded number of something, requests or bytes.

    Attributes:
        most: how many there may be.
        what: their name, for the caller who finds no room.
        taken: how many there are.
    """

    most: int
    what: str
    taken: int = 0

    def check(self, amount: int) -> None:
        """Raises:
        Problem: there is not so much left.
        """
        if self.taken + amount > self.most:
            raise Problem(OVERLOADED, f"the gateway has too many {self.what} in hand")

    @contextmanager
    def taking(self, amount: int) -> Iterator[Callable[[int], None]]:
        """Takes room for as long as the context lasts; what it gives takes more.

        Raises:
            Problem: there is not so much left; also of what it gives.
        """
        held = 0

        def take(more: int) -> None:
            nonlocal held
            self.check(more)
            self.taken += more
            held += more

        try:
            take(amount)
            yield take
        finally:
            self.taken -= held

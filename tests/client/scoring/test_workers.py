"""How items become batches."""

from client.scoring import workers
from client.scoring.contents import InMemory, LocalFile
from client.scoring.items import Item
from client.scoring.workers import batches


def test_batches_are_bounded_by_what_they_hold() -> None:
    large = InMemory(bytes(workers._BYTES // 2))
    contents = [
        InMemory(b"1"),
        LocalFile("2"),
        InMemory(b"3"),
        large,
        lambda: large,
        LocalFile("6"),
    ]
    items = [Item(number, str(number), content) for number, content in enumerate(contents)]
    found = list(batches(items, 3))
    assert [[item.index for item in batch] for batch in found] == [[0, 1, 2], [3, 4], [5]]
    assert found[1][1].content is large
    assert list(batches([], 3)) == []

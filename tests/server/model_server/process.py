"""The program as a process, with its stderr at hand."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server.model_server.helpers import PATIENCE, until

CODE = "import sys; from server.model_server import main; sys.exit(main(sys.argv[1:]))"


class Process:
    """The program, with its stderr collected line by line."""

    def __init__(self, *flags: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", CODE, *flags], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, pattern: str) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            matches = (re.search(pattern, line) for line in list(self.lines))
            match = next((m for m in matches if m), None)
            assert match or self.popen.poll() is None, "\n".join(self.lines)
            return match

        match = until(found, pattern)
        assert isinstance(match, re.Match)
        return match

    def matches(self, pattern: str) -> list[str]:
        """The lines so far that match from their beginning."""
        return [line for line in list(self.lines) if re.match(pattern, line)]

    def server(self) -> int:
        """The process that serves, which the program watches over."""
        pid = self.popen.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def port(self) -> int:
        return int(self.wait_for(r"^Running gRPC ModelServer at 127\.0\.0\.1:(\d+) \.\.\.$")[1])

    def end(self) -> int:
        code = self.popen.wait(PATIENCE)
        self._reader.join()
        return code

    def close(self) -> None:
        self.popen.kill()
        self.end()
        assert self.popen.stderr is not None
        self.popen.stderr.close()


@contextmanager
def started(*flags: str) -> Iterator[Process]:
    process = Process(*flags)
    try:
        yield process
    finally:
        process.close()

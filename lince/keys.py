"""The verbs that give out API keys of a gateway and take them back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lince.shared import say, settings_of_environment

if TYPE_CHECKING:
    from server.security.key_file import Key

_FILE = click.option(
    "--file",
    "given",
    type=click.Path(path_type=Path),
    help="The file of keys; LINCE_API_KEYS_FILE unless given.",
)


@click.group()
def key() -> None:
    """Give out the API keys of a gateway, show them, and take them back.

    The file has names and hashes, never a key. A gateway that was started with
    LINCE_API_KEYS_FILE notices a change within a second.

    \b
      lince key new shop --file keys.json       prints the key, this once
      LINCE_API_KEYS_FILE=keys.json lince up
      curl -H 'Authorization: Bearer lince_…' --data-binary @picture.png …
    """


@key.command()
@click.argument("name")
@_FILE
@click.option(
    "--rate",
    type=click.FloatRange(0),
    help="Requests per second, 0 for no limit; LINCE_RATE of the gateway unless given.",
)
@click.option(
    "--burst", type=click.IntRange(1), help="Requests at once; what two seconds bring unless given."
)
def new(name: str, given: Path | None, rate: float | None, burst: int | None) -> None:
    """Make a key, print it, and keep its hash under a NAME.

    The NAME is what the gateway's log calls the holder. To replace a key, make another under a new
    name, hand it out, and revoke the first.
    """
    from server.security import key_file

    path = _path(given)
    secret = key_file.new_secret()
    entry = key_file.new_key(name, secret, rate, burst)
    with key_file.changing(path) as keys:
        if name in (key.name for key in keys):
            raise click.ClickException(f"{path} has a key {name} already")
        if len(keys) == key_file.MOST_KEYS:
            raise click.ClickException(f"{path} has {len(keys)} keys: no more are allowed")
        keys.append(entry)
    say(f"key {name}, kept as a hash in {path}; this is the only time that it is shown:")
    click.echo(secret)


@key.command("list")
@_FILE
def show(given: Path | None) -> None:
    """Show the names of the keys, when they were made, and their rates."""
    from server.security.key_file import read

    path = _path(given)
    keys = read(path)
    if not keys:
        say(f"no keys in {path}")
        return
    width = max(len(key.name) for key in keys)
    for key in keys:
        click.echo(f"{key.name:<{width}}  {key.created:%Y-%m-%d %H:%M}  {_rate(key)}")


@key.command()
@click.argument("name")
@_FILE
def revoke(name: str, given: Path | None) -> None:
    """Take a key back, by its NAME."""
    from server.security import key_file

    path = _path(given)
    with key_file.changing(path) as keys:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise click.ClickException(f"{path} has no key {name}")
        keys[:] = left
    say(f"key {name} is revoked")


def _path(given: Path | None) -> Path:
    path = given or settings_of_environment().api_keys_file
    if path is None:
        raise click.ClickException("which file of keys? Give --file, or set LINCE_API_KEYS_FILE")
    return path


def _rate(key: Key) -> str:
    if key.rate is None:
        return "LINCE_RATE"
    if key.rate == 0:
        return "no limit"
    burst = f", {key.burst} at once" if key.burst else ""
    return f"{key.rate:g} a second{burst}"

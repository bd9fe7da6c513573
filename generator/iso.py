"""Knows how a seed becomes a NoCloud disc: ISO 9660 labelled CIDATA, Joliet and Rock Ridge, repeatable."""

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import pycdlib
import pycdlib.dates
import pycdlib.headervd
import pycdlib.pycdlib

LABEL = "CIDATA"
FILES = ("user-data", "meta-data", "network-config", "vendor-data")


def seed_iso(files: Mapping[str, bytes]) -> bytes:
    """The disc with these files in its root folder. It holds what they hold: write it 0600."""
    with _stopped_clock():
        disc = pycdlib.PyCdlib()
        disc.new(interchange_level=3, vol_ident=LABEL, joliet=3, rock_ridge="1.09")
        for number, (name, data) in zip(count(1), sorted(files.items()), strict=False):
            # Readers of plain ISO 9660 see short names; everyone who reads seeds knows one of the extensions.
            short = f"/FILE{number}.;1"
            disc.add_fp(io.BytesIO(data), len(data), short, rr_name=name, joliet_path=f"/{name}", file_mode=0o100400)
        written = io.BytesIO()
        disc.write_fp(written)
        disc.close()
    return written.getvalue()


class _StoppedClock:
    """The epoch, in UTC, for ever."""

    localtime = staticmethod(time.gmtime)
    gmtime = staticmethod(time.gmtime)

    @staticmethod
    def time() -> float:
        return 0.0


@contextmanager
def _stopped_clock() -> Iterator[None]:
    """pycdlib dates every record by the clock and takes no other date, so the clock that it sees stands still."""
    modules = (pycdlib.pycdlib, pycdlib.headervd, pycdlib.dates)
    for module in modules:
        vars(module)["time"] = _StoppedClock
    try:
        yield
    finally:
        for module in modules:
            vars(module)["time"] = time

"""Makes TUF repositories with PyPI `tuf`, good ones and attacks, and says what its own client answers to each.

Usage: make.py DIRECTORY. Writes DIRECTORY/<scenario>/<phase>/… and DIRECTORY/scenarios.json.
"""
import json
import os
import sys
from datetime import datetime, timezone
from types import SimpleNamespace

from scenarios import ALL, Run
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient._internal import trusted_metadata_set
from tuf.ngclient.fetcher import FetcherInterface


class DirectoryFetcher(FetcherInterface):
    """The files of a directory, as if a server gave them."""

    def __init__(self, directory):
        self.directory = directory

    def _fetch(self, url):
        path = url.removeprefix("repository:/")
        try:
            # What would lead out of the repository is as good as found: a server may do anything.
            with open(os.path.join(self.directory, path.lstrip("/")), "rb") as file:
                return iter([file.read()])
        except OSError as error:
            raise DownloadHTTPError(path, 404) from error


def reference(run, phase, kept):
    """What the reference client answers: the content, or the name of its error."""
    now = phase["time"]
    clock = SimpleNamespace(now=lambda zone: now)
    trusted_metadata_set.datetime = SimpleNamespace(datetime=clock, timezone=timezone)
    config = UpdaterConfig()
    config.max_root_rotations = run.limits.get("newRoots", config.max_root_rotations)
    try:
        updater = Updater(
            kept, "repository:/", kept, "repository:/targets/",
            DirectoryFetcher(os.path.join(run.directory, phase["repository"])), config, bootstrap=run.root,
        )
        info = updater.get_targetinfo(run.target)
        if info is None:
            return None, "no such target"
        with open(updater.download_target(info), "rb") as file:
            return file.read().decode(), None
    except Exception as error:  # whatever it is, it is no content
        return None, type(error).__name__


def main(directory):
    table = []
    for scenario in ALL:
        name = scenario.__name__
        run = Run(os.path.join(directory, name))
        os.makedirs(run.directory)
        scenario(run)
        with open(os.path.join(run.directory, "root.json"), "wb") as file:
            file.write(run.root)
        kept = os.path.join(run.directory, "reference")
        os.makedirs(kept)
        phases = []
        for phase in run.phases:
            content, error = reference(run, phase, kept)
            phases.append({
                **phase, "time": int(phase["time"].timestamp()), "referenceContent": content, "referenceError": error,
            })
        table.append({
            "name": name, "target": run.target, "limits": run.limits, "differs": run.differs, "phases": phases,
        })
    with open(os.path.join(directory, "scenarios.json"), "w", encoding="utf-8") as file:
        json.dump(table, file, indent=1)


main(sys.argv[1])

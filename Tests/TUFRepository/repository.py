"""A TUF repository by PyPI `tuf` in memory, and what writes it to a directory, right or wrong in the ways asked for."""
import copy
import json
import os
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
TOP = ("root", "timestamp", "snapshot", "targets")


def day(number):
    """A time so many days after the repository began."""
    return START + timedelta(days=number)


def sign(signed, signers):
    """Metadata of a dictionary, signed by all of them; what the classes of `tuf` would not write, too."""
    payload = encode_canonical(signed).encode()
    signatures = [signer.sign(payload).to_dict() for signer in signers]
    return json.dumps({"signatures": signatures, "signed": signed}).encode()


def changed(data, change):
    """Data after a change, which must be one."""
    other = change(data)
    assert other != data
    return other


class Repository:
    """The newest state; `publish` writes it, older roots included."""

    def __init__(self, directory, *, signers=None, thresholds=None, consistent=True, hashes=True, online=None):
        self.directory = directory
        self.hashes = hashes
        self.published = 0
        self.signers = signers or {role: [CryptoSigner.generate_ed25519()] for role in TOP}
        if online:
            for role in ("timestamp", "snapshot"):
                self.signers[role] = [online]
        thresholds = thresholds or {}
        keys = {s.public_key.keyid: s.public_key for signers in self.signers.values() for s in signers}
        roles = {
            role: Role([s.public_key.keyid for s in self.signers[role]], thresholds.get(role, 1)) for role in TOP
        }
        self.root = Root(1, expires=day(365), keys=keys, roles=roles, consistent_snapshot=consistent)
        self.targets = Targets(1, expires=day(300), targets={})
        self.delegated = {}
        self.delegated_signers = {}
        self.snapshot = Snapshot(1, expires=day(60))
        self.timestamp = Timestamp(1, expires=day(7))
        self.contents = {}
        self.roots = {1: self.signed(self.root, self.signers["root"])}
        self.add("trusted_root.json", b'{"first": true}')

    @staticmethod
    def signed(metadata, signers):
        envelope = Metadata(metadata)
        for signer in signers:
            envelope.sign(signer, append=True)
        return envelope.to_bytes()

    def add(self, path, content, role=None):
        """A target, in the top-level role or in a delegated one."""
        metadata = self.delegated[role] if role else self.targets
        metadata.targets[path] = TargetFile.from_data(path, content, ["sha256"])
        self.contents[path] = content

    def delegate(self, name, paths=None, prefixes=None, *, parent=None, terminating=False, signers=None, threshold=1):
        """A delegated role, the last of its parent's, with a key of its own."""
        signers = signers or [CryptoSigner.generate_ed25519()]
        metadata = self.delegated[parent] if parent else self.targets
        if metadata.delegations is None:
            metadata.delegations = Delegations({}, {})
        for signer in signers:
            metadata.delegations.keys[signer.public_key.keyid] = signer.public_key
        metadata.delegations.roles[name] = DelegatedRole(
            name, [s.public_key.keyid for s in signers], threshold, terminating, paths, prefixes
        )
        if name not in self.delegated:
            self.delegated[name] = Targets(1, expires=day(300), targets={})
            self.delegated_signers[name] = signers
        return self.delegated[name]

    def rotate(self, *, change=lambda root: None, signers=None, by=None, version=None, expires=None, edit=None):
        """The next root: `change` is told the new one, `signers` are the new signers of roles, `by` who signs it.

        `edit` may return other bytes than those that are right.
        """
        old = self.signers["root"]
        self.signers.update(signers or {})
        self.root = copy.deepcopy(self.root)
        self.root.version = version or self.root.version + 1
        self.root.expires = expires or self.root.expires
        for role in TOP:
            self.root.roles[role].keyids = [s.public_key.keyid for s in self.signers[role]]
            for signer in self.signers[role]:
                self.root.keys[signer.public_key.keyid] = signer.public_key
        used = {keyid for role in self.root.roles.values() for keyid in role.keyids}
        self.root.keys = {keyid: key for keyid, key in self.root.keys.items() if keyid in used}
        change(self.root)
        new = [s for s in self.signers["root"] if s not in old]
        data = self.signed(self.root, old + new if by is None else by)
        self.roots[max(self.roots) + 1] = changed(data, edit) if edit else data

    def amend(self, edit):
        """The next root as a dictionary, which is changed before it is signed: what `tuf` would not write, too."""
        signed = self.root.to_dict()
        signed["version"] = max(self.roots) + 1
        edit(signed)
        self.roots[signed["version"]] = sign(signed, self.signers["root"])

    def advance(self, *, targets=True, snapshot=True):
        """New versions of everything online."""
        self.targets.version += targets
        self.snapshot.version += snapshot
        self.timestamp.version += 1

    def described(self, version, data, length=True):
        return MetaFile.from_data(version, data, ["sha256"]) if self.hashes and length else MetaFile(version)

    def publish(self, *, edit=None, changes=None, drop=(), signers=None):
        """Writes everything to a directory of its own and gives its name.

        `edit` is told the name of a role and its dictionary before that is signed; `changes` are other contents for
        names of files, or functions of the right ones; `drop` are names that are not there; `signers` those of roles
        that are not the right ones.
        """
        self.published += 1
        name = f"{self.published}"
        there = os.path.join(self.directory, name)
        os.makedirs(os.path.join(there, "targets"))
        who = {**self.signers, **self.delegated_signers, **(signers or {})}
        edit = edit or (lambda role, signed: None)
        changes = changes or {}
        consistent = self.root.consistent_snapshot
        files = {f"{number}.root.json": data for number, data in self.roots.items()}

        def written(role, metadata):
            signed = metadata.to_dict()
            edit(role, signed)
            data = sign(signed, who[role])
            encoded = quote(role, "")
            prefix = f"{metadata.version}." if consistent and role != "timestamp" else ""
            file = f"{prefix}{encoded}.json"
            files[file] = data
            return self.described(metadata.version, data)

        self.snapshot.meta = {}
        for role, metadata in self.delegated.items():
            self.snapshot.meta[f"{role}.json"] = written(role, metadata)
        self.snapshot.meta["targets.json"] = written("targets", self.targets)
        self.timestamp.snapshot_meta = written("snapshot", self.snapshot)
        written("timestamp", self.timestamp)
        for path, content in self.contents.items():
            if consistent:
                head, slash, last = path.rpartition("/")
                digest = TargetFile.from_data(path, content, ["sha256"]).hashes["sha256"]
                files[f"targets/{head}{slash}{digest}.{last}"] = content
            else:
                files[f"targets/{path}"] = content
        for file, change in changes.items():
            files[file] = changed(files[file], change) if callable(change) else change
        for file, data in files.items():
            if file in drop or ".." in file.split("/"):
                continue
            os.makedirs(os.path.dirname(os.path.join(there, file)), exist_ok=True)
            with open(os.path.join(there, file), "wb") as output:
                output.write(data)
        return name

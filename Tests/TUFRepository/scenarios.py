"""What a repository may do, right and wrong, and what a client must answer: step of the client workflow, role, problem."""
import copy

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from repository import Repository, day, sign
from securesystemslib.signer import CryptoSigner, Signature

TARGET = "trusted_root.json"
ALL = []


def scenario(function):
    ALL.append(function)
    return function


class Run:
    """The phases of one scenario: the repository as it is then, the time, and what must come of it."""

    def __init__(self, directory):
        self.directory = directory
        self.phases = []
        self.root = None
        self.target = TARGET
        self.limits = {}
        # Why the reference client answers differently, when it does.
        self.differs = None

    def repository(self, **options):
        repository = Repository(self.directory, **options)
        self.root = repository.roots[1]
        return repository

    def good(self, repository, at=1, **how):
        content = repository.contents[self.target].decode()
        self.phases.append({"repository": repository.publish(**how), "time": day(at), "content": content})

    def refused(self, repository, step, role, problem, at=1, **how):
        self.phases.append(
            {"repository": repository.publish(**how), "time": day(at), "step": step, "role": role, "problem": problem}
        )


def ed25519():
    return CryptoSigner.generate_ed25519()


def set_to(role, **members):
    """An edit of one role's members."""
    return lambda name, signed: signed.update(members) if name == role else None


# What must work


@scenario
def good_updates(run):
    r = run.repository()
    run.good(r)
    run.good(r, at=2)
    r.add(TARGET, b'{"second": true}')
    r.advance()
    run.good(r, at=3)


@scenario
def good_without_consistent_snapshots(run):
    r = run.repository(consistent=False)
    run.good(r)
    r.add(TARGET, b'{"second": true}')
    r.advance()
    run.good(r, at=3)


@scenario
def good_keys_of_all_kinds(run):
    kinds = [CryptoSigner.generate_ed25519, CryptoSigner.generate_ecdsa, CryptoSigner.generate_rsa]
    signers = {role: [kind() for kind in kinds] for role in ("root", "timestamp", "snapshot", "targets")}
    r = run.repository(signers=signers, thresholds={role: 3 for role in signers})
    run.good(r)


class LongestSalt(CryptoSigner):
    """Signs as Go's library does unless told otherwise."""

    def sign(self, payload):
        longest = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
        return Signature(self.public_key.keyid, self._private_key.sign(payload, longest, hashes.SHA256()).hex())


@scenario
def good_rsa_with_the_longest_salt(run):
    signer = CryptoSigner.generate_rsa()
    other = CryptoSigner.generate_rsa(size=3072)
    signers = [LongestSalt(s._private_key, s.public_key) for s in (signer, other)]
    r = run.repository(signers={role: signers for role in ("root", "timestamp", "snapshot", "targets")}, thresholds={"root": 2})
    run.good(r)


@scenario
def good_ecdsa_in_the_older_spelling(run):
    r = run.repository(signers={role: [CryptoSigner.generate_ecdsa()] for role in ("root", "timestamp", "snapshot", "targets")})
    for key in r.root.keys.values():
        key.keytype = "ecdsa-sha2-nistp256"
    r.roots[1] = run.root = r.signed(r.root, r.signers["root"])
    run.good(r)


@scenario
def good_without_lengths_and_hashes(run):
    run.good(run.repository(hashes=False))


@scenario
def good_rotations_of_the_root(run):
    r = run.repository(signers={role: [ed25519(), ed25519()] for role in ("root", "timestamp", "snapshot", "targets")})
    run.good(r)
    for number in range(5):
        r.rotate(signers={"root": [r.signers["root"][1], ed25519()]})
    r.rotate(signers={"timestamp": [ed25519()], "snapshot": [ed25519()], "targets": [ed25519()]})
    r.advance()
    run.good(r, at=2)


@scenario
def good_expired_roots_on_the_way(run):
    r = run.repository()
    r.rotate(expires=day(-100))
    r.rotate(expires=day(-50))
    r.rotate(expires=day(100))
    run.good(r)


@scenario
def good_threshold_raised_and_met(run):
    r = run.repository(signers={role: [ed25519(), ed25519()] for role in ("root", "timestamp", "snapshot", "targets")})
    r.rotate(change=lambda root: setattr(root.roles["timestamp"], "threshold", 2))
    run.good(r)


@scenario
def good_beside_a_key_of_an_unknown_type(run):
    r = run.repository()
    other = {"keytype": "new", "scheme": "new", "keyval": {"identity": "somebody"}}

    def edit(root):
        root["keys"]["new"] = other
        root["roles"]["timestamp"]["keyids"].append("new")

    r.amend(edit)
    run.differs = "a root with a key of an unknown type is not read"
    run.good(r)


@scenario
def good_recovery_from_fast_forward(run):
    r = run.repository()
    honest = r.timestamp.version
    r.timestamp.version = 2**40
    r.snapshot.version = 2**40
    r.targets.version = 2**40
    run.good(r)
    r.rotate(signers={"timestamp": [ed25519()], "snapshot": [ed25519()]})
    r.timestamp.version = honest + 1
    r.snapshot.version = honest + 1
    r.targets.version = honest + 1
    run.good(r, at=2)


@scenario
def good_same_version_is_nothing_new(run):
    r = run.repository()
    run.good(r)
    # The same version, another text: it is not looked at. The one that is trusted expires all the same.
    r.timestamp.expires = day(100)
    run.good(r, at=2)
    run.refused(r, "5.4.4", "timestamp", "expired", at=8)


@scenario
def good_delegation_by_path(run):
    r = run.repository()
    r.delegate("project/../one", ["other/*"])
    r.delegate("project two", ["project/*.js?n"])
    run.target = "project/trusted.json"
    r.add(run.target, b"{}", role="project two")
    run.good(r)


@scenario
def good_delegation_by_hash(run):
    r = run.repository()
    run.target = "a.txt"
    import hashlib

    digest = hashlib.sha256(run.target.encode()).hexdigest()
    other = "0" if digest[0] != "0" else "1"
    r.delegate("bin-other", prefixes=[other])
    r.delegate("bin", prefixes=[digest[:3]])
    r.add(run.target, b"a", role="bin")
    run.good(r)


@scenario
def good_delegation_in_a_circle(run):
    r = run.repository()
    run.target = "a.txt"
    r.delegate("one", ["*"])
    r.delegate("two", ["*"], parent="one")
    r.delegate("one", ["*"], parent="two", signers=r.delegated_signers["one"])
    r.delegate("three", ["*"])
    r.add(run.target, b"a", role="three")
    run.good(r)


@scenario
def good_names_that_need_escapes(run):
    r = run.repository()
    run.target = "dir/\u00e9t\u00e9 100%?#.json"
    r.add(run.target, b"{}")
    # The reference client leaves the escapes to whoever gives the name.
    run.differs = "names of targets are put into the URL as they are"
    run.good(r)
    escape(run, r)


def escape(run, repository):
    """Files as a web server finds them after it has decoded the path are under their encoded names here."""
    import os
    from urllib.parse import quote

    for path, _, files in os.walk(os.path.join(repository.directory, "1", "targets")):
        for file in files:
            os.rename(os.path.join(path, file), os.path.join(path, quote(file, "")))


# Rollback


@scenario
def rollback_of_the_timestamp(run):
    r = run.repository()
    old = copy.deepcopy(r.timestamp)
    r.advance()
    run.good(r)
    r.timestamp = old
    r.snapshot.version = r.targets.version = 1
    run.refused(r, "5.4.3", "timestamp", "rollback", at=2)


@scenario
def rollback_of_the_timestamp_alone(run):
    r = run.repository()
    old = copy.deepcopy(r.timestamp)
    r.advance(targets=False, snapshot=False)
    run.good(r)
    r.timestamp = old
    run.refused(r, "5.4.3", "timestamp", "rollback", at=2)


@scenario
def rollback_of_the_snapshot(run):
    r = run.repository()
    r.advance()
    run.good(r)
    r.timestamp.version += 1
    r.snapshot.version -= 1
    run.refused(r, "5.4.3", "timestamp", "rollback", at=2)


@scenario
def rollback_of_the_targets(run):
    r = run.repository()
    r.advance()
    run.good(r)
    r.advance()
    r.targets.version = 1
    run.refused(r, "5.5.5", "snapshot", "rollback", at=2)


@scenario
def rollback_of_a_delegated_role(run):
    r = run.repository()
    r.delegate("project", ["*"]).version = 4
    run.good(r)
    r.advance()
    r.delegated["project"].version = 3
    run.refused(r, "5.5.5", "snapshot", "rollback", at=2)


@scenario
def role_left_out_of_the_snapshot(run):
    r = run.repository()
    r.delegate("project", ["*"])
    run.good(r)
    r.advance()
    del r.delegated["project"]
    run.refused(r, "5.5.5", "snapshot", "notListed", at=2)


@scenario
def rollback_after_an_update_that_failed(run):
    r = run.repository()
    run.good(r)
    r.advance()
    run.refused(r, "5.5.1", "snapshot", "notFound", at=2, drop=["2.snapshot.json"])
    r.timestamp.version = r.snapshot.version = r.targets.version = 1
    run.refused(r, "5.4.3", "timestamp", "rollback", at=3)


# Freeze


@scenario
def freeze_of_the_timestamp(run):
    r = run.repository()
    run.good(r)
    run.refused(r, "5.4.4", "timestamp", "expired", at=7)


@scenario
def freeze_of_the_snapshot(run):
    r = run.repository()
    r.timestamp.expires = day(100)
    run.refused(r, "5.5.6", "snapshot", "expired", at=60)


@scenario
def freeze_of_the_targets(run):
    r = run.repository()
    r.timestamp.expires = r.snapshot.expires = day(400)
    run.refused(r, "5.6.5", "targets", "expired", at=300)


@scenario
def freeze_of_the_root(run):
    r = run.repository()
    r.rotate(expires=day(3))
    run.good(r)
    run.refused(r, "5.3.10", "root", "expired", at=3)


# Mix and match, wrong and endless data


@scenario
def other_snapshot_of_the_same_length(run):
    r = run.repository()
    run.refused(r, "5.5.2", "snapshot", "wrongHash", changes={"1.snapshot.json": lambda data: data[:-1] + b"\n"})


@scenario
def shorter_snapshot(run):
    r = run.repository()
    run.refused(r, "5.5.2", "snapshot", "wrongLength", changes={"1.snapshot.json": lambda data: data[:-1]})


@scenario
def longer_snapshot(run):
    r = run.repository()
    run.refused(r, "5.5.1", "snapshot", "tooLong", changes={"1.snapshot.json": lambda data: data + b"\n"})


@scenario
def older_snapshot_than_the_timestamp_lists(run):
    r = run.repository(hashes=False)
    run.good(r)
    r.advance()
    old = open(f"{r.directory}/1/1.snapshot.json", "rb").read()
    run.refused(r, "5.5.4", "snapshot", "wrongVersion", at=2, changes={"2.snapshot.json": old})


@scenario
def older_targets_than_the_snapshot_lists(run):
    r = run.repository(hashes=False)
    run.good(r)
    r.advance()
    old = open(f"{r.directory}/1/1.targets.json", "rb").read()
    run.refused(r, "5.6.4", "targets", "wrongVersion", at=2, changes={"2.targets.json": old})


@scenario
def other_targets_of_the_same_length(run):
    r = run.repository()
    run.refused(r, "5.6.2", "targets", "wrongHash", changes={"1.targets.json": lambda data: data[:-1] + b"\n"})


@scenario
def digests_of_an_unknown_function_only(run):
    r = run.repository()
    edit = lambda name, s: s["meta"]["snapshot.json"].update(hashes={"md5": "00" * 16}) if name == "timestamp" else None
    run.refused(r, "5.5.2", "snapshot", "noKnownHash", edit=edit)


@scenario
def great_length_of_the_snapshot(run):
    r = run.repository()
    edit = lambda name, s: s["meta"]["snapshot.json"].update(length=10**12) if name == "timestamp" else None
    run.refused(r, "5.5.1", "snapshot", "tooLong", edit=edit)


@scenario
def other_content_of_the_target(run):
    r = run.repository()
    run.refused(r, "5.7.3", TARGET, "wrongHash", changes=target_file(r, lambda data: b"X" + data[1:]))


@scenario
def shorter_content_of_the_target(run):
    r = run.repository()
    run.refused(r, "5.7.3", TARGET, "wrongLength", changes=target_file(r, lambda data: data[1:]))


@scenario
def endless_target(run):
    r = run.repository()
    run.refused(r, "5.7.3", TARGET, "tooLong", changes=target_file(r, lambda data: data + bytes(1_000_000)))


def target_file(repository, change):
    digest = repository.targets.targets[TARGET].hashes["sha256"]
    return {f"targets/{digest}.{TARGET}": change}


@scenario
def endless_timestamp(run):
    r = run.repository()
    run.refused(
        r, "5.4.1", "timestamp", "tooLong", changes={"timestamp.json": lambda data: data + b" " * 20_000}
    )


@scenario
def endless_root(run):
    r = run.repository()
    r.rotate()
    run.refused(r, "5.3.3", "root", "tooLong", changes={"2.root.json": lambda data: data + b" " * 600_000})


@scenario
def chain_of_roots_without_end(run):
    r = run.repository()
    run.limits = {"newRoots": 8}
    for number in range(20):
        r.rotate()
    run.refused(r, "5.3.3", "root", "tooManyRoots")
    run.refused(r, "5.3.3", "root", "tooManyRoots")
    # What came is kept; the third update reaches the end.
    run.differs = "an older root than the newest is good enough when there are too many"
    run.good(r)


# Signatures and thresholds


@scenario
def key_that_is_not_the_roles(run):
    r = run.repository()
    run.refused(r, "5.4.2", "timestamp", "unsigned", signers={"timestamp": [ed25519()]})


@scenario
def no_signature(run):
    r = run.repository()
    run.refused(r, "5.4.2", "timestamp", "unsigned", signers={"timestamp": []})


@scenario
def snapshot_signed_by_the_timestamps_key(run):
    r = run.repository()
    run.refused(r, "5.5.3", "snapshot", "unsigned", signers={"snapshot": r.signers["timestamp"]})


@scenario
def targets_signed_by_the_snapshots_key(run):
    r = run.repository()
    run.refused(r, "5.6.3", "targets", "unsigned", signers={"targets": r.signers["snapshot"]})


@scenario
def threshold_met_by_one_signature_twice(run):
    r = run.repository(
        signers={role: [ed25519(), ed25519()] for role in ("root", "timestamp", "snapshot", "targets")},
        thresholds={"timestamp": 2},
    )
    one = r.signers["timestamp"][0]
    run.refused(r, "5.4.2", "timestamp", "malformed", signers={"timestamp": [one, one]})


@scenario
def one_key_under_two_ids(run):
    one = ed25519()
    key = copy.deepcopy(one.public_key)
    key.keyid = "f" * 64
    two = CryptoSigner(one._private_key, key)
    r = run.repository(
        signers={"root": [ed25519()], "timestamp": [one, two], "snapshot": [ed25519()], "targets": [ed25519()]},
        thresholds={"timestamp": 2},
    )
    run.differs = "signatures are counted by key id alone"
    run.refused(r, "5.4.2", "timestamp", "unsigned")


@scenario
def threshold_raised_and_not_met(run):
    r = run.repository(signers={role: [ed25519(), ed25519()] for role in ("root", "timestamp", "snapshot", "targets")})
    run.good(r)
    r.rotate(change=lambda root: setattr(root.roles["timestamp"], "threshold", 2))
    r.advance()
    run.refused(r, "5.4.2", "timestamp", "unsigned", at=2, signers={"timestamp": r.signers["timestamp"][:1]})


@scenario
def key_of_an_unknown_type(run):
    r = run.repository()
    keyid = r.signers["timestamp"][0].public_key.keyid
    r.amend(lambda root: root["keys"][keyid].update(keytype="ed999", scheme="ed999"))
    run.refused(r, "5.4.2", "timestamp", "unsigned")


@scenario
def key_with_the_scheme_of_another_type(run):
    r = run.repository()
    keyid = r.signers["timestamp"][0].public_key.keyid
    r.amend(lambda root: root["keys"][keyid].update(scheme="rsassa-pss-sha256"))
    run.refused(r, "5.4.2", "timestamp", "unsigned")


@scenario
def key_that_is_no_key(run):
    r = run.repository()
    keyid = r.signers["timestamp"][0].public_key.keyid
    r.amend(lambda root: root["keys"][keyid]["keyval"].update(public="00"))
    run.refused(r, "5.4.2", "timestamp", "unsigned")


@scenario
def key_that_was_revoked(run):
    r = run.repository()
    run.good(r)
    stolen = r.signers["timestamp"]
    r.rotate(signers={"timestamp": [ed25519()]})
    r.advance()
    run.refused(r, "5.4.2", "timestamp", "unsigned", at=2, signers={"timestamp": stolen})


@scenario
def rollback_to_a_timestamp_of_a_revoked_key(run):
    r = run.repository()
    run.good(r)
    r.rotate(signers={"timestamp": [ed25519()]})
    old = open(f"{r.directory}/1/timestamp.json", "rb").read()
    run.refused(r, "5.4.2", "timestamp", "unsigned", at=2, changes={"timestamp.json": old})


# The root


@scenario
def root_that_the_old_keys_did_not_sign(run):
    r = run.repository()
    new = ed25519()
    r.rotate(signers={"root": [new]}, by=[new])
    run.refused(r, "5.3.4", "root", "unsigned")


@scenario
def root_that_the_new_keys_did_not_sign(run):
    r = run.repository()
    old = r.signers["root"]
    r.rotate(signers={"root": [ed25519()]}, by=old)
    run.refused(r, "5.3.4", "root", "unsigned")


@scenario
def root_that_lowers_its_own_threshold(run):
    signers = {role: [ed25519(), ed25519()] for role in ("root", "timestamp", "snapshot", "targets")}
    r = run.repository(signers=signers, thresholds={"root": 2})
    r.rotate(change=lambda root: setattr(root.roles["root"], "threshold", 1), by=signers["root"][:1])
    run.refused(r, "5.3.4", "root", "unsigned")


@scenario
def root_that_skips_a_version(run):
    r = run.repository()
    r.rotate(version=3)
    run.refused(r, "5.3.5", "root", "wrongVersion")


@scenario
def root_that_comes_again(run):
    r = run.repository()
    r.roots[2] = r.roots[1]
    run.refused(r, "5.3.5", "root", "wrongVersion")


@scenario
def root_changed_after_it_was_signed(run):
    r = run.repository()
    r.rotate(edit=lambda data: data.replace(b'"threshold":1', b'"threshold":2', 1))
    run.refused(r, "5.3.4", "root", "unsigned")


# Form


@scenario
def roles_swapped(run):
    online = ed25519()
    r = run.repository(online=online)
    run.refused(
        r, "5.4.2", "timestamp", "wrongType",
        changes={"timestamp.json": lambda data: sign(r.snapshot.to_dict(), [online])},
    )


@scenario
def delegated_targets_as_the_top_level_ones(run):
    one = ed25519()
    r = run.repository(hashes=False)
    r.signers["targets"].append(one)
    r.rotate(by=r.signers["root"])
    r.delegate("project", ["project/*"], signers=[one])
    r.delegated["project"].version = 7
    data = sign(r.delegated["project"].to_dict(), [one])
    run.refused(r, "5.6.4", "targets", "wrongVersion", changes={"1.targets.json": data})


@scenario
def member_twice(run):
    r = run.repository()
    change = lambda data: data.replace(b'"version"', b'"version": 9, "version"', 1)
    run.differs = "of members with the same name the last one counts"
    run.refused(r, "5.4.2", "timestamp", "malformed", changes={"timestamp.json": change})


@scenario
def number_with_a_fraction(run):
    r = run.repository()
    change = lambda data: data.replace(b'"version": 1,', b'"version": 1.0,', 1)
    run.refused(r, "5.4.2", "timestamp", "malformed", changes={"timestamp.json": change})


@scenario
def number_with_an_exponent(run):
    r = run.repository()
    change = lambda data: data.replace(b'"version": 1,', b'"version": 1e0,', 1)
    run.refused(r, "5.4.2", "timestamp", "malformed", changes={"timestamp.json": change})


@scenario
def version_zero(run):
    r = run.repository()
    run.refused(r, "5.4.2", "timestamp", "malformed", edit=set_to("timestamp", version=0))


@scenario
def version_as_a_text(run):
    r = run.repository()
    run.refused(r, "5.4.2", "timestamp", "malformed", edit=set_to("timestamp", version="1"))


@scenario
def version_that_no_integer_holds(run):
    r = run.repository()
    run.differs = "integers have no greatest one"
    run.refused(r, "5.4.2", "timestamp", "malformed", edit=set_to("timestamp", version=2**63))


@scenario
def time_with_another_zone(run):
    r = run.repository()
    run.refused(r, "5.4.2", "timestamp", "malformed", edit=set_to("timestamp", expires="2026-01-08T00:00:00+09:00"))


@scenario
def other_specification(run):
    r = run.repository()
    edit = set_to("timestamp", spec_version="2.0.0")
    run.refused(r, "5.4.2", "timestamp", "unsupportedSpecification", edit=edit)


@scenario
def not_json(run):
    r = run.repository()
    run.refused(r, "5.4.2", "timestamp", "malformed", changes={"timestamp.json": lambda data: data[:-1]})


@scenario
def deep_json(run):
    r = run.repository()
    deep = b"[" * 8000 + b"]" * 8000
    run.refused(r, "5.4.2", "timestamp", "malformed", changes={"timestamp.json": deep})


@scenario
def threshold_zero(run):
    r = run.repository()
    r.amend(lambda root: root["roles"]["timestamp"].update(threshold=0))
    run.refused(r, "5.3.4", "root", "malformed", signers={"timestamp": []})


@scenario
def role_with_a_key_twice(run):
    r = run.repository()
    r.amend(lambda root: root["roles"]["timestamp"].update(keyids=root["roles"]["timestamp"]["keyids"] * 2))
    run.refused(r, "5.3.4", "root", "malformed")


# Delegations and names


@scenario
def delegated_role_without_signature(run):
    r = run.repository()
    run.target = "a.txt"
    r.delegate("project", ["*"])
    r.add(run.target, b"a", role="project")
    run.refused(r, "5.6.3", "project", "unsigned", signers={"project": []})


@scenario
def delegated_role_signed_by_its_delegator(run):
    r = run.repository()
    run.target = "a.txt"
    r.delegate("project", ["*"])
    r.add(run.target, b"a", role="project")
    run.refused(r, "5.6.3", "project", "unsigned", signers={"project": r.signers["targets"]})


@scenario
def threshold_of_a_delegation_not_met(run):
    r = run.repository()
    run.target = "a.txt"
    r.delegate("project", ["*"], signers=[ed25519(), ed25519()], threshold=2)
    r.add(run.target, b"a", role="project")
    run.refused(r, "5.6.3", "project", "unsigned", signers={"project": r.delegated_signers["project"][:1]})


@scenario
def delegation_outside_its_paths(run):
    r = run.repository()
    run.target = "other/a.txt"
    r.delegate("project", ["project/*", "*"])
    r.add(run.target, b"a", role="project")
    run.refused(r, "5.7.2", run.target, "noSuchTarget")


@scenario
def delegation_outside_the_paths_of_its_delegator(run):
    r = run.repository()
    run.target = "other/a.txt"
    r.delegate("project", ["project/*"])
    r.delegate("inner", ["other/*", "project/*"], parent="project")
    r.add(run.target, b"a", role="inner")
    run.refused(r, "5.7.2", run.target, "noSuchTarget")


@scenario
def delegation_after_a_terminating_one(run):
    r = run.repository()
    run.target = "a.txt"
    r.delegate("first", ["*"], terminating=True)
    r.delegate("second", ["*"])
    r.add(run.target, b"a", role="second")
    run.refused(r, "5.7.2", run.target, "noSuchTarget")


@scenario
def delegation_that_the_snapshot_does_not_list(run):
    r = run.repository()
    run.target = "a.txt"
    r.delegate("project", ["*"])
    r.add(run.target, b"a", role="project")
    del r.delegated["project"]
    run.refused(r, "5.6.1", "project", "notListed")


@scenario
def too_many_delegations(run):
    r = run.repository()
    run.target = "a.txt"
    for number in range(40):
        r.delegate(f"role{number}", ["*"])
    r.add(run.target, b"a", role="role39")
    run.refused(r, "5.6.7", run.target, "searchLimit")


@scenario
def too_deep_delegations(run):
    r = run.repository()
    run.target = "a.txt"
    parent = None
    for number in range(12):
        r.delegate(f"role{number}", ["*"], parent=parent)
        parent = f"role{number}"
    r.add(run.target, b"a", role=parent)
    run.differs = "only the number of roles is bounded"
    run.refused(r, "5.6.7", run.target, "searchLimit")


@scenario
def delegations_in_a_circle(run):
    r = run.repository()
    run.target = "a.txt"
    r.delegate("one", ["*"])
    r.delegate("two", ["*"], parent="one")
    r.delegate("one", ["*"], parent="two", signers=r.delegated_signers["one"])
    run.refused(r, "5.7.2", run.target, "noSuchTarget")


@scenario
def role_delegated_twice(run):
    r = run.repository()
    r.delegate("project", ["*"])
    edit = lambda name, s: s["delegations"]["roles"].append(s["delegations"]["roles"][0]) if name == "targets" else None
    run.refused(r, "5.6.3", "targets", "malformed", edit=edit)


@scenario
def delegated_role_with_the_name_of_a_top_level_one(run):
    r = run.repository()
    r.delegate("project", ["*"])
    edit = lambda name, s: s["delegations"]["roles"][0].update(name="timestamp") if name == "targets" else None
    run.refused(r, "5.6.3", "targets", "malformed", edit=edit)


@scenario
def target_above_the_repository(run):
    r = run.repository()
    run.target = "../../etc/passwd"
    r.add(run.target, b"root")
    run.differs = "names of targets are put into the URL as they are"
    run.refused(r, "5.7.2", run.target, "unsafePath")


@scenario
def target_at_the_top_of_the_file_system(run):
    r = run.repository()
    run.target = "/etc/passwd"
    r.add(run.target, b"root")
    run.differs = "names of targets are put into the URL as they are"
    run.refused(r, "5.7.2", run.target, "unsafePath")


@scenario
def target_that_is_not_there(run):
    r = run.repository()
    run.target = "trusted_root.jso"
    run.refused(r, "5.7.2", run.target, "noSuchTarget")


# Absence


@scenario
def no_timestamp(run):
    r = run.repository()
    run.good(r)
    run.refused(r, "5.4.1", "timestamp", "notFound", at=2, drop=["timestamp.json"])


@scenario
def no_targets(run):
    r = run.repository()
    run.good(r)
    r.advance()
    run.refused(r, "5.6.1", "targets", "notFound", at=2, drop=["2.targets.json"])


@scenario
def no_content(run):
    r = run.repository()
    run.good(r)
    r.add(TARGET, b"new")
    r.advance()
    digest = r.targets.targets[TARGET].hashes["sha256"]
    run.refused(r, "5.7.3", TARGET, "notFound", at=2, drop=[f"targets/{digest}.{TARGET}"])

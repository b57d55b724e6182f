"""Makes the phases of a repository that a provider of trusted roots sees one after the other.

Usage: trusted_roots.py DIRECTORY FIRST SECOND THIRD, which are contents of the target. Writes DIRECTORY/root.json and below
DIRECTORY the repositories 1 (the first content, until day 7), 2 (the same, newer, until day 9), 3 (the second content, the
timestamp's key is another one, until day 12), 4 (the third content, spoilt), 5 (a root that takes the timestamp's key
away, and a timestamp by that key), 6 (a stranger's, with the third content), 7 (content that is no trusted root, until
day 20).
"""
import sys

from repository import CryptoSigner, Repository, day
from scenarios import TARGET, target_file

directory, first, second, third = sys.argv[1], *(text.encode() for text in sys.argv[2:])

r = Repository(directory)
with open(f"{directory}/root.json", "wb") as file:
    file.write(r.roots[1])
r.add(TARGET, first)
r.publish()
r.advance()
r.timestamp.expires = day(9)
r.publish()
r.add(TARGET, second)
r.rotate(signers={"timestamp": [CryptoSigner.generate_ecdsa()]})
r.advance()
r.timestamp.expires = day(12)
r.publish()
r.add(TARGET, third)
r.advance()
r.publish(changes=target_file(r, lambda data: data[:-1] + b" "))
former = r.signers["timestamp"]
r.rotate(signers={"timestamp": [CryptoSigner.generate_ed25519()]})
r.publish(signers={"timestamp": former})
stranger = Repository(directory)
stranger.published = r.published
stranger.add(TARGET, third)
stranger.publish()
r.published = stranger.published
r.add(TARGET, b'{"mediaType": "a later one"}')
r.advance()
r.timestamp.expires = day(20)
r.publish()

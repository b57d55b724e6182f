"""Makes repositories that are valid now, for what has no clock of its own to set: the command.

Usage: current.py DIRECTORY CONTENT. CONTENT is that of the target. Writes DIRECTORY/root.json and below DIRECTORY the
repositories 1 (older), 2 (newer), 3 (its timestamp has expired), 4 (the target is another one), 5 (a stranger's).
"""
import sys
from datetime import datetime, timezone

import repository
from scenarios import TARGET, target_file

repository.START = datetime.now(timezone.utc).replace(microsecond=0)
directory, content = sys.argv[1], sys.argv[2].encode()

r = repository.Repository(directory)
with open(f"{directory}/root.json", "wb") as file:
    file.write(r.roots[1])
r.add(TARGET, content)
r.publish()
r.rotate(signers={"root": [repository.CryptoSigner.generate_ecdsa()]})
r.advance()
r.publish()
r.publish(edit=lambda role, signed: signed.update(expires="2020-01-01T00:00:00Z") if role == "timestamp" else None)
r.publish(changes=target_file(r, lambda data: data[:-1] + b" "))
stranger = repository.Repository(directory)
stranger.published = r.published
stranger.add(TARGET, content)
stranger.rotate()
stranger.publish()

#!/usr/bin/env python3
"""Checks that each room under Sources/ imports only the rooms that the table in docs/architecture.md allows it, and
that the table has every room, allows nothing that a room does not import, and has no cycle."""
import pathlib
import re
import sys

# How bytes become text, and how messages quote what others wrote, is for every room.
EVERYWHERE = {"Encoding", "Quotation"}
ROW = re.compile(r"\| `(\w+)` \|.*\|([^|]*)\|$")
IMPORT = re.compile(
    r"\s*(?:@\w+(?:\(\w+\))?\s+)*(?:public |package |internal |private )?import "
    r"(?:(?:struct|class|enum|protocol|func|var) )?(\w+)")

root = pathlib.Path(__file__).resolve().parent.parent
table = (root / "docs/architecture.md").read_text().split("## Rooms")[1].split("\n## ")[0]
rows = [ROW.match(line) for line in table.splitlines()]
allowed = {row[1]: re.findall(r"`(\w+)`", row[2]) for row in rows if row}
rooms = {path.name for path in (root / "Sources").iterdir() if path.is_dir()}
faults = [f"docs/architecture.md: no row for Sources/{room}" for room in sorted(rooms) if room[0] != "C" or room[1].islower()
          if room not in allowed]

used = {room: set() for room in rooms}
for path in sorted((root / "Sources").rglob("*.swift")):
    room = path.relative_to(root / "Sources").parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = IMPORT.match(line)
        if not match or match[1] not in rooms:
            continue
        used[room].add(match[1])
        if match[1] not in EVERYWHERE | set(allowed.get(room, [])):
            faults.append(f"{path.relative_to(root)}:{number}: {room} may not import {match[1]}")

for room in sorted(allowed.keys() & rooms):
    for other in allowed[room]:
        if other in rooms - used[room] - EVERYWHERE:
            faults.append(f"docs/architecture.md: {room} does not import {other}")


def reaches(start, room, seen):
    for other in used[room] - seen:
        seen.add(other)
        if other == start or reaches(start, other, seen):
            return True
    return False


faults += [f"{room} imports itself by way of others" for room in sorted(rooms) if reaches(room, room, set())]
for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)

#!/usr/bin/env python3
"""Checks that each room under Sources/ imports only the rooms that docs/architecture.md allows it."""
import pathlib
import re
import sys

ALLOWED = {
    "Encoding": set(),
    "Quotation": set(),
    "Concurrency": set(),
    "StrictJSON": set(),
    "YAML": {"CYAML", "StrictJSON"},
    "HTTP": {"CCurl"},
    "OCI": {"Concurrency", "HTTP", "StrictJSON"},
    "PKI": {"COpenSSL"},
    "Notation": {"Concurrency", "OCI", "PKI", "HTTP", "StrictJSON"},
    "Sigstore": {"PKI", "StrictJSON"},
    "TUF": {"PKI", "StrictJSON"},
    "KeyManagement": {"PKI"},
    "Redis": set(),
    "ServiceLogging": {"StrictJSON"},
    "Azure": {"Concurrency", "HTTP", "OCI", "PKI", "KeyManagement", "StrictJSON"},
    "Kubernetes": {"Concurrency", "HTTP", "OCI", "PKI", "StrictJSON", "YAML"},
    "Audit": {"Kubernetes", "KeyManagement", "OCI", "PKI", "StrictJSON", "Verification", "YAML"},
    "Verification": {"Concurrency", "OCI", "KeyManagement", "StrictJSON"},
    "ProviderServer": {"OCI", "PKI", "ServiceLogging", "StrictJSON", "Verification"},
    "Gatekeeper": {"ProviderServer", "ServiceLogging", "StrictJSON", "Verification"},
    "Kyverno": {"OCI", "PKI", "ProviderServer", "StrictJSON", "Verification"},
    "NotationVerifier": {"KeyManagement", "Notation", "OCI", "PKI", "StrictJSON", "Verification"},
    "CustomResources": {"KeyManagement", "Kubernetes", "OCI", "StrictJSON", "Verification", "YAML"},
    "SharedCache": {"OCI", "Redis", "StrictJSON", "Verification"},
    "Prewarming": {"Audit", "Kubernetes", "Verification"},
    "CountersignService": {
        "Azure", "CMemory", "Concurrency", "CustomResources", "Gatekeeper", "HTTP", "KeyManagement", "Kubernetes",
        "Kyverno", "Notation", "NotationVerifier", "OCI", "PKI", "Prewarming", "ProviderServer", "ServiceLogging",
        "SharedCache", "StrictJSON", "Verification",
    },
    "countersign": {
        "HTTP", "OCI", "PKI", "Notation", "Sigstore", "KeyManagement", "Verification", "ProviderServer", "Kyverno",
        "StrictJSON",
        "YAML", "Kubernetes", "Redis", "CountersignService", "Audit", "CustomResources", "NotationVerifier", "SharedCache",
    },
}
# How bytes become text, and how messages quote what others wrote, is for every room.
EVERYWHERE = {"Encoding", "Quotation"}
ROOMS = set(ALLOWED) | {"CCurl", "COpenSSL", "CYAML", "CMemory"}

root = pathlib.Path(__file__).resolve().parent.parent / "Sources"
faults = 0
for path in sorted(root.rglob("*.swift")):
    room = path.relative_to(root).parts[0]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r"\s*(?:@\w+(?:\(\w+\))?\s+)*(?:public |package |internal |private )?import (?:\w+ )?(\w+)", line)
        if match and match[1] in ROOMS and match[1] not in ALLOWED.get(room, set()) | EVERYWHERE:
            print(f"{path.relative_to(root.parent)}:{number}: {room} may not import {match[1]}", file=sys.stderr)
            faults += 1
sys.exit(1 if faults else 0)

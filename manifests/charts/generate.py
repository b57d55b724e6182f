#!/usr/bin/env python3
"""Generates the parts of the chart that are made from other files of the project, and the table of its values.

    manifests/charts/generate.py           write them
    manifests/charts/generate.py --check   change nothing; exit 1 and name the files that are not current

Needs Python 3.9 or later and nothing else. What it makes:

    countersign/templates/mutation.yaml    from the table MUTATED in manifests/generate.py
    countersign/crds/*.yaml                copies of manifests/crds
    countersign/files/defaults.yaml        values.yaml without its comments
    countersign/files/alerts.yaml          a copy of manifests/monitoring/alerts.yaml
    countersign/files/dashboard.json       a copy of manifests/monitoring/dashboard.json
    docs/helm.md                           the table between its markers, from the comments in countersign/values.yaml
"""

import argparse
import importlib.util
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "manifests" / "charts" / "countersign"

# It imports what lies beside it.
sys.path.insert(0, str(ROOT / "manifests"))
sys.dont_write_bytecode = True
_spec = importlib.util.spec_from_file_location("manifests_generate", ROOT / "manifests" / "generate.py")
manifests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(manifests)


def mutation():
    """The Assigns of manifests/base, with what an installation decides left to Helm."""
    header = manifests.HEADER.format(sources="the table MUTATED in manifests/generate.py").replace("manifests/generate.py from", "manifests/charts/generate.py from")
    text = manifests.mutation().split("\n", 2)[2]
    text = re.sub(r"^apiVersion: mutations.*$", 'apiVersion: {{ include "countersign.assignVersion" . }}', text, flags=re.M)
    text = re.sub(r"excludedNamespaces: .*$", 'excludedNamespaces: {{ include "countersign.exemptNamespaces" . }}', text, flags=re.M)
    text = re.sub(r"(  name: mutate-.*)$", r'\1\n  labels:\n    {{- include "countersign.labels" . | nindent 4 }}', text, flags=re.M)
    return header + '{{- include "countersign.defaults" . }}\n' + "{{- if .Values.provider.enableMutation }}\n" + text.rstrip("\n") + "\n{{- end }}\n"


def described_values():
    """(path, default, description) of every value that has a `# --` comment, in the file's order."""
    stack, description, rows = [], None, []
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines):
        comment = re.match(r"\s*# -- (.*)", line)
        key = re.match(r"( *)([A-Za-z0-9_]+):(?: (.*))?$", line)
        if comment:
            description = comment.group(1)
        elif key:
            indent, name, value = len(key.group(1)), key.group(2), (key.group(3) or "").strip()
            stack = [entry for entry in stack if entry[0] < indent] + [(indent, name)]
            if description is not None:
                following = lines[number + 1] if number + 1 < len(lines) else ""
                nested = len(following) - len(following.lstrip()) > indent and following.strip()
                default = f"`{value}`" if value else "see values.yaml" if nested else ""
                rows.append((".".join(entry[1] for entry in stack), default, description))
            description = None
    return rows


def values_table():
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, description in described_values():
        rows.append(f"| `{path}` | {default} | {description} |".replace("|  |", "| |"))
    return "\n".join(rows) + "\n"


def documentation():
    text = (ROOT / "docs" / "helm.md").read_text(encoding="utf-8")
    begin, end = "<!-- values: made by manifests/charts/generate.py -->\n", "<!-- end of values -->\n"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    if not tail and end not in rest:
        raise SystemExit("docs/helm.md: the markers of the values' table are missing")
    return head + begin + values_table() + end + tail


def generated():
    """Every generated file: path below the project's root → content."""
    files = {"manifests/charts/countersign/templates/mutation.yaml": mutation(), "docs/helm.md": documentation()}
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    files["manifests/charts/countersign/files/defaults.yaml"] = "# Copied by manifests/charts/generate.py from values.yaml.\n" + re.sub(r"^ *#.*\n|^\n", "", values, flags=re.M)
    for name in ["alerts.yaml", "dashboard.json"]:
        files[f"manifests/charts/countersign/files/{name}"] = (ROOT / "manifests" / "monitoring" / name).read_text(encoding="utf-8")
    for file in sorted((ROOT / "manifests" / "crds").glob("*.yaml")):
        if file.name != "kustomization.yaml":
            files[f"manifests/charts/countersign/crds/{file.name}"] = file.read_text(encoding="utf-8")
    return files


def main():
    parser = argparse.ArgumentParser(description="Generate the parts of the chart that are made from other files.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is not current")
    check = parser.parse_args().check

    files, stale = generated(), []
    for path, content in files.items():
        file = ROOT / path
        if file.is_file() and file.read_bytes() == content.encode("utf-8"):
            continue
        stale.append(path)
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode("utf-8"))
            print(f"wrote {path}")
    for file in sorted((CHART / "crds").glob("*.yaml")):
        path = str(file.relative_to(ROOT))
        if path not in files:
            stale.append(path)
            if not check:
                file.unlink()
                print(f"removed {path}")

    if check and stale:
        print(f"not current: {', '.join(stale)}; run `make manifests` and commit the result", file=sys.stderr)
        return 1
    if not stale:
        print("generated parts of the chart are current")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Checks that what the documentation points to is there.

Links and their anchors in README, CONTRIBUTING, SECURITY and docs/ resolve; paths of files in backticks exist; every message
that docs/denied.md lists is one that the sources, the policy, Gatekeeper or Kyverno say; types that the pages for maintainers
name exist; and prose ends at column 120 but in the pages in WIDE.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(ROOT.glob("docs/*.md"))
# Pages whose prose is not wrapped yet.
WIDE = {"performance.md"}
NAMING = ("architecture.md", "extending.md")
# Messages of docs/denied.md that are not ours: Gatekeeper's (pkg/mutation, the API server's about it) and Kyverno's.
OTHERS = {
    "failed to resolve external data placeholders", "failed calling webhook", "was blocked due to the following policies",
}
# Where the Rego of the templates and the sources are.
SPEAKING = [*ROOT.glob("Sources/**/*.swift"), *ROOT.glob("rego/lib/*.rego"), *ROOT.glob("rego/*/policy.rego")]
# Paths that the documentation may name and that are made, or are examples.
MADE = re.compile(r"^(Sources/(SBOM|AWS)|Tests/SBOMTests|manifests/overlays/example/tls)")
FOLDERS = ("Sources", "Tests", "Benchmarks", "Fuzz", "manifests", "rego", "scripts", "demo", "docs")

faults = []


def prose(text):
    """The lines of a page with their numbers, those of code blocks left out."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    found = {}
    for _, line in prose(path.read_text()):
        if match := re.match(r"#+ +(.*)", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).strip().lower()
            anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            count = found.get(anchor, 0)
            found[anchor] = count + 1
            if count:
                found[f"{anchor}-{count}"] = 1
    return set(found)


def check_links(page):
    for number, line in prose(page.read_text()):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                faults.append(f"{page.relative_to(ROOT)}:{number}: there is no {target}")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                faults.append(f"{page.relative_to(ROOT)}:{number}: {path or page.name} has no heading #{anchor}")


def check_paths(page):
    text = page.read_text()
    named = [(number, path) for number, line in prose(text) for path in re.findall(r"`([\w./+-]+)`", line)]
    # In commands, too.
    named += [
        (number, path) for number, line in enumerate(text.splitlines(), 1)
        for path in re.findall(rf"(?<![\w./-])((?:{'|'.join(FOLDERS)})/[\w./+-]+)", line)]
    for number, path in sorted(set(named)):
        if path.split("/")[0] in FOLDERS and "/" in path and not MADE.match(path) and not (ROOT / path).exists():
            faults.append(f"{page.relative_to(ROOT)}:{number}: there is no {path}")


def check_width(page):
    for number, line in prose(page.read_text()):
        if len(line) > 120 and not line.startswith("|"):
            faults.append(f"{page.relative_to(ROOT)}:{number}: {len(line)} columns, 120 at most")


def check_messages():
    said = "\n".join(path.read_text() for path in SPEAKING)
    # Texts are cut into literals, and values stand between.
    said = re.sub(r'"\s*\n?\s*\+ "', "", said)
    page = (ROOT / "docs/denied.md").read_text()
    table = page[page.index("## Find your message") : page.index("## The image or its signature")]
    for row in re.findall(r"^\| (`.*?) \|", table, flags=re.M):
        for message in re.findall(r"`([^`]+)`", row):
            if message not in said and message not in OTHERS:
                faults.append(f"docs/denied.md: nothing says {message!r} any more")


def check_names(page):
    code = "\n".join(
        path.read_text() for folder in ("Sources", "Tests", "manifests") for path in (ROOT / folder).rglob("*")
        if path.suffix in (".swift", ".py") and ".venv" not in path.parts)
    words = set(re.findall(r"\w+", code)) | set(FOLDERS)
    for number, line in prose(page.read_text()):
        for name in re.findall(r"`([A-Z]\w*[a-z]\w*)[`.(]", line):
            if name not in words:
                faults.append(f"{page.relative_to(ROOT)}:{number}: nothing is called {name} any more")


for page in PAGES:
    check_links(page)
    check_paths(page)
    if page.name not in WIDE:
        check_width(page)
    if page.name in NAMING:
        check_names(page)
check_messages()
for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)

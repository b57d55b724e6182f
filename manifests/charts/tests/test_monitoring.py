"""Alerts and dashboard: they parse, and ask for metrics that the program has."""

import json
import re

import promql_parser
import pytest
import yaml
from conftest import CHART, ROOT

MONITORING = ROOT / "manifests/monitoring"
RULES = [r for g in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"] for r in g["rules"]]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
QUERIES = [(p["title"], t["expr"]) for p in PANELS for t in p["targets"]]


def metrics():
    """name → labels, of everything that the sources measure."""
    found = {}
    for file in (ROOT / "Sources").rglob("*.swift"):
        text = file.read_text()
        for match in re.finditer(r'"((?:countersign|ratify)_[a-z_]+)"', text):
            following = text[match.end() : match.end() + 300]
            found.setdefault(match[1], set()).update(re.findall(r'\("([a-z_]+)", ', following))
    return found


def selectors(expression):
    """(metric, labels that are matched) of every selector in a query."""
    for name, labels in re.findall(r"\b((?:countersign|ratify)_[a-z_]+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)', labels or ""))


def check(expression):
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    known = metrics()
    asked = list(selectors(expression))
    assert asked, "no metric of ours"
    for name, labels in asked:
        base = re.sub(r"_(bucket|sum|count)$", "", name) if name not in known else name
        assert base in known, f"the program does not measure {name}"
        assert labels <= known[base] | {"namespace", "pod", "job"}, (name, labels)


@pytest.mark.parametrize("rule", RULES, ids=[r["alert"] for r in RULES])
def test_alert(rule):
    check(rule["expr"])
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert {"summary", "description", "runbook"} <= rule["annotations"].keys()
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), flags=re.M)
    assert anchor in [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings]


def test_alerts_have_names_of_their_own():
    names = [r["alert"] for r in RULES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("title, query", QUERIES, ids=[f"{t} {i}" for i, (t, _) in enumerate(QUERIES)])
def test_panel(title, query):
    check(query)


def test_dashboard_can_be_read():
    ids = [p["id"] for p in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
    places = [{(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])} for g in (p["gridPos"] for p in DASHBOARD["panels"])]
    assert sum(map(len, places)) == len(set().union(*places)), "panels overlap"
    assert all(x < 24 for place in places for x, _ in place)
    assert [v["name"] for v in DASHBOARD["templating"]["list"]] == ["datasource", "namespace", "pod"]


def test_the_chart_ships_them(install):
    release = install("monitoring.prometheusRule.enabled=true", "monitoring.dashboard.enabled=true")
    rules = release.one("PrometheusRule", "ratify")["spec"]
    assert rules == yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    shipped = release.one("ConfigMap", "ratify-dashboard")
    assert json.loads(shipped["data"]["countersign.json"]) == DASHBOARD
    assert shipped["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert (CHART / "files/alerts.yaml").read_text() == (MONITORING / "alerts.yaml").read_text()

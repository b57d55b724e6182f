#!/usr/bin/env python3
"""Makes dashboard.json, the Grafana dashboard, from the table below.

    manifests/monitoring/generate.py           write it
    manifests/monitoring/generate.py --check   change nothing; exit 1 when it is not current

Needs Python 3.9 or later and nothing else. A panel is (title, unit, what it means, [(query, legend)…]); `$where` is replaced
by the selector of the dashboard's variables.
"""

import json
import sys
from pathlib import Path

FILE = Path(__file__).with_name("dashboard.json")

WHERE = 'namespace=~"$namespace",pod=~"$pod"'


def rate(metric, by, labels=""):
    selector = ",".join(filter(None, [WHERE, labels]))
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def total(metric, labels=""):
    selector = ",".join(filter(None, [WHERE, labels]))
    return f"sum(rate({metric}{{{selector}}}[$__rate_interval]))"


def quantiles(histogram, by=""):
    labels = ", ".join(filter(None, ["le", by]))
    legend = f" {{{{{by}}}}}" if by else ""
    return [
        (f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket{{{WHERE}}}[$__rate_interval])))", f"p{int(q * 100)}{legend}")
        for q in (0.5, 0.9, 0.99)
    ]


STATS = [
    ("Replicas", "none", "Replicas that answer Prometheus.", f"count(countersign_build_info{{{WHERE}}})", [(None, "red"), (2, "green")]),
    ("Images refused", "ops", "Images that were verified and may not run, a second.", total("countersign_keys_total", 'operation="verify",verdict="fail"'), [(None, "green"), (0.05, "orange")]),
    ("Not decided", "percentunit", "Images without a verdict: registries, identities or revocation servers did not answer. They are refused.", total("countersign_keys_total", 'verdict="fault"') + " / " + total("countersign_keys_total"), [(None, "green"), (0.01, "orange"), (0.05, "red")]),
    ("Configuration", "none", "1: the newest configuration is in force. 0: it is not valid, and a former one is.", f"min(countersign_configuration_valid{{{WHERE}}})", [(None, "red"), (1, "green")]),
    ("Next trusted certificate expires in", "s", "The first of all trusted certificates.", f"min(countersign_trusted_certificate_expiry_seconds{{{WHERE}}}) - time()", [(None, "red"), (7 * 86400, "orange"), (30 * 86400, "green")]),
    ("Serving certificate expires in", "s", "After that Gatekeeper refuses this provider.", f"min(countersign_serving_certificate_expiry_timestamp_seconds{{{WHERE}}}) - time()", [(None, "red"), (7 * 86400, "green")]),
]

ROWS = [
    (
        "Verdicts",
        [
            ("Images by verdict", "ops", "pass: may run. fail: may not. refused: a definite error, such as an image that does not exist. fault: not known now.", [(rate("countersign_keys_total", "operation, verdict"), "{{operation}} {{verdict}}")]),
            ("Refused, by reason", "ops", "Why images may not run.", [(rate("countersign_verdicts_total", "reason", 'verdict=~"fail|refused"'), "{{reason}}")]),
            ("Not decided, by stage", "ops", "Where it was not possible to find out.", [(rate("countersign_verdicts_total", "reason", 'verdict="fault"'), "{{reason}}")]),
            ("System errors by kind", "ops", "Answers that name images without a verdict. Gatekeeper never stores them.", [(rate("ratify_system_error_count", "error"), "{{error}}")]),
            ("Duration of verify requests", "ms", "From a request's arrival to its answer.", quantiles("ratify_verification_request")),
            ("Duration of mutate requests", "ms", "From a request's arrival to its answer.", quantiles("ratify_mutation_request")),
        ],
    ),
    (
        "Where the time goes",
        [
            ("Stages", "ms", "queue: waiting for a place. resolve: tag to digest. referrers: the list of signatures. judge: fetching and verifying all of them; of that, fetch: a manifest or envelope, revocation: an OCSP answer or list. token: from where a registry sends for one.", quantiles("countersign_stage_duration_milliseconds", "stage")),
            ("Slowest hundredth by registry", "ms", "All stages.", quantiles("countersign_stage_duration_milliseconds", "host")[2:]),
            ("Judging one signature", "ms", "Verifier, with fetching the envelope, trust, revocation.", quantiles("ratify_verifier_duration", "verifier")),
            ("Requests to registries by status", "ops", "none: no answer. 429: throttled.", [(rate("ratify_registry_request_count", "status_code"), "{{status_code}}")]),
            ("Failing requests by registry", "ops", "No answer, throttled, or 5xx.", [(rate("ratify_registry_request_count", "registry_host, status_code", 'status_code=~"429|5..|none"'), "{{registry_host}} {{status_code}}")]),
            ("Getting Entra ID tokens", "ms", "By result.", quantiles("ratify_aad_exchange_duration", "result")),
            ("Reading a Key Vault", "ms", "One certificate or key, by result.", quantiles("ratify_akv_certificate_duration", "result")),
            ("Exchanging them at the registry", "ms", "By result.", quantiles("ratify_acr_exchange_duration", "result")),
        ],
    ),
    (
        "Caches and load",
        [
            ("Verdicts from the cache", "percentunit", "The rest goes through the whole pipeline.", [(f'{total("countersign_decision_cache_hits_total")} / ({total("countersign_decision_cache_hits_total")} + {total("countersign_decision_cache_misses_total")})', "hit ratio")]),
            ("Entries", "none", "Remembered verdicts and revocation answers.", [(f"sum by (pod) (countersign_decision_cache_entries{{{WHERE}}})", "verdicts {{pod}}"), (f"sum by (pod) (countersign_revocation_cache_entries{{{WHERE}}})", "revocation {{pod}}")]),
            ("Caches: found", "percentunit", "By cache; docs/metrics.md says what each holds.", [(rate("countersign_cache_events_total", "cache", 'event="hit"') + " / " + rate("countersign_cache_events_total", "cache", 'event=~"hit|miss"'), "{{cache}}")]),
            ("Caches: full", "percentunit", "Bytes of those that it may have, by cache.", [(f"max by (cache) (countersign_cache_bytes{{{WHERE}}} / (countersign_cache_maximum_bytes{{{WHERE}}} > 0))", "{{cache}}")]),
            ("Caches: made room", "ops", "Evictions. Many of decisions or content: raise --cache-size.", [(rate("countersign_cache_events_total", "cache", 'event="eviction"'), "{{cache}}")]),
            ("Verifications", "ops", "Images taken through the whole pipeline, by replica.", [(rate("countersign_verifications_total", "pod"), "{{pod}}")]),
            ("Shared cache", "ops", "Questions to Redis, by what came of them.", [(rate("countersign_shared_cache_total", "result"), "{{result}}")]),
            ("Duration of Kyverno's requests", "ms", "From a request's arrival to its answer.", quantiles("countersign_kyverno_request_milliseconds")),
            ("Too much at once", "ops", "Requests refused because every place was taken; images admitted by an older verdict during an outage.", [(total("countersign_overloaded_total"), "overloaded"), (total("countersign_stale_admissions_total"), "admitted by an older verdict")]),
            ("Under way", "none", "Verifications and connections now.", [(f"sum by (pod) (countersign_verifications_in_flight{{{WHERE}}})", "verifications {{pod}}"), (f"sum by (operation) (countersign_keys_in_flight{{{WHERE}}})", "keys {{operation}}"), (f"sum by (pod) (countersign_work_queued{{{WHERE}}})", "queued {{pod}}"), (f"sum by (state) (countersign_open_connections{{{WHERE}}})", "connections {{state}}")]),
        ],
    ),
    (
        "Trust and certificates",
        [
            ("Days until trusted certificates expire", "d", "By the provider that has them.", [(f"min by (provider, subject) (countersign_trusted_certificate_expiry_seconds{{{WHERE}}} - time()) / 86400", "{{provider}}: {{subject}}")]),
            ("Age of trust", "s", "Time since each source of trusted certificates was read.", [(f"max by (provider) (countersign_trust_age_seconds{{{WHERE}}})", "{{provider}}")]),
            ("Sources of trust", "none", "1: the last read succeeded. 0: it failed, and what was read before stays in force.", [(f"min by (provider) (countersign_trust_provider_success{{{WHERE}}})", "{{provider}}")]),
            ("Custom resources in force", "none", "By kind; false: not valid, or something they name is missing.", [(f"max by (kind, success) (countersign_resources{{{WHERE}}}) > 0", "{{kind}} {{success}}")]),
            ("Custom resources not watched", "s", "For how long the API server could not be asked. What was read before stays in force.", [(f"max by (kind) (countersign_resources_out_of_sync_seconds{{{WHERE}}})", "{{kind}}")]),
            ("TLS", "ops", "Handshakes that failed, connections closed, certificates reloaded.", [(total("countersign_handshake_failures_total"), "handshakes failed"), (rate("countersign_connections_closed_total", "reason"), "closed: {{reason}}"), (rate("countersign_connections_refused_total", "reason"), "refused: {{reason}}"), (rate("countersign_serving_certificate_reloads_total", "result"), "reload: {{result}}")]),
        ],
    ),
]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def target(query, legend, letter):
    return {"datasource": SOURCE, "expr": query, "legendFormat": legend, "range": True, "refId": letter}


def stat(number, title, unit, description, query, steps):
    return {
        "type": "stat",
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "gridPos": {"x": number * 4, "y": 0, "w": 4, "h": 4},
        "targets": [{**target(query, "", "A"), "range": False, "instant": True}],
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": {"mode": "absolute", "steps": [{"value": v, "color": c} for v, c in steps]}}, "overrides": []},
        "options": {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"]}},
    }


def graph(x, y, title, unit, description, queries):
    return {
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": 12, "h": 8},
        "targets": [target(query, legend, "ABCDEF"[i]) for i, (query, legend) in enumerate(queries)],
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
    }


def variable(name, query):
    return {"type": "query", "name": name, "label": name, "datasource": SOURCE, "query": {"query": query, "refId": name}, "definition": query, "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "refresh": 2, "sort": 1}


def dashboard():
    panels, y = [stat(i, *s) for i, s in enumerate(STATS)], 4
    for title, graphs in ROWS:
        panels.append({"type": "row", "title": title, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": []})
        y += 1
        for i, panel in enumerate(graphs):
            panels.append(graph(i % 2 * 12, y + i // 2 * 8, *panel))
        y += (len(graphs) + 1) // 2 * 8
    for number, panel in enumerate(panels, start=1):
        panel["id"] = number
    return {
        "uid": "countersign",
        "title": "Countersign",
        "description": "Verification of image signatures at admission.",
        "tags": ["gatekeeper", "security", "supply-chain"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "data source", "query": "prometheus"},
                variable("namespace", "label_values(countersign_build_info, namespace)"),
                variable("pod", 'label_values(countersign_build_info{namespace=~"$namespace"}, pod)'),
            ]
        },
        "panels": panels,
    }


def main():
    text = json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == text:
        print("the dashboard is current")
        return 0
    if "--check" in sys.argv[1:]:
        print("not current: manifests/monitoring/dashboard.json; run `make manifests` and commit the result", file=sys.stderr)
        return 1
    FILE.write_text(text, encoding="utf-8")
    print("wrote manifests/monitoring/dashboard.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())

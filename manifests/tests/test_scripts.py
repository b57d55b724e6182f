"""generate.py and make-certs.sh do what they say."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE_CERTS = ROOT / "manifests" / "make-certs.sh"


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)


@pytest.fixture
def copy(tmp_path):
    """A copy of what the generator reads and writes."""
    for part in ["rego", "manifests"]:
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("tls", "__pycache__", ".venv"))
    return tmp_path


def generate(root, *arguments):
    return run(sys.executable, root / "manifests" / "generate.py", *arguments)


def test_committed_files_are_current():
    result = generate(ROOT, "--check")
    assert result.returncode == 0, result.stderr


def test_check_fails_and_names_what_is_stale_and_changes_nothing(copy):
    template = copy / "manifests/base/constrainttemplate.yaml"
    source = copy / "rego/lib/admission.rego"
    before = template.read_bytes()
    source.write_text(source.read_text() + "\n# changed\n")
    result = generate(copy, "--check")
    assert result.returncode == 1
    assert "manifests/base/constrainttemplate.yaml" in result.stderr
    assert template.read_bytes() == before
    assert generate(copy).returncode == 0
    assert template.read_bytes() != before
    assert generate(copy, "--check").returncode == 0


def test_two_parts_cannot_define_one_rule(copy):
    """A second definition in Rego is an alternative: an image that fails the one could pass by the other."""
    part = copy / "rego/lib/namespaces.rego"
    part.write_text(part.read_text() + "\nis_accepted(value) {\n\ttrue\n}\n")
    result = generate(copy)
    assert result.returncode == 1
    assert "is_accepted is defined in rego/lib/admission.rego and in rego/lib/namespaces.rego" in result.stderr


def test_check_fails_on_an_edited_or_missing_file(copy):
    template = copy / "manifests/base/constrainttemplate.yaml"
    template.write_text(template.read_text().replace("isSuccess == true", "isSuccess != false"))
    assert generate(copy, "--check").returncode == 1
    template.unlink()
    assert generate(copy, "--check").returncode == 1


def test_certificates_stay_on_a_second_run(tmp_path):
    out = tmp_path / "tls"
    assert run("bash", MAKE_CERTS, "--out", out).returncode == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"ca.crt", "ca.key", "tls.crt", "tls.key", "kustomization.yaml"}
    assert run("bash", MAKE_CERTS, "--out", out).returncode == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_keys_are_private(tmp_path):
    run("bash", MAKE_CERTS, "--out", tmp_path / "tls", check=True)
    for name in ["ca.key", "tls.key"]:
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600


def test_a_lost_or_short_lived_certificate_is_renewed_under_the_same_ca(tmp_path):
    out = tmp_path / "tls"
    run("bash", MAKE_CERTS, "--out", out, check=True)
    authority, first = (out / "ca.crt").read_bytes(), (out / "tls.crt").read_bytes()
    (out / "tls.key").unlink()
    run("bash", MAKE_CERTS, "--out", out, "--days", "10", check=True)
    second = (out / "tls.crt").read_bytes()
    assert second != first
    run("bash", MAKE_CERTS, "--out", out, check=True)
    assert (out / "tls.crt").read_bytes() != second, "10 days are less than a month"
    assert (out / "ca.crt").read_bytes() == authority


def test_other_names_make_another_certificate(tmp_path):
    out = tmp_path / "tls"
    run("bash", MAKE_CERTS, "--out", out, check=True)
    run("bash", MAKE_CERTS, "--out", out, "--namespace", "other", check=True)
    text = run("openssl", "x509", "-in", out / "tls.crt", "-noout", "-ext", "subjectAltName").stdout
    assert "DNS:ratify.other," in text
    assert "gatekeeper-system" not in text


def test_certificates_are_p256(tmp_path):
    run("bash", MAKE_CERTS, "--out", tmp_path / "tls", check=True)
    for name in ["ca.crt", "tls.crt"]:
        assert "prime256v1" in run("openssl", "x509", "-in", tmp_path / "tls" / name, "-noout", "-text").stdout


@pytest.mark.parametrize("arguments", [[], ["--out"], ["--out", ""], ["--colour", "red"], ["--out", "x", "--days", "soon"], ["--out", "x", "--service", "a;b"]])
def test_wrong_usage(tmp_path, arguments):
    result = run("bash", MAKE_CERTS, *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert "make-certs: " in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_scripts_are_executable():
    for script in ["rego/run-tests.sh", "manifests/generate.py", "manifests/check.sh", "manifests/make-certs.sh"]:
        assert os.access(ROOT / script, os.X_OK), script

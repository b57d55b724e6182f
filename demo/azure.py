#!/usr/bin/env python3
"""The main job on Azure, end to end, on an emulator of Azure on this machine.

Starts the emulator (token endpoint, container registry, key vault), signs images with a key in the vault by
`countersign sign --akv-key`, serves with a workload identity, the registry's tokens and the vault's certificates, asks as
Gatekeeper does, and prints a table. Between the questions the certificate rotates, a version is disabled, and the vault goes
down. Exits 0 only when every verdict is the right one.

Needs Python's standard library, and openssl. Everything it makes is in .demo/azure/. The program and the emulator are those
that ship and that the tests use: neither has a mode for this.
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import demo

HERE = demo.HERE / "azure"
SIGNATURE_TYPE = demo.SIGNATURE_TYPE
say = demo.say


class Emulator:
    """The emulator as a process: settings on its first lines, then commands and answers."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program, "--directory", HERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.settings = {}
        for line in self.process.stdout:
            if line == "ready\n":
                break
            name, value = line.rstrip("\n").split("=", 1)
            self.settings[name] = value
        else:
            sys.exit("demo: the emulator did not start")

    def __getitem__(self, name):
        return self.settings[name]

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        if answer.startswith("error") or not answer:
            sys.exit(f"demo: the emulator does not understand {command}: {answer}")
        return answer

    def environment(self):
        inherited = {name: value for name, value in os.environ.items()
                     if not name.lower().endswith("_proxy") and not name.startswith("AZURE_")}
        return {**inherited, **{name: value for name, value in self.settings.items() if not name.startswith("EMULATOR_")}}

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


def sign(countersign, emulator, repository, tag, version):
    """Signs with the vault's key; the signature goes where pushing is allowed, to the same contents."""
    demo.run(
        countersign, "sign", f"{emulator['EMULATOR_PLAIN_REGISTRY']}/{repository}:{tag}", "--plain-http",
        "--akv-key", f"{emulator['EMULATOR_VAULT']}/certificates/release/{version}", env=emulator.environment())


def configuration(emulator):
    return {
        "store": {"version": "1.0.0", "plugins": [{
            "name": "oras", "authProvider": {"name": "azureWorkloadIdentity", "endpoints": [emulator["EMULATOR_REGISTRY"]]}}]},
        "keyManagementProvider": {"plugins": [{
            "name": "vault", "type": "azurekeyvault", "vaultURI": emulator["EMULATOR_VAULT"],
            "tenantID": emulator["AZURE_TENANT_ID"], "clientID": emulator["AZURE_CLIENT_ID"], "refreshInterval": "1s",
            "certificates": [{"name": "release", "versionHistoryLimit": 3}]}]},
        "verifier": {"version": "1.0.0", "plugins": [{
            "name": "notation", "artifactTypes": SIGNATURE_TYPE, "verificationCertStores": {"ca": {"release": ["vault"]}},
            "trustPolicyDoc": {"version": "1.0", "trustPolicies": [{
                "name": "all", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
                "trustStores": ["ca:release"], "trustedIdentities": ["*"]}]}}]},
        "policy": {"version": "1.0.0",
                   "plugin": {"name": "configPolicy", "artifactVerificationPolicies": {SIGNATURE_TYPE: "any"}}},
    }


def start_provider(countersign, emulator, certificates):
    path, serving = HERE / "config.json", HERE / "tls"
    path.write_text(json.dumps(configuration(emulator), indent=2))
    serving.mkdir(exist_ok=True)
    shutil.copy(certificates["server"][2], serving / "tls.crt")
    shutil.copy(certificates["server"][0], serving / "tls.key")
    port, health = demo.free_port(), demo.free_port()
    process = subprocess.Popen(
        [countersign, "serve", "--http", f"127.0.0.1:{port}", "-c", path, "--cert-dir", serving,
         "--ca-cert-file", certificates["gatekeeper-ca"], "--cache-ttl", "0s",
         "--health-port", f"127.0.0.1:{health}", "--metrics-port", "127.0.0.1:0"],
        stdout=open(HERE / "provider.log", "w"), stderr=subprocess.STDOUT, env=emulator.environment())
    deadline = time.time() + 20
    while time.time() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", health, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process, port
        except OSError:
            pass
        time.sleep(0.02)
    process.kill()
    sys.exit(f"demo: the provider did not get ready:\n{(HERE / 'provider.log').read_text()}")


class Table:
    def __init__(self, port, certificates):
        self.port, self.certificates, self.wrong = port, certificates, 0

    def ask(self, image):
        answer, _ = demo.ask_as_gatekeeper(self.port, self.certificates, [image])
        response = answer["response"]
        item = next((item for item in response.get("items") or [] if item["key"] == image), None)
        admitted = bool(item and item.get("value") and item["value"].get("isSuccess") is True)
        return admitted, demo.explanation(item) if item else response.get("systemError") or "no answer"

    def row(self, image, what, must_admit, word=""):
        """Asks until the answer is the right one, for some seconds: the vault is looked at once a second."""
        deadline = time.time() + 15
        while True:
            admitted, why = self.ask(image)
            right = admitted == must_admit and word.lower() in why.lower()
            if right or time.time() > deadline:
                break
            time.sleep(0.2)
        self.wrong += not right
        verdict = f"{'admit' if admitted else 'deny':<9}"
        if sys.stdout.isatty():
            verdict = f"\033[{32 if admitted else 31}m{verdict}\033[0m"
        say(f"  {image.split('/', 1)[1]:<19}{what:<58}{verdict}{why[:110]}{'' if right else '   <-- WRONG'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--countersign", required=True, help="the countersign command")
    parser.add_argument("--emulator", required=True, help="the azure-emulator command")
    options = parser.parse_args()
    (demo.HERE / "keys").mkdir(parents=True, exist_ok=True)
    HERE.mkdir(exist_ok=True)
    certificates = demo.make_certificates()
    emulator = Emulator(options.emulator)
    process = None
    try:
        registry, foreign = emulator["EMULATOR_REGISTRY"], emulator["EMULATOR_FOREIGN_REGISTRY"]
        say(f"Azure on this machine: registry {registry}, vault {emulator['EMULATOR_VAULT']}")
        first, _ = emulator.tell("certificate release").split(" ", 1)
        for tag in ["first", "second", "unsigned"]:
            emulator.tell(f"image shop/web {tag}")
        say("The vault signs shop/web:first (countersign sign --akv-key); its key stays there")
        sign(options.countersign, emulator, "shop/web", "first", first)
        process, port = start_provider(options.countersign, emulator, certificates)
        say(f"Provider: https://localhost:{port}, workload identity, tokens for the registry, certificates from the vault\n")
        table = Table(port, certificates)
        say(f"  {'image':<19}{'what it is':<58}{'verdict':<9}why")
        web = f"{registry}/shop/web"
        table.row(f"{web}:first", "signed with the vault's certificate", True)
        table.row(f"{web}:unsigned", "never signed", False, "no signature")
        second, _ = emulator.tell("certificate release").split(" ", 1)
        sign(options.countersign, emulator, "shop/web", "second", second)
        table.row(f"{web}:second", "the certificate rotated: signed with the new version", True)
        table.row(f"{web}:first", "signed with the former version, not signed again", True)
        emulator.tell(f"disable {first}")
        table.row(f"{web}:first", "the former version was disabled", False)
        table.row(f"{web}:second", "the new version goes on", True)
        emulator.tell("vault down")
        time.sleep(2.5)
        table.row(f"{web}:second", "the vault is down: the last good set stays in force", True)
        emulator.tell("vault up")
        table.row(f"{foreign}/shop/web:second", "in a registry outside endpoints: asked without a token", False, "no credentials")
        sent = emulator.tell("authorized")
        say(f"\nRequests with credentials that the registry outside endpoints got: {sent}")
        table.wrong += sent != "0"
        if table.wrong:
            sys.exit(f"demo: {table.wrong} not right; see {HERE / 'provider.log'}")
        say("Every verdict is the right one.")
    finally:
        if process:
            process.terminate()
            process.wait(timeout=15)
        emulator.stop()


if __name__ == "__main__":
    main()

"""A stand-in for the az command: it keeps a subscription, answers from it, changes it, and remembers every call. Queries
are evaluated by the JMESPath library that az uses too. What it does not know it refuses, so that a script cannot call
something that nobody looked at.

The command itself is a few lines of bash that ask this process: to start Python for every call would take a minute."""

import json
import re
import socketserver
import threading

import jmespath

PROGRAM = """#!/usr/bin/env bash
exec 3<>/dev/tcp/127.0.0.1/PORT
printf '%s\\n' "$#" "$@" >&3
read -r status <&3
while IFS= read -r line <&3; do
    case "$line" in o*) printf '%s\\n' "${line#o}" ;; *) printf '%s\\n' "${line#e}" >&2 ;; esac
done
exit "$status"
"""
# The words that az answers to, with what they must have and may have.
COMMON = {"output", "subscription", "query"}
COMMANDS = {
    "account show": ((), ()),
    "aks list": ((), ("resource-group",)),
    "aks show": (("resource-group", "name"), ()),
    "aks update": (("resource-group", "name"), ("enable-oidc-issuer", "enable-workload-identity")),
    "acr list": ((), ("resource-group",)),
    "acr show": (("name",), ()),
    "identity list": ((), ("resource-group",)),
    "identity show": (("name", "resource-group"), ()),
    "identity create": (("name", "resource-group"), ("location",)),
    "identity federated-credential list": (("identity-name", "resource-group"), ()),
    "identity federated-credential create": (
        ("name", "identity-name", "resource-group"), ("issuer", "subject", "audiences")),
    "identity federated-credential update": (
        ("name", "identity-name", "resource-group"), ("issuer", "subject", "audiences")),
    "role assignment list": ((), ("scope", "role", "include-inherited")),
    "role assignment create": (("role", "scope"), ("assignee-object-id", "assignee-principal-type")),
    "keyvault list": ((), ()),
    "keyvault show": (("name",), ()),
    "keyvault create": (("name", "resource-group"), ("location", "enable-rbac-authorization")),
    "keyvault set-policy": (
        ("name", "object-id"), ("certificate-permissions", "key-permissions", "secret-permissions")),
    "keyvault certificate list": (("vault-name",), ()),
    "keyvault certificate show": (("vault-name", "name"), ()),
    "keyvault certificate create": (("vault-name", "name", "policy"), ()),
    "ad signed-in-user show": ((), ()),
}
FLAGS = {"include-inherited", "enable-oidc-issuer", "enable-workload-identity"}


class Failure(Exception):
    def __init__(self, message, status):
        super().__init__(message)
        self.status = status


def fail(message, status=1):
    raise Failure(f"ERROR: {message}", status)


def parse(arguments):
    words = []
    while arguments and not arguments[0].startswith("-"):
        words.append(arguments.pop(0))
    command = " ".join(words)
    if command not in COMMANDS:
        fail(f"'{command}' is misspelled or not recognized by the system.", 2)
    required, optional = COMMANDS[command]
    options = {}
    while arguments:
        option = arguments.pop(0).removeprefix("--")
        if option not in COMMON | set(required) | set(optional):
            fail(f"unrecognized arguments: --{option}", 2)
        values = []
        while arguments and not arguments[0].startswith("--"):
            values.append(arguments.pop(0))
        if (not values) != (option in FLAGS):
            fail(f"argument --{option}: wrong number of values", 2)
        options[option] = values if option.endswith("-permissions") else values[0] if values else True
    missing = [name for name in required if name not in options]
    if missing:
        fail(f"the following arguments are required: {missing}", 2)
    return command, options


def named(items, name, what):
    found = next((item for item in items if item["name"] == name), None)
    if found is None:
        fail(f"({what}NotFound) {name} was not found.", 3)
    return found


def answer(state, command, options):
    name = options.get("name")
    if command == "account show":
        if not state["account"]:
            fail("Please run 'az login' to setup account.")
        return state["account"]
    if command.startswith("aks"):
        if command == "aks list":
            return state["clusters"]
        cluster = named(state["clusters"], name, "Resource")
        if command == "aks update":
            cluster["oidcIssuerProfile"] = {"enabled": True, "issuerUrl": state["issuer"]}
            cluster["securityProfile"] = {"workloadIdentity": {"enabled": True}}
        return cluster
    if command.startswith("acr"):
        return state["registries"] if command == "acr list" else named(state["registries"], name, "Resource")
    if command.startswith("identity federated-credential"):
        identity = named(state["identities"], options["identity-name"], "Resource")
        credentials = identity["credentials"]
        if command.endswith("list"):
            return credentials
        value = {"name": name, "issuer": options["issuer"], "subject": options["subject"],
                 "audiences": [options["audiences"]]}
        others = [one for one in credentials if one["name"] != name]
        if any((one["issuer"], one["subject"]) == (value["issuer"], value["subject"]) for one in others):
            fail("Issuer and subject combination already exists for this Managed Identity.")
        if command.endswith("update"):
            named(credentials, name, "Resource")
        identity["credentials"] = others + [value]
        return value
    if command.startswith("identity"):
        if command == "identity list":
            return state["identities"]
        if command == "identity create":
            state["identities"].append({
                "name": name, "id": f"/identities/{name}", "clientId": "c" * 8, "principalId": "p" * 8,
                "location": options["location"], "credentials": []})
        return named(state["identities"], name, "Resource")
    if command == "role assignment list":
        return [one for one in state["assignments"]
                if one["role"] == options["role"] and options["scope"].startswith(one["scope"])]
    if command == "role assignment create":
        value = {"id": f"/assignments/{len(state['assignments'])}", "principalId": options["assignee-object-id"],
                 "type": options["assignee-principal-type"], "role": options["role"], "scope": options["scope"]}
        state["assignments"].append(value)
        return value
    if command.startswith("keyvault certificate"):
        vault = named(state["vaults"], options["vault-name"], "Vault")
        if command.endswith("list"):
            return vault["certificates"]
        if command.endswith("show"):
            return named(vault["certificates"], name, "Certificate")
        if state["forbidden"] > 0:
            state["forbidden"] -= 1
            fail("(Forbidden) Caller is not authorized to perform action on resource.")
        with open(options["policy"].removeprefix("@")) as file:
            policy = json.load(file)
        policy = {to_camel(key): value for key, value in policy.items()}
        vault["certificates"].append({"name": name, "id": f"/certificates/{name}", "policy": policy})
        return policy
    if command.startswith("keyvault"):
        if command == "keyvault list":
            # As az answers: without the properties.
            return [{"name": vault["name"], "id": vault["id"]} for vault in state["vaults"]]
        if command == "keyvault create":
            state["vaults"].append({
                "name": name, "id": f"/vaults/{name}", "certificates": [], "properties": {
                    "enableRbacAuthorization": options["enable-rbac-authorization"] == "true", "accessPolicies": [],
                    "vaultUri": f"https://{name}.vault.azure.net/"}})
        vault = named(state["vaults"], name, "Vault")
        if command == "keyvault set-policy":
            if vault["properties"]["enableRbacAuthorization"]:
                fail("Cannot set policies to a vault with '--enable-rbac-authorization' specified")
            policies = vault["properties"]["accessPolicies"]
            policy = next((one for one in policies if one["objectId"] == options["object-id"]), None)
            if policy is None:
                policy = {"objectId": options["object-id"], "permissions": {}}
                policies.append(policy)
            for kind in ["certificate", "key", "secret"]:
                if f"{kind}-permissions" in options:
                    policy["permissions"][f"{kind}s"] = options[f"{kind}-permissions"]
        return vault
    if command == "ad signed-in-user show":
        return {"id": "11111111-2222-3333-4444-555555555555"}
    raise AssertionError(command)


def to_camel(name):
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def tsv(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "\n".join(tsv(one) for one in value)
    return str(value)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        count = int(self.rfile.readline())
        arguments = [self.rfile.readline().decode()[:-1] for _ in range(count)]
        status, lines = self.server.fake.call(arguments)
        self.wfile.write("".join(f"{line}\n" for line in [status, *lines]).encode())


class FakeAz:
    """The subscription, and the calls so far."""

    def __init__(self, program, state):
        self.state, self.calls = state, []
        self.server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.server.fake = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        program.write_text(PROGRAM.replace("PORT", str(self.server.server_address[1])))
        program.chmod(0o755)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def call(self, arguments):
        """Exit status, and lines of output (o) and errors (e)."""
        self.calls.append(list(arguments))
        try:
            command, options = parse(list(arguments))
            if command in self.state["broken"]:
                fail("(InternalServerError) Something went wrong.")
            result = answer(self.state, command, options)
        except Failure as failure:
            return failure.status, [f"e{failure}"]
        if "query" in options:
            result = jmespath.search(options["query"], result)
        form = options.get("output", "json")
        text = "" if form == "none" else tsv(result) if form == "tsv" else json.dumps(result)
        return 0, [f"o{line}" for line in text.splitlines()]

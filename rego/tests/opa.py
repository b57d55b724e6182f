"""The templates on Open Policy Agent itself, which is what Gatekeeper evaluates with: what it says, and what it costs.

Its library is a Go one with a C interface; `external_data` is registered as a built-in function, as Gatekeeper does it, so
calls are counted. OPA 1 reads Rego v1 only, so the template's text is written in that: every rule gets its `if`, every
partial set its `contains`. Nothing else differs between the two for what the templates use.
"""

import ctypes
import functools
import json
import re

from engine import ROOT, package, template_rego

LIBRARY = ROOT / "rego" / ".venv" / "opa" / "opa_bindings" / "libopabridge.so"
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint64, ctypes.c_char_p, ctypes.c_char_p)


def as_v1(rego):
    """Rego v0, as rego/ has it, in the words of v1."""

    def line(text):
        if not text or text[0] in " \t#" or not text.endswith(" {") or text.endswith(":= {"):
            return text
        return re.sub(r"^([a-z_]+)\[(.*)\] if \{$", r"\1 contains \2 if {", text[:-1] + "if {")

    return "\n".join(line(text) for text in rego.split("\n"))


@functools.lru_cache(maxsize=None)
def _library():
    library = ctypes.CDLL(str(LIBRARY))
    text = ctypes.c_char_p
    signatures = {
        "OpaNew": (ctypes.c_uint64, []),
        "OpaDestroy": (None, [ctypes.c_uint64]),
        "OpaFreeString": (None, [ctypes.c_void_p]),
        "OpaAddPolicy": (ctypes.c_void_p, [ctypes.c_uint64, text, text]),
        "OpaRegisterBuiltin": (ctypes.c_void_p, [ctypes.c_uint64, text, ctypes.c_int, CALLBACK]),
        "OpaEvalDocument": (ctypes.c_void_p, [ctypes.c_uint64, text, text, ctypes.c_int, ctypes.c_int]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


@functools.lru_cache(maxsize=None)
def _malloc():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return libc.malloc


class OpenPolicyAgent:
    """One template in an engine of its own."""

    def __init__(self, template):
        self.rule = f"{package(template)}.violation"
        # None: the call has no value, as in Gatekeeper when there is no Provider object of that name.
        self.response = None
        self.questions = []
        # Kept, for the engine has only its address.
        self._callback = CALLBACK(self._external_data)
        self._engine = _library().OpaNew()
        self._call("OpaAddPolicy", b"policy.rego", as_v1(template_rego(template)).encode())
        self._call("OpaRegisterBuiltin", b"external_data", 1, self._callback)

    def _call(self, name, *arguments):
        pointer = getattr(_library(), name)(self._engine, *arguments)
        try:
            envelope = json.loads(ctypes.string_at(pointer))
        finally:
            _library().OpaFreeString(pointer)
        assert not envelope.get("error"), envelope["error"]
        return envelope

    def _external_data(self, engine, name, arguments):
        self.questions.append(json.loads(arguments)[0])
        body = {"result": self.response[0]} if self.response is not None else {"error": "there is no such provider"}
        text = json.dumps(body).encode()
        # The engine takes it over and frees it.
        buffer = _malloc()(len(text) + 1)
        ctypes.memmove(buffer, text + b"\0", len(text) + 1)
        return buffer

    def prepare(self, review, parameters=None):
        """A question, for evaluate."""
        found = {"parameters": parameters} if parameters is not None else {}
        if review is not None:
            found["review"] = review
        return json.dumps(found).encode()

    def evaluate(self, document, answer=None, answered=True, trace=False):
        """The messages of all violations, and how many steps the evaluation took when it is traced."""
        self.response, self.questions = (answer,) if answered else None, []
        envelope = self._call("OpaEvalDocument", self.rule.encode(), document, 0, int(trace))
        found = envelope["result"][0]["expressions"][0]["value"]
        return sorted(violation["msg"] for violation in found), len(envelope.get("trace") or [])

    def messages(self, review, answer=None, parameters=None, answered=True):
        found, _ = self.evaluate(self.prepare(review, parameters), answer, answered)
        assert len(self.questions) <= 1, f"asked {len(self.questions)} times"
        return found


@functools.lru_cache(maxsize=None)
def agent(template):
    return OpenPolicyAgent(template)

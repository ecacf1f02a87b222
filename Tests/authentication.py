"""SPF, DKIM and ARC by pyspf, dkimpy and authres, for tests: Harness/AuthenticationPeers.swift asks.

Each line of standard input is a question in JSON, and each line of standard output its answer. Names come from the
question and never from DNS. Octets (messages, keys) are in base64.
"""

import base64
import importlib.metadata
import json
import sys

import authres
import dkim
import spf


class Names:
    """{"example.com": {"TXT": ["one", ["two ", "strings"]], "MX": [[10, "mx"]], "A": [...]}, "x": "SERVFAIL"}"""

    def __init__(self, names):
        self.names = {name.lower().rstrip("."): records for name, records in names.items()}

    def find(self, name, kind):
        records = self.names.get(name.lower().rstrip("."), {})
        if records == "SERVFAIL":
            raise LookupError(name)
        return records.get(kind, [])

    def txt(self, name, timeout=5):
        """For dkimpy: octets of the first record, or nothing."""
        try:
            records = self.find(name.decode() if isinstance(name, bytes) else name, "TXT")
        except LookupError as error:
            raise dkim.DnsTimeoutError(str(error)) from error
        return b"".join(strings(records[0])) if records else None

    def spf(self, name, kind, strict=True, timeout=20):
        """For pyspf."""
        try:
            records = self.find(name, kind)
            aliases = self.find(name, "CNAME")
        except LookupError as error:
            raise spf.TempError(f"DNS {error}") from error
        if kind == "TXT":
            records = [strings(record) for record in records]
        elif kind == "MX":
            records = [tuple(record) for record in records]
        return [((name, "CNAME"), alias) for alias in aliases] + [((name, kind), record) for record in records]


def strings(record):
    return [part.encode("latin-1") for part in ([record] if isinstance(record, str) else record)]


def octets(question, key):
    return base64.b64decode(question[key])


def text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def spf_check(question):
    names = Names(question["names"])
    spf.DNSLookup = names.spf
    query = spf.query(
        i=question["ip"], s=question["sender"], h=question["helo"], receiver=question.get("receiver", "mx.example.test"),
        strict=1, timeout=20, querytime=0)
    result, _, explanation = query.check()
    return {"result": result, "explanation": explanation, "problem": str(getattr(query, "perm_error", None) or "")}


def dkim_sign(question):
    field = dkim.sign(
        octets(question, "message"), question["selector"].encode(), question["domain"].encode(), octets(question, "key"),
        identity=question["identity"].encode() if "identity" in question else None,
        canonicalize=tuple(part.encode() for part in question.get("canonicalization", "relaxed/relaxed").split("/")),
        signature_algorithm=question.get("algorithm", "rsa-sha256").encode(),
        include_headers=[name.encode() for name in question["headers"]] if "headers" in question else None,
        length=question.get("length", False))
    return {"fields": [text(field)]}


def dkim_verify(question):
    names = Names(question["names"])
    verifier = dkim.DKIM(octets(question, "message"), minkey=question.get("minimumBits", 1024))
    signatures = [value for name, value in verifier.headers if name.lower() == b"dkim-signature"]
    answers = []
    for index in range(len(signatures)):
        answer = {"valid": False, "domain": "", "selector": "", "error": ""}
        try:
            answer["valid"] = bool(verifier.verify(idx=index, dnsfunc=names.txt))
        except dkim.DKIMException as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        except Exception as error:  # dkimpy lets those of others through for fields that are no tag lists
            answer["error"] = f"{type(error).__name__}: {error}"
        try:
            tags = dkim.parse_tag_value(signatures[index])
            answer["domain"] = text(tags.get(b"d", b""))
            answer["selector"] = text(tags.get(b"s", b""))
        except Exception:  # Not a tag list.
            pass
        answers.append(answer)
    return {"signatures": answers}


def arc_sign(question):
    fields = dkim.arc_sign(
        octets(question, "message"), question["selector"].encode(), question["domain"].encode(), octets(question, "key"),
        question["server"].encode(),
        include_headers=[name.encode() for name in question["headers"]] if "headers" in question else None,
        timestamp=question.get("timestamp"))
    return {"fields": [text(field) for field in fields]}


def arc_verify(question):
    names = Names(question["names"])
    result, _, reason = dkim.arc_verify(octets(question, "message"), dnsfunc=names.txt)
    return {"result": text(result) or "none", "reason": reason}


def authentication_results(question):
    """What an independent reader makes of a field."""
    header = authres.AuthenticationResultsHeader.parse(question["field"])
    results = [
        {
            "method": result.method,
            "result": result.result,
            "reason": result.reason or "",
            "properties": {f"{item.type}.{item.name}": item.value for item in result.properties},
        }
        for result in header.results
    ]
    return {"server": header.authserv_id, "results": results}


def versions(question):
    return {name: importlib.metadata.version(name) for name in ("dkimpy", "pynacl", "dnspython", "authres")} | {
        "pyspf": spf.__version__}


TASKS = {
    task.__name__: task
    for task in (spf_check, dkim_sign, dkim_verify, arc_sign, arc_verify, authentication_results, versions)
}

for line in sys.stdin:
    question = json.loads(line)
    try:
        answer = TASKS[question["task"]](question)
    except Exception as error:  # The test decides what a failure means.
        answer = {"failure": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)

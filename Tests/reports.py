"""Reads a message with a report as its receivers do, and says in JSON what it has found. The message comes on standard
input; `reports.py tls` reads one on TLS, `reports.py tlsdocument` its document alone, and `reports.py gunzip`
only unpacks."""

import datetime
import email
import email.policy
import gzip
import ipaddress
import json
import sys

from lxml import etree

# RFC 7489 Appendix C, but for the namespace, which neither its examples nor its senders use.
SCHEMA = """<?xml version="1.0"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:complexType name="DateRangeType"><xs:all>
  <xs:element name="begin" type="xs:integer"/><xs:element name="end" type="xs:integer"/>
</xs:all></xs:complexType>
<xs:complexType name="ReportMetadataType"><xs:sequence>
  <xs:element name="org_name" type="xs:string"/><xs:element name="email" type="xs:string"/>
  <xs:element name="extra_contact_info" type="xs:string" minOccurs="0"/>
  <xs:element name="report_id" type="xs:string"/><xs:element name="date_range" type="DateRangeType"/>
  <xs:element name="error" type="xs:string" minOccurs="0" maxOccurs="unbounded"/>
</xs:sequence></xs:complexType>
<xs:simpleType name="AlignmentType"><xs:restriction base="xs:string">
  <xs:enumeration value="r"/><xs:enumeration value="s"/>
</xs:restriction></xs:simpleType>
<xs:simpleType name="DispositionType"><xs:restriction base="xs:string">
  <xs:enumeration value="none"/><xs:enumeration value="quarantine"/><xs:enumeration value="reject"/>
</xs:restriction></xs:simpleType>
<xs:complexType name="PolicyPublishedType"><xs:all>
  <xs:element name="domain" type="xs:string"/><xs:element name="adkim" type="AlignmentType" minOccurs="0"/>
  <xs:element name="aspf" type="AlignmentType" minOccurs="0"/><xs:element name="p" type="DispositionType"/>
  <xs:element name="sp" type="DispositionType"/>NP<xs:element name="pct" type="xs:integer"/>
  <xs:element name="fo" type="xs:string"/>
</xs:all></xs:complexType>
<xs:simpleType name="DMARCResultType"><xs:restriction base="xs:string">
  <xs:enumeration value="pass"/><xs:enumeration value="fail"/>
</xs:restriction></xs:simpleType>
<xs:simpleType name="PolicyOverrideType"><xs:restriction base="xs:string">
  <xs:enumeration value="forwarded"/><xs:enumeration value="sampled_out"/>
  <xs:enumeration value="trusted_forwarder"/><xs:enumeration value="mailing_list"/>
  <xs:enumeration value="local_policy"/><xs:enumeration value="other"/>
</xs:restriction></xs:simpleType>
<xs:complexType name="PolicyOverrideReason"><xs:all>
  <xs:element name="type" type="PolicyOverrideType"/><xs:element name="comment" type="xs:string" minOccurs="0"/>
</xs:all></xs:complexType>
<xs:complexType name="PolicyEvaluatedType"><xs:sequence>
  <xs:element name="disposition" type="DispositionType"/><xs:element name="dkim" type="DMARCResultType"/>
  <xs:element name="spf" type="DMARCResultType"/>
  <xs:element name="reason" type="PolicyOverrideReason" minOccurs="0" maxOccurs="unbounded"/>
</xs:sequence></xs:complexType>
<xs:complexType name="RowType"><xs:all>
  <xs:element name="source_ip" type="xs:string"/><xs:element name="count" type="xs:integer"/>
  <xs:element name="policy_evaluated" type="PolicyEvaluatedType" minOccurs="1"/>
</xs:all></xs:complexType>
<xs:complexType name="IdentifierType"><xs:all>
  <xs:element name="envelope_to" type="xs:string" minOccurs="0"/>
  <xs:element name="envelope_from" type="xs:string"/><xs:element name="header_from" type="xs:string"/>
</xs:all></xs:complexType>
<xs:simpleType name="DKIMResultType"><xs:restriction base="xs:string">
  <xs:enumeration value="none"/><xs:enumeration value="pass"/><xs:enumeration value="fail"/>
  <xs:enumeration value="policy"/><xs:enumeration value="neutral"/><xs:enumeration value="temperror"/>
  <xs:enumeration value="permerror"/>
</xs:restriction></xs:simpleType>
<xs:complexType name="DKIMAuthResultType"><xs:all>
  <xs:element name="domain" type="xs:string"/><xs:element name="selector" type="xs:string" minOccurs="0"/>
  <xs:element name="result" type="DKIMResultType"/><xs:element name="human_result" type="xs:string" minOccurs="0"/>
</xs:all></xs:complexType>
<xs:simpleType name="SPFDomainScope"><xs:restriction base="xs:string">
  <xs:enumeration value="helo"/><xs:enumeration value="mfrom"/>
</xs:restriction></xs:simpleType>
<xs:simpleType name="SPFResultType"><xs:restriction base="xs:string">
  <xs:enumeration value="none"/><xs:enumeration value="neutral"/><xs:enumeration value="pass"/>
  <xs:enumeration value="fail"/><xs:enumeration value="softfail"/><xs:enumeration value="temperror"/>
  <xs:enumeration value="permerror"/>
</xs:restriction></xs:simpleType>
<xs:complexType name="SPFAuthResultType"><xs:all>
  <xs:element name="domain" type="xs:string"/><xs:element name="scope" type="SPFDomainScope"/>
  <xs:element name="result" type="SPFResultType"/>
</xs:all></xs:complexType>
<xs:complexType name="AuthResultType"><xs:sequence>
  <xs:element name="dkim" type="DKIMAuthResultType" minOccurs="0" maxOccurs="unbounded"/>
  <xs:element name="spf" type="SPFAuthResultType" minOccurs="1" maxOccurs="unbounded"/>
</xs:sequence></xs:complexType>
<xs:complexType name="RecordType"><xs:sequence>
  <xs:element name="row" type="RowType"/><xs:element name="identifiers" type="IdentifierType"/>
  <xs:element name="auth_results" type="AuthResultType"/>
</xs:sequence></xs:complexType>
<xs:element name="feedback"><xs:complexType><xs:sequence>
  <xs:element name="version" type="xs:decimal"/><xs:element name="report_metadata" type="ReportMetadataType"/>
  <xs:element name="policy_published" type="PolicyPublishedType"/>
  <xs:element name="record" type="RecordType" maxOccurs="unbounded"/>
</xs:sequence></xs:complexType></xs:element>
</xs:schema>
"""
# Policies for domains that do not exist came with RFC 9091.
NP = '<xs:element name="np" type="DispositionType" minOccurs="0"/>'


def plain(element):
    """An element as text or as its children; what can be repeated as a list."""
    if len(element) == 0:
        return element.text or ""
    children = {}
    for child in element:
        if child.tag in ("record", "reason") or (element.tag == "auth_results"):
            children.setdefault(child.tag, []).append(plain(child))
        else:
            children[child.tag] = plain(child)
    return children


def problems(root):
    schema = etree.XMLSchema(etree.fromstring(SCHEMA.replace("NP", NP if root.find(".//np") is not None else "").encode()))
    return [] if schema.validate(root) else [str(error) for error in schema.error_log]


# RFC 8460 section 4.4: what each object may have, and what it must.
TLS_KEYS = {
    "report": ({"organization-name", "date-range", "contact-info", "report-id", "policies"}, set()),
    "date-range": ({"start-datetime", "end-datetime"}, set()),
    "entry": ({"policy", "summary", "failure-details"}, set()),
    "policy": ({"policy-type", "policy-domain"}, {"policy-string", "mx-host"}),
    "summary": ({"total-successful-session-count", "total-failure-session-count"}, set()),
    "failure": (
        {"result-type", "failed-session-count"},
        {"sending-mta-ip", "receiving-mx-hostname", "receiving-mx-helo", "receiving-ip", "additional-information",
         "failure-reason-code"}),
}
RESULT_TYPES = {
    "starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted",
    "validation-failure", "tlsa-invalid", "dnssec-invalid", "dane-required", "sts-policy-fetch-error",
    "sts-policy-invalid", "sts-webpki-invalid",
}


def unique(pairs):
    """An object of JSON; a key twice is none."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError(f"a key is repeated: {pairs}")
    return dict(pairs)


def tls_problems(report):
    found = []

    def claim(holds, *what):
        if not holds:
            found.append(" ".join(str(part) for part in what))

    def check(kind, value):
        needed, allowed = TLS_KEYS[kind]
        claim(needed <= set(value) <= needed | allowed, kind, sorted(value))

    check("report", report)
    check("date-range", report["date-range"])
    for text in report["date-range"].values():
        claim(len(text) == 20 and text.endswith("Z") and datetime.datetime.fromisoformat(text), "date", text)
    claim(len({json.dumps(entry["policy"]) for entry in report["policies"]}) == len(report["policies"]), "policy twice")
    for entry in report["policies"]:
        check("entry", entry)
        check("policy", entry["policy"])
        check("summary", entry["summary"])
        claim(entry["policy"]["policy-type"] in ("tlsa", "sts", "no-policy-found"), entry["policy"])
        for key in ("policy-string", "mx-host"):
            claim(all(isinstance(text, str) for text in entry["policy"].get(key, [])), key)
        for failure in entry["failure-details"]:
            check("failure", failure)
            claim(failure["result-type"] in RESULT_TYPES, failure)
            for key in ("sending-mta-ip", "receiving-ip"):
                if key in failure:
                    ipaddress.ip_address(failure[key])
        total = sum(failure["failed-session-count"] for failure in entry["failure-details"])
        claim(total == entry["summary"]["total-failure-session-count"], "failures", total)
    return found


def read_tls(octets):
    """What there is to say of a document, gzip or not."""
    document = gzip.decompress(octets) if octets[:2] == b"\x1f\x8b" else octets
    report = json.loads(document.decode("utf-8", "strict"), object_pairs_hook=unique)
    return {"problems": tls_problems(report), "report": report}


def described(message, parts):
    return {
        "header": {name: str(value) for name, value in message.items()},
        "defects": [str(defect) for part in message.walk() for defect in part.defects],
        "attachments": len(parts),
        "type": parts[0].get_content_type(),
        "name": parts[0].get_param("name"),
        "fileName": parts[0].get_filename(),
    }


def main():
    octets = sys.stdin.buffer.read()
    if sys.argv[1:] == ["gunzip"]:
        sys.stdout.buffer.write(gzip.decompress(octets))
        return
    if sys.argv[1:] == ["tlsdocument"]:
        json.dump(read_tls(octets), sys.stdout)
        return
    message = email.message_from_bytes(octets, policy=email.policy.default)
    parts = [part for part in message.walk() if part.get_filename()]
    if sys.argv[1:] == ["tls"]:
        kinds = [message.get_content_type(), message.get_param("report-type")]
        kinds += [part.get_content_type() for part in message.iter_parts()]
        json.dump(described(message, parts) | {"kinds": kinds} | read_tls(parts[0].get_content()), sys.stdout)
        return
    document = gzip.decompress(parts[0].get_content())
    root = etree.fromstring(document)
    json.dump(described(message, parts) | {"problems": problems(root), "feedback": plain(root)}, sys.stdout)


main()

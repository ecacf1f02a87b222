"""Reads a message with a report as its receivers do, and says in JSON what it has found. The message comes on standard
input; `reports.py gunzip` only unpacks."""

import email
import email.policy
import gzip
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


def main():
    octets = sys.stdin.buffer.read()
    if sys.argv[1:] == ["gunzip"]:
        sys.stdout.buffer.write(gzip.decompress(octets))
        return
    message = email.message_from_bytes(octets, policy=email.policy.default)
    parts = [part for part in message.walk() if part.get_filename()]
    document = gzip.decompress(parts[0].get_content())
    root = etree.fromstring(document)
    json.dump(
        {
            "header": {name: str(value) for name, value in message.items()},
            "defects": [str(defect) for part in message.walk() for defect in part.defects],
            "attachments": len(parts),
            "type": parts[0].get_content_type(),
            "name": parts[0].get_param("name"),
            "fileName": parts[0].get_filename(),
            "problems": problems(root),
            "feedback": plain(root),
        }, sys.stdout)


main()

import Mail

/// What is fuzzed: one parser each, with what must hold of it whatever it is given.
///
/// The same checks run under libFuzzer (`Tests/fuzz.sh`) and, over the corpora and mutations of them, with the tests.
/// An input is the text or stream itself, so that a corpus can be written and read by people; what else a check
/// needs, such as where a stream is cut, follows from the input.
package enum FuzzTarget: String, CaseIterable, Sendable {
    // Streams.
    case line, session, data, bdat, header, checks, reply, client, proxy, policy, mime, zip, dkim, authresults
    // Lines and values.
    case command, address, xtext, ip, timestamp, options, dnsbl, inline, spf, spfmacro, taglist, dkimkey, dmarc,
        fromfield, rua, stsrecord, tlsrpt, scram, tlspolicy, query, procstatus
    // Files and messages.
    case table, cidr, pattern, route, configuration, record, pass, dns, control, log, pgsql, verify, cases,
        restrictions, greylist, observation, stspolicy, stsentry, logline, postfixmain

    /// Those whose parser recurses, as that of YAML does, or is slow.
    private static let shorter: Set<FuzzTarget> = [
        .command, .configuration, .control, .log, .logline, .pattern, .pgsql, .cases, .restrictions, .postfixmain,
    ]

    /// Single values, which are never long.
    private static let short: Set<FuzzTarget> = [
        .address, .xtext, .ip, .timestamp, .options, .route, .dnsbl, .pass, .inline, .greylist, .spfmacro, .rua,
        .stsrecord, .tlsrpt, .scram, .tlspolicy, .query, .procstatus,
    ]

    private static let streams: Set<FuzzTarget> = [
        .line, .session, .data, .bdat, .header, .checks, .reply, .client, .proxy, .policy, .mime, .zip, .dkim,
        .authresults,
    ]

    /// The longest input that is worth while, in octets.
    package var maximumBytes: Int {
        Self.short.contains(self) ? 512 : Self.shorter.contains(self) ? 2048 : 4096
    }

    /// Whether the input comes in pieces, so that arrivals mean anything.
    package var isStream: Bool { Self.streams.contains(self) }

    /// - Throws: what does not hold. What must not happen at all, such as an overflow, traps.
    package func check(_ bytes: [UInt8]) throws(Violation) {
        try self.check(bytes, arriving: [.single, .random(seed: fingerprint(of: bytes))])
    }

    /// - Parameter arrivals: ways in which a stream may come, all of which must lead to the same as if it came at once.
    package func check(_ bytes: [UInt8], arriving arrivals: [Arrival]) throws(Violation) {
        switch self {
        case .line: try checkLines(bytes, arrivals)
        case .session: try checkServerSession(bytes, arrivals)
        case .data: try checkData(bytes, arrivals)
        case .bdat: try checkChunks(bytes, arrivals)
        case .header: try checkHeader(bytes, arrivals)
        case .checks: try checkContentRules(bytes, arrivals)
        case .reply: try checkReplies(bytes, arrivals)
        case .client: try checkClientSession(bytes, arrivals)
        case .proxy: try checkProxyHeader(bytes, arrivals)
        case .policy: try checkPolicyAnswers(bytes, arrivals)
        case .mime: try checkMIME(bytes, arrivals)
        case .zip: try checkZip(bytes, arrivals)
        case .dkim: try checkSignedMessage(bytes, arrivals)
        case .authresults: try checkAuthenticationResults(bytes, arrivals)
        case .dmarc: try checkDMARCRecord(bytes)
        case .fromfield: try checkFromField(bytes)
        case .command: try checkCommand(bytes)
        case .address: try checkAddress(bytes)
        case .xtext: try checkXText(bytes)
        case .ip: try checkIPAddress(bytes)
        case .timestamp: try checkTimestamp(bytes)
        case .options: try checkOptions(bytes)
        case .dnsbl: try checkDNSBLSite(bytes)
        case .taglist: try checkTagList(bytes)
        case .dkimkey: try checkKeyRecord(bytes)
        case .table: try checkTable(bytes)
        case .cidr: try checkCIDRTable(bytes)
        case .pattern: try checkPatternTable(bytes)
        case .inline: try checkInlineTable(bytes)
        case .route: try checkRoute(bytes)
        case .configuration: try checkConfiguration(bytes)
        case .record: try checkRecord(bytes)
        case .pass: try checkPassRecord(bytes)
        case .pgsql: try checkPgsqlFile(bytes)
        case .verify: try checkVerifyRecord(bytes)
        case .scram: try checkSCRAM(bytes)
        case .rua: try checkReportURIs(bytes)
        case .tlsrpt: try checkTLSReportRecord(bytes)
        case .tlspolicy: try checkTLSPolicy(bytes)
        case .query: try checkQueueQuery(bytes)
        case .observation: try checkObservations(bytes)
        case .stsrecord: try checkSTSRecord(bytes)
        case .stspolicy: try checkSTSPolicy(bytes)
        case .stsentry: try checkSTSEntry(bytes)
        case .greylist: try checkGreylist(bytes)
        case .cases: try checkCases(bytes)
        case .restrictions: try checkRestrictions(bytes)
        case .dns: try checkDNSMessage(bytes)
        case .control: try checkControl(bytes)
        case .spf: try checkSPFRecord(bytes)
        case .spfmacro: try checkSPFMacros(bytes)
        case .log: try checkLog(bytes)
        case .logline: try checkLogLine(bytes)
        case .procstatus: try checkProcessStatus(bytes)
        case .postfixmain: try checkPostfixMain(bytes)
        }
    }
}

/// Something does not hold that must.
package struct Violation: Error, CustomStringConvertible {
    package let description: String
}

func require(_ claim: Bool, _ description: @autoclosure () -> String) throws(Violation) {
    guard claim else { throw Violation(description: description()) }
}

/// For descriptions: octets as text that can be read.
func shown(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self).debugDescription }

/// No octet could end a line or a string anywhere.
func holdsNoLineEnd(_ text: String) -> Bool { !text.utf8.contains { $0 == 13 || $0 == 10 || $0 == 0 } }

/// Neither a CR without LF nor an LF without CR.
func hasOnlyWholeLineEnds(_ bytes: [UInt8]) -> Bool {
    bytes.indices.allSatisfy { index in
        switch bytes[index] {
        case ASCII.carriageReturn: index + 1 < bytes.count && bytes[index + 1] == ASCII.lineFeed
        case ASCII.lineFeed: index > 0 && bytes[index - 1] == ASCII.carriageReturn
        default: true
        }
    }
}

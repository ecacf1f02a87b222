/// A parser, and what must be true of it whatever it is given.
///
/// The same functions run in three places: on the corpus and on mutants of it in `FuzzTests`, and under libFuzzer with
/// `make fuzz`.
package enum FuzzTarget: String, CaseIterable, Sendable {
    case line, command, session, data, address, domain, reply, client, xtext, header, ip, option
    case table, transport, configuration, control
    case message, progress
    case dns

    /// - Throws: ``FuzzFailure`` if a property does not hold.
    package func check(_ bytes: [UInt8]) throws {
        switch self {
        case .line: try SMTPProperties.line(bytes)
        case .command: try SMTPProperties.command(bytes)
        case .session: try SessionProperties.session(bytes)
        case .data: try SMTPProperties.data(bytes)
        case .reply: try SMTPProperties.reply(bytes)
        case .client: try ClientProperties.client(bytes)
        case .xtext: try SMTPProperties.xtext(bytes)
        case .address: try MailProperties.address(bytes)
        case .domain: try MailProperties.domain(bytes)
        case .header: try MailProperties.header(bytes)
        case .ip: try MailProperties.address(ofHost: bytes)
        case .option: try MailProperties.option(bytes)
        case .table: try FileProperties.table(bytes)
        case .transport: try FileProperties.transport(bytes)
        case .configuration: try FileProperties.configuration(bytes)
        case .control: FileProperties.control(bytes)
        case .message: try RecordProperties.message(bytes)
        case .progress: try RecordProperties.progress(bytes)
        case .dns: try DNSProperties.message(bytes)
        }
    }
}

/// A property that did not hold.
package struct FuzzFailure: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

func require(_ condition: Bool, _ claim: @autoclosure () -> String) throws {
    guard condition else { throw FuzzFailure(claim()) }
}

/// Cuts an input into pieces whose lengths follow from its octets, so that a fuzzer can choose them.
func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var result: [ArraySlice<UInt8>] = []
    var start = 0
    while start < bytes.count {
        let end = min(bytes.count, start + 1 + Int(bytes[start]) % 7)
        result.append(bytes[start..<end])
        start = end
    }
    return result
}

extension [UInt8] {
    /// Whether a CR or LF stands alone.
    var hasBareLineEnding: Bool {
        self.indices.contains { index in
            switch self[index] {
            case 13: index + 1 == self.count || self[index + 1] != 10
            case 10: index == 0 || self[index - 1] != 13
            default: false
            }
        }
    }
}

import Inflate
import Mail

/// What one domain is told of one day, as a document and as a message with it.
package protocol DailyReport: Sendable {
    static var format: ReportFormat { get }

    var reporter: Reporter { get }
    var day: ReportDay { get }
    /// Whom it is about.
    var domain: String { get }
    /// The end of its file name.
    var fileSuffix: String { get }
    /// Fields that messages with reports of this kind have.
    var headerFields: [String] { get }

    /// Hands over the document in pieces.
    func write(_ handOver: (_ piece: [UInt8]) -> Void)
}

/// What reports of a kind have in common.
package struct ReportFormat: Sendable {
    /// In a sentence for people.
    let title: String
    /// What tells reports of this kind from others on the same domain and day; empty, or with a dot at its end.
    let mark: String
    /// Of the message, and of the packed document.
    let messageType: String
    let mediaType: String
    /// What its message wants of connections.
    let tls: TLSRequirement
}

extension DailyReport {
    /// The same for the same host, domain and day, so that who gets a report twice can tell.
    package var reportID: String { self.identifier("") }

    /// - Parameter part: what stands behind the time; empty, or with a dot at its end.
    func identifier(_ part: String) -> String {
        "\(self.day.start.seconds).\(part)\(Self.format.mark)\(self.domain)@\(self.reporter.hostname)"
    }

    /// RFC 7489 §7.2.1.1 and RFC 8460 §5.1.
    package var fileName: String {
        let (begin, end) = (self.day.start.seconds, self.day.lastSecond.seconds)
        return "\(self.reporter.hostname)!\(self.domain)!\(begin)!\(end)\(self.fileSuffix)"
    }

    /// The document.
    package var text: [UInt8] {
        var output: [UInt8] = []
        self.write { output += $0 }
        return output
    }

    /// The same as gzip, without ever holding the document; nil if there is no memory.
    package func packed() -> [UInt8]? {
        guard let writer = GzipWriter() else { return nil }
        var output: [UInt8] = []
        self.write { writer.write($0, to: &output) }
        writer.finish(&output)
        return output
    }
}

package import Foundation
import Mail

/// A message that a command puts into the queue as mail of our own.
package struct SubmitRequest: Codable, Sendable {
    /// Empty for the null reverse-path.
    package var from: String
    package var to: [String]
    /// Lines ended by CRLF.
    package var content: Data

    package init(from: String, to: [String], content: [UInt8]) {
        self.from = from
        self.to = to
        self.content = Data(content)
    }
}

/// What became of it.
package struct SubmitReport: Codable, Sendable {
    package var id: String
}

extension SubmitRequest {
    enum Problem: Error, Hashable {
        case notAMailbox(String)
        case noRecipients
        /// Content without a header, or with a bare CR or LF, which a next hop could take for something else.
        case badContent
    }

    /// The envelope. Nobody is told when mail from the null reverse-path cannot be delivered, so nothing is asked for.
    func envelope() throws(Problem) -> Envelope {
        guard !self.to.isEmpty else { throw .noRecipients }
        var path = ReversePath.null
        if !self.from.isEmpty {
            guard let mailbox = Mailbox(self.from) else { throw .notAMailbox(self.from) }
            path = .mailbox(mailbox)
        }
        var envelope = Envelope(reversePath: path, parameters: MailParameters())
        var parameters = RecipientParameters()
        if path == .null { parameters.notify = .never }
        for text in self.to {
            guard let mailbox = Mailbox(text) else { throw .notAMailbox(text) }
            envelope.recipients.append(Recipient(mailbox, parameters: parameters))
        }
        return envelope
    }

    func checkedContent() throws(Problem) -> [UInt8] {
        let bytes = Array(self.content)
        guard bytes.suffix(2) == [ASCII.carriageReturn, ASCII.lineFeed] else { throw .badContent }
        for index in bytes.indices {
            switch bytes[index] {
            case ASCII.lineFeed where index == 0 || bytes[index - 1] != ASCII.carriageReturn: throw .badContent
            case ASCII.carriageReturn where index + 1 == bytes.count || bytes[index + 1] != ASCII.lineFeed:
                throw .badContent
            case 0: throw .badContent
            case _: break
            }
        }
        return bytes
    }
}

extension ControlCommands {
    /// Takes a message like a report of ours: signed, and without what clients' mail is asked.
    func submit(_ request: SubmitRequest?, _ output: any ControlOutput) async throws -> ControlEnd {
        guard let request else { return ControlEnd(status: 2, message: "nothing to submit") }
        let envelope: Envelope
        let content: [UInt8]
        do {
            envelope = try request.envelope()
            content = try request.checkedContent()
        } catch {
            switch error {
            case .notAMailbox(let text): return ControlEnd(status: 2, message: "'\(text)' is not a mail address")
            case .noRecipients: return ControlEnd(status: 2, message: "a message without recipients")
            case .badContent: return ControlEnd(status: 2, message: "the content has bare line ends")
            }
        }
        let id = try await self.submission(envelope, content)
        try await output.write(SubmitReport(id: id.description))
        return ControlEnd(status: 0)
    }
}

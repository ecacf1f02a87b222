import Mail
import Resolver

@testable import Queue

/// What stands on a damaged disk.
enum RecordProperties {
    /// What can be read is written as the same.
    static func message(_ bytes: [UInt8]) throws {
        let id = QueueID(value: 1)
        guard let message = try? bytes.withUnsafeBytes({ try QueuedMessage(id: id, record: $0, progress: nil) }) else {
            return
        }
        let encoded = message.encoded()
        let again = try encoded.withUnsafeBytes { try QueuedMessage(id: id, record: $0, progress: nil) }
        try require(again.encoded() == encoded, "written otherwise the second time")
        try require(again.envelope == message.envelope, "another envelope")
    }

    static func progress(_ bytes: [UInt8]) throws {
        guard let progress = try? bytes.withUnsafeBytes({ try Progress(record: $0) }) else { return }
        let encoded = progress.encoded()
        let again = try encoded.withUnsafeBytes { try Progress(record: $0) }
        try require(again.encoded() == encoded, "written otherwise the second time")
        _ = progress.occupiedLanes
        _ = progress.waiting
    }
}

enum DNSProperties {
    static func message(_ bytes: [UInt8]) throws {
        guard let message = try? DNSMessage(parsing: bytes) else { return }
        for record in message.answers + message.authority {
            try require(record.ttl >= .zero, "a negative TTL")
            try require(record.owner.text.utf8.count <= 1024, "an endless name")
        }
        _ = message.result(security: .insecure)
    }
}

import Foundation

/// A folder of delivered messages.
package struct Maildir: Sendable {
    package let path: String

    /// What was delivered, in the order of arrival. Messages within a few milliseconds may be swapped: the clock of the
    /// file system is no finer.
    package func messages() throws -> [DeliveredMessage] {
        self.count == 0 ? [] : try filesByTime(in: self.folder).map(DeliveredMessage.init)
    }

    package var count: Int {
        // There is no folder before the first message.
        (try? FileManager.default.contentsOfDirectory(atPath: self.folder).count) ?? 0
    }

    private var folder: String { "\(self.path)/new" }

    /// Waits until as many messages are there.
    ///
    /// - Throws: also when there are more.
    @discardableResult
    package func wait(for count: Int, within limit: Duration = .seconds(30)) throws -> [DeliveredMessage] {
        try eventually("message \(count), there are \(self.count)", within: limit) { self.count >= count }
        let messages = try self.messages()
        guard messages.count == count else { throw HarnessError("\(messages.count) messages instead of \(count)") }
        return messages
    }
}

/// The contents of files in the order of their last change. A file that goes away meanwhile is left out.
func filesByTime(in folder: String) throws -> [[UInt8]] {
    let dated = try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { name in
        var facts = stat()
        let path = "\(folder)/\(name)"
        guard stat(path, &facts) == 0, let data = FileManager.default.contents(atPath: path) else {
            return nil as Dated?
        }
        return Dated(time: (facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec, facts.st_ino), bytes: Array(data))
    }
    return dated.sorted { $0.time < $1.time }.map(\.bytes)
}

private struct Dated {
    /// Of files from one instant, the older mostly has the lower inode.
    let time: (Int, Int, UInt)
    let bytes: [UInt8]
}

/// A message as it was delivered; its lines end with LF, as everywhere in a Maildir.
package struct DeliveredMessage: Hashable, Sendable {
    package let bytes: [UInt8]

    package var text: String { String(decoding: self.bytes, as: UTF8.self) }

    /// What the primary was given: the octets below the fields that it put on top, the last of which is its Received.
    package var content: [UInt8] {
        var inReceived = false
        var start = 0
        while start < self.bytes.count {
            let line = self.bytes[start...]
            let isFolded = line.first == UInt8(ascii: " ") || line.first == UInt8(ascii: "\t")
            if inReceived, !isFolded { return Array(line) }
            inReceived = inReceived || line.prefix(9).elementsEqual("Received:".utf8)
            start = (line.firstIndex(of: UInt8(ascii: "\n")) ?? self.bytes.count - 1) + 1
        }
        return []
    }

    /// The value of the first field of that name in the whole header, folded lines joined; nil if there is none.
    package func field(_ name: String) -> String? {
        let header = self.text.components(separatedBy: "\n\n")[0]
        let unfolded = header.replacingOccurrences(of: "\n[ \t]+", with: " ", options: .regularExpression)
        let line = unfolded.components(separatedBy: "\n").first { $0.lowercased().hasPrefix("\(name.lowercased()):") }
        return line.map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
    }
}

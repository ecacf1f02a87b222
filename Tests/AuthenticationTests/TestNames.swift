import Authentication
import Mail
import Synchronization

/// Names for tests, with a count of the questions. What it does not have does not exist.
final class TestNames: Sendable {
    private let replies: [NameQuery: NameReply]
    private let asked = Mutex<[NameQuery]>([])

    init(_ replies: [NameQuery: NameReply]) {
        self.replies = replies
    }

    /// TXT records, one a name.
    convenience init(texts: [String: String]) {
        self.init(
            Dictionary(uniqueKeysWithValues: texts.map { (NameQuery($0, .txt), .texts([Array($1.utf8)])) }))
    }

    var questions: [NameQuery] { self.asked.withLock { $0 } }

    var source: NameSource {
        NameSource { query in
            self.asked.withLock { $0.append(query) }
            if let reply = self.replies[query] { return reply }
            return self.replies.keys.contains { $0.name == query.name } ? .noRecords : .noSuchName
        }
    }
}

import Authentication
import Mail
import Synchronization

/// Names for tests, with a count of the questions. What it does not have does not exist.
final class TestNames: Sendable {
    private let replies: [NameQuery: NameReply]
    private let asked = Mutex<[NameQuery]>([])
    private let underWay = Mutex((now: 0, most: 0))

    init(_ replies: [NameQuery: NameReply]) {
        self.replies = replies
    }

    /// TXT records, one a name.
    convenience init(texts: [String: String]) {
        self.init(
            Dictionary(uniqueKeysWithValues: texts.map { (NameQuery($0, .txt), .texts([Array($1.utf8)])) }))
    }

    var questions: [NameQuery] { self.asked.withLock { $0 } }

    /// How many questions waited for their answers at the same time.
    var mostAtOnce: Int { self.underWay.withLock { $0.most } }

    /// The same names, which let others ask before they answer.
    var slowSource: NameSource {
        let source = self.source
        return NameSource { query in
            self.underWay.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            defer { self.underWay.withLock { $0.now -= 1 } }
            for _ in 0..<100 { await Task.yield() }
            return await source.ask(query)
        }
    }

    var source: NameSource {
        NameSource { query in
            self.asked.withLock { $0.append(query) }
            if let reply = self.replies[query] { return reply }
            return self.replies.keys.contains { $0.name == query.name } ? .noRecords : .noSuchName
        }
    }
}

import Foundation
import FuzzTargets
import Testing

/// Every parser on its corpus, and on mutants of it. `make fuzz` looks further, and adds what it finds to the corpus.
struct CorpusTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fuzz/Corpus")

    private static func corpus(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = Self.folder.appendingPathComponent(target.rawValue)
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map {
            ($0, Array(try Data(contentsOf: folder.appendingPathComponent($0))))
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func `what is true of a parser is true of its corpus, whole and cut off anywhere`(target: FuzzTarget) throws {
        let corpus = try Self.corpus(of: target)
        #expect(!corpus.isEmpty)
        for (name, bytes) in corpus {
            #expect(throws: Never.self, "\(name)") { try target.check(bytes) }
            for end in 0..<min(bytes.count, 300) {
                #expect(throws: Never.self, "\(name) cut off after \(end)") { try target.check(Array(bytes[..<end])) }
            }
        }
    }

    @Test(arguments: FuzzTarget.allCases)
    func `and of mutants of it`(target: FuzzTarget) throws {
        let corpus = try Self.corpus(of: target).map(\.bytes)
        var mutator = Mutator(seed: 5321)
        for _ in 0..<1500 {
            let mutant = mutator.mutant(of: corpus)
            do { try target.check(mutant) } catch {
                Issue.record("\(error): \(Data(mutant).base64EncodedString())")
                return
            }
        }
    }
}

/// Changes inputs, always in the same way for the same seed.
private struct Mutator {
    private var state: UInt64
    private static let words = [
        "\r\n", "\n", "\r", ".", "\r\n.\r\n", "\u{0}", "\"", "\\", "<", ">", "@", "[", "]", ":", "%", "=", "+", " ",
        "é", "-",
        "IPv6:", "999999999999999999999", "RCPT TO:<a@b>\r\n", "BDAT 3 LAST\r\n", "XN--", "Received:",
    ].map { Array($0.utf8) }

    init(seed: UInt64) {
        self.state = seed
    }

    private mutating func next(_ bound: Int) -> Int {
        // SplitMix64.
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ (value >> 31)) % UInt64(max(bound, 1)))
    }

    mutating func mutant(of corpus: [[UInt8]]) -> [UInt8] {
        var bytes = Array(corpus[self.next(corpus.count)].prefix(2000))
        for _ in 0...self.next(4) {
            let place = self.next(bytes.count + 1)
            switch self.next(6) {
            case 0: bytes.insert(UInt8(self.next(256)), at: place)
            case 1: bytes.insert(contentsOf: Self.words[self.next(Self.words.count)], at: place)
            case 2: bytes.removeSubrange(place..<min(bytes.count, place + self.next(8)))
            case 3 where place < bytes.count: bytes[place] ^= UInt8(1 << self.next(8))
            case 4:
                let other = corpus[self.next(corpus.count)]
                bytes.insert(contentsOf: other.suffix(self.next(other.count + 1)), at: place)
            default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + self.next(40))], at: place)
            }
        }
        return bytes
    }
}

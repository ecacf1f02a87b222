import Authentication
import Crypto
import Dispatch
import Mail
import Synchronization

/// Tags stand where they say, and what was read can be written and read again.
func checkTagList(_ bytes: [UInt8]) throws(Violation) {
    guard let list = try? TagList(bytes[...]) else { return }
    try require(!list.tags.isEmpty && Set(list.tags.map(\.name)).count == list.tags.count, "\(list)")
    for tag in list.tags {
        let text = String(decoding: bytes[tag.range], as: UTF8.self)
        try require(tag.value.isEmpty || text.contains(tag.value), "\(tag) is not in \(text.debugDescription)")
        try require(!tag.value.utf8.contains(UInt8(ascii: ";")), "\(tag)")
        try require(list.tag(tag.name) == tag, "\(tag) is not found")
        if let compact = list.compact(tag.name), let octets = Base64.decode(compact) {
            try require(Base64.decode(Base64.encode(octets)) == octets, "\(compact) in base64")
        }
        if case .some(.some(let number)) = list.number(tag.name, maximumDigits: 76) {
            try require(number >= 0, "\(tag) is \(number)")
        }
    }
    let written = list.tags.map { "\($0.name) = \($0.value)" }.joined(separator: " ;\r\n ")
    let again = try? TagList(Array(written.utf8)[...])
    try require(again?.tags.map(\.value) == list.tags.map(\.value), "\(shown(bytes)) is written \(written)")
}

/// A record holds a key for one algorithm at most, of a length that is allowed; it signed nothing that was made up.
func checkKeyRecord(_ bytes: [UInt8]) throws(Violation) {
    let rsa = try? KeyRecord(bytes, for: .rsaSHA256)
    let ed25519 = try? KeyRecord(bytes, for: .ed25519SHA256)
    try require(rsa == nil || ed25519 == nil, "two kinds of keys in \(shown(bytes))")
    if let rsa { try require(rsa.key.kind == .rsa && KeyRecord.rsaBits.contains(rsa.key.bits), shown(bytes)) }
    if let ed25519 { try require(ed25519.key.kind == .ed25519 && ed25519.key.bits == 256, shown(bytes)) }
    let digest = [UInt8](repeating: 1, count: 32)
    for record in [rsa, ed25519] {
        guard let key = record?.key else { continue }
        try require(!key.verifies(Array(bytes.prefix(key.bits / 8)), digest: digest), "forged: \(shown(bytes))")
    }
}

/// Whatever a message is and however it comes, it is digested the same, can be signed and sealed, and verifies then.
func checkSignedMessage(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    guard let tools = try? SigningTools() else { throw Violation(description: "no keys") }
    let message = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        let digester = MessageDigester(needing: SigningTools.hashings, limits: SigningTools.limits)
        for piece in pieces { piece.withUnsafeBytes { digester.feed($0) } }
        return digester.finish()
    }
    try require(!message.isHeaderTooLarge && message.bodyHashes.count >= 2, "\(shown(bytes)) was not digested")
    let joined = message.header.fields.map(\.bytes).joined(separator: Array("\r\n".utf8))
    try require(bytes.starts(with: joined), "fields of \(shown(bytes))")
    let (results, chain) = tools.verify(message)
    try require(results.count == message.header.fields(named: "dkim-signature").count, "\(results)")
    try require(results.allSatisfy { $0.outcome != .pass || $0.signedFields.contains("from") }, "\(results)")
    try require((chain.outcome == .pass) == (chain.oldestPass != nil), "\(chain)")
    // A first line that begins with a blank belongs to whatever is put above it.
    guard bytes.first.map(ASCII.isBlank) != true else { return }
    try checkSigning(bytes, message, chain, tools)
}

private func checkSigning(
    _ bytes: [UInt8], _ message: DigestedMessage, _ chain: ARCResult, _ tools: SigningTools
) throws(Violation) {
    for form in [Canonicalization.simple, .relaxed] {
        guard let field = try? tools.signer(form).fields(for: message, at: SigningTools.now) else {
            throw Violation(description: "\(shown(bytes)) cannot be signed")
        }
        let (results, _) = tools.verify(SigningTools.digest(Array(field.utf8) + bytes))
        try require(results.first?.outcome == .pass, "\(form) of \(shown(bytes)): \(results)")
    }
    let results = [String(decoding: bytes.prefix(200), as: UTF8.self)]
    guard let fields = try? tools.sealer.fields(for: message, chain: chain, results: results, at: SigningTools.now)
    else { throw Violation(description: "\(shown(bytes)) cannot be sealed") }
    let (_, sealed) = tools.verify(SigningTools.digest(Array(fields.utf8) + bytes))
    try require(sealed.outcome == (chain.outcome == .fail ? .fail : .pass), "\(shown(bytes)): \(sealed)")
    try require(sealed.outcome != .pass || sealed.sets.count == chain.sets.count + 1, "\(sealed)")
}

/// One key for everything; the corpus has messages that were signed with it.
private struct SigningTools {
    static let now = Timestamp(seconds: 1_700_000_000)
    static let hashings = [BodyHashing(.simple), BodyHashing(.relaxed)]

    /// Inputs are short, but may be all fields.
    static let limits: MessageLimits = {
        var limits = MessageLimits()
        limits.fields = 10_000
        limits.signatures = 4
        return limits
    }()

    private let key: SigningKey
    private let names: NameSource
    let sealer: ARCSealer

    init() throws {
        guard let domain = DomainName("example.test"), let selector = DomainName("sel") else {
            throw Violation(description: "no names")
        }
        self.key = SigningKey(domain: domain, selector: selector, key: try PrivateKey(ed25519: [UInt8](1...32)))
        let record = Array(try self.key.record().text.utf8)
        self.names = NameSource { $0.name == "sel._domainkey.example.test" ? .texts([record]) : .noSuchName }
        self.sealer = ARCSealer(key: self.key, authservID: domain)
    }

    static func digest(_ content: [UInt8]) -> DigestedMessage {
        MessageDigester.digest(content, needing: Self.hashings, limits: Self.limits)
    }

    func signer(_ form: Canonicalization) -> DKIMSigner {
        var options = DKIMSigner.Options()
        (options.headerForm, options.bodyForm) = (form, form)
        return DKIMSigner(keys: [self.key], options: options)
    }

    /// Waits for what never waits: the names are here.
    func verify(_ message: DigestedMessage) -> ([DKIMResult], ARCResult) {
        let box = Box()
        let names = self.names
        Task.detached {
            let results = await DKIMVerifier(names: names, now: Self.now).results(for: message)
            let chain = await ARCVerifier(names: names, now: Self.now).result(for: message)
            box.found.withLock { $0 = (results, chain) }
            box.semaphore.signal()
        }
        box.semaphore.wait()
        return box.found.withLock { $0 } ?? ([], ARCResult(.none))
    }

    private final class Box: Sendable {
        let found = Mutex<([DKIMResult], ARCResult)?>(nil)
        let semaphore = DispatchSemaphore(value: 0)
    }
}

internal import Crypto
package import Mail

/// Verifies the ARC chain of a message (RFC 8617 §5.2).
package struct ARCVerifier: Sendable {
    private let names: NameSource
    private let now: Timestamp

    package init(names: NameSource, now: Timestamp) {
        self.names = names
        self.now = now
    }

    package func result(for message: DigestedMessage) async -> ARCResult {
        guard !message.isHeaderTooLarge else { return ARCResult(.fail, reason: "the header is too large") }
        do throws(SignatureProblem) {
            guard let chain = try ARCChain(message.header) else { return ARCResult(.none) }
            var result = ARCResult(.fail)
            result.sets = chain.describe(message.header)
            await self.verify(chain, message, &result)
            return result
        } catch {
            return ARCResult(.fail, reason: error.reason)
        }
    }

    /// Steps 2 to 6. What needs no key comes first, and the keys of old sets last, a few at a time: whoever makes fifty
    /// sets up should not get fifty questions asked for it.
    private func verify(_ chain: ARCChain, _ message: DigestedMessage, _ result: inout ARCResult) async {
        do throws(SignatureProblem) {
            try chain.checkValidations()
            guard let last = chain.sets.last else { return }
            try self.checkContent(last, message)
            var keys = KeyAnswers(message.limits)
            let names = [last.messageSignature.common.keyName, last.sealSignature.common.keyName]
            await keys.add(names, from: self.names)
            try self.checkMessageSignature(last, message, &keys)
            try Self.checkSeal(chain.sets[...], message.header, &keys)
            try await self.checkOlderSeals(chain, message, &keys)
            result.outcome = .pass
            result.unsignedBodyBytes = last.messageSignature.unsignedBodyBytes(of: message)
            result.oldestPass = await self.oldestPass(chain, message, &keys)
        } catch {
            result.reason = error.reason
            result.isTemporary = error.outcome == .temperror
        }
    }

    /// From the newest to the oldest. The first that does not hold ends it, and the questions.
    private func checkOlderSeals(
        _ chain: ARCChain, _ message: DigestedMessage, _ keys: inout KeyAnswers
    ) async throws(SignatureProblem) {
        var rest = chain.sets.dropLast()
        while !rest.isEmpty {
            let window = rest.suffix(KeyAnswers.window)
            await keys.add(window.map(\.sealSignature.common.keyName), from: self.names)
            for end in window.indices.reversed() {
                try Self.checkSeal(chain.sets[...end], message.header, &keys)
            }
            rest = rest.dropLast(KeyAnswers.window)
        }
    }

    /// What a message signature says without its key.
    private func checkContent(_ set: ARCChain.Set, _ message: DigestedMessage) throws(SignatureProblem) {
        if let expiration = set.expiration, expiration < self.now.seconds {
            throw SignatureProblem("a message signature has expired", .fail)
        }
        try set.messageSignature.checkBody(message)
    }

    private func checkMessageSignature(
        _ set: ARCChain.Set, _ message: DigestedMessage, _ keys: inout KeyAnswers
    ) throws(SignatureProblem) {
        let signature = set.messageSignature
        let last = message.header.fields[set.message].removing(signature.common.signatureRange)
        let fields = message.header.selected(by: signature.names, except: set.message)
        try Self.check(signature.common, fields, last, signature.headerForm, &keys, "message signature")
    }

    private static func checkSeal(
        _ sets: ArraySlice<ARCChain.Set>, _ header: MessageHeader, _ keys: inout KeyAnswers
    ) throws(SignatureProblem) {
        guard let set = sets.last, let (fields, last) = header.sealedFields(sets) else { return }
        try Self.check(set.sealSignature.common, fields, last, .relaxed, &keys, "seal \(sets.count)")
    }

    private static func check(
        _ signature: SignatureParameters, _ fields: [HeaderField], _ last: HeaderField, _ form: Canonicalization,
        _ keys: inout KeyAnswers, _ what: String
    ) throws(SignatureProblem) {
        let digest: [UInt8]
        do throws(CryptoError) {
            digest = try headerHash(of: fields, last: last, form: form)
        } catch {
            throw SignatureProblem("the header could not be hashed", .temperror)
        }
        let check = keys.check(signature, digest: digest)
        if let problem = check.problem { throw SignatureProblem("\(what): \(problem.reason)", problem.outcome) }
    }

    /// Step 4: older message signatures that hold tell who did not change the message. One that does not is no fault.
    /// Keys are asked for one by one: mostly they are there already, for they made a seal too.
    private func oldestPass(_ chain: ARCChain, _ message: DigestedMessage, _ keys: inout KeyAnswers) async -> Int {
        for (index, set) in chain.sets.enumerated().dropLast().reversed() {
            do throws(SignatureProblem) {
                try self.checkContent(set, message)
                await keys.add([set.messageSignature.common.keyName], from: self.names)
                try self.checkMessageSignature(set, message, &keys)
            } catch {
                return index + 2
            }
        }
        return 0
    }
}

extension ARCChain {
    /// Step 2 and 3.C: the first server found nothing, the others a chain that was well.
    fileprivate func checkValidations() throws(SignatureProblem) {
        if self.sets.last?.sealSignature.chainValidation == .fail {
            throw SignatureProblem("instance \(self.sets.count) found a chain that had failed", .fail)
        }
        for (index, set) in self.sets.enumerated()
        where set.sealSignature.chainValidation != (index == 0 ? .none : .pass) {
            throw SignatureProblem(
                "instance \(index + 1) cannot have found \(set.sealSignature.chainValidation)", .fail)
        }
    }

    fileprivate func describe(_ header: MessageHeader) -> [ARCSet] {
        self.sets.enumerated().map { index, set in
            ARCSet(
                instance: index + 1, chainValidation: set.sealSignature.chainValidation,
                domain: set.sealSignature.common.domain, selector: set.sealSignature.common.selector,
                messageDomain: set.messageSignature.common.domain,
                signsFrom: set.messageSignature.names.contains("from"),
                results: header.fields[set.results].textBehindInstance)
        }
    }
}

extension HeaderField {
    /// The value of an ARC-Authentication-Results from behind `i=…;`, with every run of white space as one space.
    fileprivate var textBehindInstance: String {
        let text = self.value.drop { $0 != UInt8(ascii: ";") }.dropFirst()
        let words = text.split { ASCII.isBlank($0) || $0 == ASCII.carriageReturn || $0 == ASCII.lineFeed }
        return words.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }
}

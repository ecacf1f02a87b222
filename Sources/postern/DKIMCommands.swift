import ArgumentParser
import Authentication
import Crypto
import Daemon
import Foundation
import Mail

struct DKIMCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dkim", abstract: "Verify and make DKIM signatures.",
        subcommands: [Verify.self, Sign.self, GenerateKey.self])

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Verify the signatures of a message; a line for each. Succeeds if one passes.")

        @Argument(help: "The file with the message; - for standard input.") var file: String
        @OptionGroup var names: NameArguments
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let message = try MessageSource(self.file).digest()
            let now = self.names.now
            let results = try await self.names.resolving { names in
                await DKIMVerifier(names: names, now: now).results(for: message)
            }
            if self.json {
                let report = Report(signatures: results.map { Report.Signature($0) })
                try Output.write(try ControlJSON.encode(report) + [ASCII.lineFeed])
            } else {
                for result in results { try Output.line(result.line) }
                if results.isEmpty { Output.complain("no signatures") }
            }
            guard results.contains(where: { $0.outcome == .pass }) else { throw CommandFailure(1) }
        }
    }

    struct Sign: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print a message with a signature above it.")

        @Argument(help: "The file with the message; - for standard input.") var file: String
        @OptionGroup var key: KeyArguments
        @Option(help: "The fields to sign, with colons between, instead of the usual ones.") var headers: String?
        @Option(help: "Take this for the time: seconds since 1970.") var time: Int64?

        func run() throws {
            var options = DKIMSigner.Options()
            options.names = self.headers?.split(separator: ":").map { $0.trimmingCharacters(in: .whitespaces) }
            let signer = DKIMSigner(keys: [try self.key.load()], options: options)
            let (content, hasCRLF) = try MessageSource(self.file).content()
            let now = self.time.map { Timestamp(seconds: $0) } ?? WallClock.system.now()
            let fields: String
            do { fields = try signer.fields(for: content, at: now) } catch { throw CommandFailure(1, error.message) }
            try Output.message(fields, above: content, hasCRLF: hasCRLF)
        }
    }

    struct GenerateKey: ParsableCommand {
        enum KeyType: String, ExpressibleByArgument { case rsa, ed25519 }

        static let configuration = CommandConfiguration(
            commandName: "genkey",
            abstract: "Make a key, and print its DNS record: as a line of a zone file, and its text alone.")

        @Option(help: "The domain that signs.") var domain: String
        @Option(help: "The name of the key in the domain.") var selector: String
        @Option(help: "rsa or ed25519.") var type = KeyType.rsa
        @Option(help: "The bits of an RSA key.") var bits = 2048
        @Option(help: "The file for the private key, which must not be there yet.") var out: String

        func validate() throws {
            guard (1024...8192).contains(self.bits) else { throw ValidationError("--bits must be 1024 to 8192") }
        }

        func run() throws {
            let (domain, selector) = try KeyArguments.names(domain: self.domain, selector: self.selector)
            do {
                let key =
                    switch self.type {
                    case .rsa: try PrivateKey.generateRSA(bits: self.bits)
                    case .ed25519: try PrivateKey.generateEd25519()
                    }
                let record = try SigningKey(domain: domain, selector: selector, key: key).record()
                try SigningKeyFile.create(self.out, key)
                try Output.line("\(record.name). IN TXT ( \(Self.strings(record.text)) )")
                try Output.line(record.text)
            } catch let error as CryptoError {
                throw CommandFailure(1, error.message)
            } catch let error as FileError {
                throw CommandFailure(2, "\(error)")
            }
        }

        /// A TXT record's strings have at most 255 octets each (RFC 1035 §3.3).
        private static func strings(_ text: String) -> String {
            var strings: [String] = []
            var rest = text[...]
            while !rest.isEmpty {
                strings.append("\"\(rest.prefix(255))\"")
                rest = rest.dropFirst(255)
            }
            return strings.joined(separator: " ")
        }
    }

    /// What `postern dkim verify --json` prints.
    struct Report: Encodable {
        struct Signature: Encodable {
            let result: String
            let reason: String
            let domain: String?
            let selector: String?
            let identity: String?
            let algorithm: String?
            let keyBits: Int?
            let signedFields: [String]
            let isTesting: Bool
            let unsignedBodyBytes: Int

            init(_ result: DKIMResult) {
                self.result = result.outcome.rawValue
                self.reason = result.reason
                self.domain = result.domain
                self.selector = result.selector
                self.identity = result.identity
                self.algorithm = result.algorithm?.rawValue
                self.keyBits = result.keyBits
                self.signedFields = result.signedFields
                self.isTesting = result.isTesting
                self.unsignedBodyBytes = result.unsignedBodyBytes
            }
        }

        let signatures: [Signature]
    }
}

extension DKIMResult {
    /// `pass d=example.com s=mail rsa-sha256 with 2048 bits`, in this order.
    fileprivate var line: String {
        var words = ["\(self.outcome)", "d=\(self.domain ?? "-")", "s=\(self.selector ?? "-")"]
        if !self.reason.isEmpty {
            words.append(self.reason)
        } else if let algorithm, let keyBits {
            words.append("\(algorithm.rawValue) with \(keyBits) bits")
        }
        if self.isTesting { words.append("(testing)") }
        return words.joined(separator: " ")
    }
}

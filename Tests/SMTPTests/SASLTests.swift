import Crypto
import Mail
import SMTP
import Testing

@Suite struct SCRAMTests {
    /// RFC 7677 §3.
    static let nonce = "rOprNGfwEbeRWgbNEkqO"
    static let serverFirst =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    static let clientFinal =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        + "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    static let serverFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

    private func exchange(_ user: String = "user", nonce: String = Self.nonce) -> SCRAMExchange {
        SCRAMExchange(user: user, password: "pencil", nonce: nonce)
    }

    @Test func `the example of RFC 7677 is followed octet by octet`() throws {
        var exchange = self.exchange()
        #expect(exchange.first == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        let derivation = try #require(try exchange.handle(Array(Self.serverFirst.utf8)))
        #expect(!exchange.isServerProved)
        #expect(try exchange.derived(try derivation.key()) == Self.clientFinal)
        #expect(!exchange.isServerProved)
        #expect(try exchange.handle(Array(Self.serverFinal.utf8)) == nil)
        #expect(exchange.isServerProved)
    }

    @Test func `a user may have the characters that separate`() {
        #expect(self.exchange("a=b,c", nonce: "n").first == "n,,n=a=3Db=2Cc,r=n")
    }

    static let badFirst = [
        "", ",", "=", "r", "r=", "hello", "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=4096",
        "s=AA==,r=rOprNGfwEbeRWgbNEkqOx,i=4096",
        // The nonce: ours alone, another, none.
        "r=rOprNGfwEbeRWgbNEkqO,s=AA==,i=4096", "r=rOprNGfwEbeRWgbNEkqP1,s=AA==,i=4096", "r=,s=AA==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO \u{7F},s=AA==,i=4096",
        // The salt: none, not base64.
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096", "r=rOprNGfwEbeRWgbNEkqOx,s=A,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=####,i=4096",
        // Iterations: too few, too many, no number.
        "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=4095", "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=1000001",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=99999999999999999999999", "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=-5000", "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=+5000",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AA==", "r=rOprNGfwEbeRWgbNEkqOx,s=AA==,i=4096,",
    ]

    @Test(arguments: Self.badFirst) func `a first message that is not to be trusted is refused`(message: String) {
        var exchange = self.exchange()
        #expect(throws: SASLFailure.self) { try exchange.handle(Array(message.utf8)) }
        #expect(!exchange.isServerProved)
    }

    @Test func `extensions behind the iterations are passed over`() throws {
        for count in [4096, 1_000_000] {
            var exchange = self.exchange()
            let message = "r=\(Self.nonce)x,s=AA==,i=\(count),x=whatever"
            let derivation = try #require(try exchange.handle(Array(message.utf8)))
            #expect(derivation.iterations == count)
            #expect(derivation.salt == [0])
        }
    }

    static let badFinal = [
        "", "v=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8=", "v=6rriTRBi23WpRR", "v=AAAA", "e=other-error",
        "x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "x=1,v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ]

    @Test(arguments: Self.badFinal) func `a server that does not prove itself is not believed`(message: String) throws {
        var exchange = self.exchange()
        let derivation = try #require(try exchange.handle(Array(Self.serverFirst.utf8)))
        _ = try exchange.derived(try derivation.key())
        #expect(throws: SASLFailure.self) { try exchange.handle(Array(message.utf8)) }
        #expect(!exchange.isServerProved)
    }

    @Test func `messages and keys out of turn are refused`() throws {
        var exchange = self.exchange()
        #expect(throws: SASLFailure.self) { try exchange.derived([1]) }
        let derivation = try #require(try exchange.handle(Array(Self.serverFirst.utf8)))
        #expect(throws: SASLFailure.self) { try exchange.handle(Array(Self.serverFinal.utf8)) }
        _ = try exchange.derived(try derivation.key())
        #expect(throws: SASLFailure.self) { try exchange.derived([1]) }
        _ = try exchange.handle(Array(Self.serverFinal.utf8))
        #expect(throws: SASLFailure.self) { try exchange.handle(Array(Self.serverFinal.utf8)) }
        #expect(exchange.isServerProved)
    }

    /// RFC 4231 §4.3, and RFC 7914 §11 for PBKDF2.
    @Test func `codes and keys are those of the standards`() throws {
        let code = try HMACSHA256.code(of: Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
        #expect(Self.hex(code) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let key = try PBKDF2.key(password: Array("passwd".utf8), salt: Array("salt".utf8), iterations: 1)
        #expect(Self.hex(key) == "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc")
        #expect(Array("abc".utf8).equalsInConstantTime(Array("abc".utf8)))
        #expect(!Array("abc".utf8).equalsInConstantTime(Array("abd".utf8)))
        #expect(!Array("abc".utf8).equalsInConstantTime(Array("ab".utf8)))
        #expect([UInt8]().equalsInConstantTime([]))
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

@Suite struct SASLExchangeTests {
    private func credentials(
        _ mechanisms: [SASLMechanism] = SASLMechanism.allCases, user: String = "user", password: String = "pencil"
    ) throws -> SASLCredentials {
        let credentials = SASLCredentials(
            user: user, password: password, mechanisms: mechanisms, nonce: { SCRAMTests.nonce })
        return try #require(credentials)
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func `the first of our mechanisms that the server has is taken`() throws {
        let all: Set<String> = ["LOGIN", "PLAIN", "SCRAM-SHA-256", "GSSAPI"]
        #expect(SASLExchange(try self.credentials(), announced: all)?.mechanism == .scramSHA256)
        #expect(SASLExchange(try self.credentials([.login, .plain]), announced: all)?.mechanism == .login)
        #expect(SASLExchange(try self.credentials(), announced: ["LOGIN"])?.mechanism == .login)
        #expect(SASLExchange(try self.credentials([.plain]), announced: ["LOGIN", "SCRAM-SHA-256"]) == nil)
        #expect(SASLExchange(try self.credentials(), announced: ["SCRAM-SHA-1", "CRAM-MD5"]) == nil)
        #expect(SASLExchange(try self.credentials([]), announced: all) == nil)
    }

    @Test func `PLAIN says everything at once, and to a challenge nothing more`() throws {
        var exchange = try #require(SASLExchange(try self.credentials([.plain]), announced: ["PLAIN"]))
        let command = exchange.command()
        #expect(self.text(command) == "AUTH PLAIN AHVzZXIAcGVuY2ls")
        #expect(exchange.isComplete)
        #expect(throws: SASLFailure.self) { try exchange.handle(challenge: []) }
    }

    @Test func `a response that is too long for the command waits for a challenge`() throws {
        let password = String(repeating: "x", count: 400)
        for mechanism in [SASLMechanism.plain, .scramSHA256] {
            let credentials = try self.credentials(
                [mechanism], user: mechanism == .plain ? "user" : password, password: password)
            var exchange = try #require(SASLExchange(credentials, announced: [mechanism.rawValue]))
            let command = exchange.command()
            #expect(self.text(command) == "AUTH \(mechanism.rawValue)")
            guard case .answer(let line) = try exchange.handle(challenge: Array("ignored".utf8)) else {
                Issue.record("no answer")
                continue
            }
            let said = try #require(Base64.decode(self.text(line)))
            #expect(
                self.text(said)
                    == (mechanism == .plain
                        ? "\0user\0\(password)" : "n,,n=\(password),r=\(SCRAMTests.nonce)"))
        }
    }

    @Test func `no command is longer than 512 octets`() throws {
        for length in 300...400 {
            let credentials = try self.credentials([.plain], password: String(repeating: "x", count: length))
            var exchange = try #require(SASLExchange(credentials, announced: ["PLAIN"]))
            let command = exchange.command()
            #expect(command.count + 2 <= 512)
            #expect((command.count > 10) == (11 + (length + 6 + 2) / 3 * 4 + 2 <= 512))
        }
    }

    @Test(arguments: ["VXNlcm5hbWU6", "", "Username:", "####", String(repeating: "A", count: 12_288)])
    func `LOGIN answers two challenges, whatever stands in them`(challenge: String) throws {
        var exchange = try #require(SASLExchange(try self.credentials([.login]), announced: ["LOGIN"]))
        let command = exchange.command()
        #expect(self.text(command) == "AUTH LOGIN")
        let user = try exchange.handle(challenge: Array(challenge.utf8))
        #expect(user == .answer(Array("dXNlcg==".utf8)))
        let password = try exchange.handle(challenge: Array(challenge.utf8))
        #expect(password == .answer(Array("cGVuY2ls".utf8)))
        #expect(throws: SASLFailure.self) { try exchange.handle(challenge: Array(challenge.utf8)) }
    }

    @Test(arguments: SASLMechanism.allCases)
    func `a challenge that is longer than the standard has it is refused`(mechanism: SASLMechanism) throws {
        var exchange = try #require(SASLExchange(try self.credentials(), announced: [mechanism.rawValue]))
        _ = exchange.command()
        let challenge = [UInt8](repeating: UInt8(ascii: "A"), count: 12_289)
        #expect(throws: SASLFailure.self) { try exchange.handle(challenge: challenge) }
    }

    @Test func `SCRAM goes over lines of base64, and its end is answered by an empty one`() throws {
        var exchange = try #require(SASLExchange(try self.credentials(), announced: ["SCRAM-SHA-256"]))
        let command = exchange.command()
        #expect(self.text(command) == "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=")
        let first = Array(Base64.encode(Array(SCRAMTests.serverFirst.utf8)).utf8)
        guard case .derive(let derivation) = try exchange.handle(challenge: first) else {
            Issue.record("nothing to derive")
            return
        }
        let line = try exchange.derived(try derivation.key())
        #expect(Base64.decode(self.text(line)).map(self.text) == SCRAMTests.clientFinal)
        #expect(!exchange.isComplete)
        let end = try exchange.handle(challenge: Array(Base64.encode(Array(SCRAMTests.serverFinal.utf8)).utf8))
        #expect(end == .answer([]))
        #expect(exchange.isComplete)
    }

    @Test(arguments: ["A", "####", "AAA", "cj0=x", "\u{0}", "r=plain,s=AA==,i=4096"])
    func `a challenge of SCRAM that is not base64 is refused`(challenge: String) throws {
        var exchange = try #require(SASLExchange(try self.credentials(), announced: ["SCRAM-SHA-256"]))
        #expect(throws: SASLFailure.self) { try exchange.handle(challenge: Array(challenge.utf8)) }
    }

    @Test func `what cannot be said is no credential`() {
        for (user, password) in [("", "x"), ("a\0b", "x"), ("a", "x\0"), ("a\r\nQUIT", "x"), ("a", "x\n")] {
            #expect(SASLCredentials(user: user, password: password) == nil)
        }
        #expect(SASLCredentials(user: "a", password: "") != nil)
    }

    @Test func `no way of printing shows the password`() throws {
        let credentials = try self.credentials(password: "sesame")
        var exchange = try #require(SASLExchange(credentials, announced: ["SCRAM-SHA-256"]))
        let challenge = Array(Base64.encode(Array(SCRAMTests.serverFirst.utf8)).utf8)
        let step = try exchange.handle(challenge: challenge)
        var permissions = ClientSession.Permissions()
        permissions.credentials = credentials
        let things: [Any] = [
            credentials, exchange, step, permissions, ClientSession(hostname: "x", permissions: permissions),
        ]
        for thing in things {
            var dumped = ""
            dump(thing, to: &dumped)
            for text in ["\(thing)", String(reflecting: thing), dumped] {
                #expect(!text.contains("sesame"))
                // As octets.
                #expect(!text.contains("115, 101, 115, 97, 109, 101"))
            }
        }
        #expect("\(credentials)".contains("user"))
    }

    @Test func `nonces are fresh and fit to be said`() {
        let nonces = Set((0..<100).map { _ in SASLCredentials.randomNonce() })
        #expect(nonces.count == 100)
        #expect(
            nonces.allSatisfy { $0.utf8.count == 24 && $0.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 44 } })
    }
}

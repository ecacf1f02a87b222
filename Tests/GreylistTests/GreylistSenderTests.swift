import Greylist
import Mail
import Testing

/// Which senders are one.
struct GreylistSenderTests {
    private func key(_ local: String) throws -> String {
        let key = GreylistSender.key(try path("\(local)@Client.EXAMPLE"))
        #expect(key.hasSuffix("@client.example"))
        return String(key.dropLast("@client.example".count))
    }

    @Test(arguments: [
        ("sender", "sender"), ("Sender", "sender"), ("first.last", "first.last"), ("\"quoted\"", "quoted"),
        // Extensions.
        ("list+bounce-17", "list"), ("+odd", "+odd"), ("user+a+b", "user"),
        // Numbers.
        ("bounce-4711", "bounce-#"), ("bounce-4711-5f3a", "bounce-#-#"), ("bounce_12_x", "bounce_#_x"),
        ("4711", "#"), ("anna1985", "anna1985"), ("user1", "user1"), ("dead", "dead"), ("b2b", "b2b"),
        ("bounces-x7f3qzk29m1p", "bounces-#"), ("msprvs1=abcdefghijklm=bounces", "msprvs1=abcdefghijklm=bounces"),
        (
            "0100018b8c3b2a1d-0a1b2c3d-4e5f-6789-9bcd-ef0123456789-000000", "#-#-#-#-#-#-#"
        ),
        ("list-return-123-user=example.test", "list-return-#-user=example.test"),
        // BATV.
        ("prvs=1234abcdef=user", "user"), ("prvs=user/1234abcdef", "user"), ("btv1==123abc==user", "user"),
        ("prvs=1234abcdef=a=b", "a=b"), ("prvs=1234abcdef=", "prvs=#="), ("prvs=", "prvs="), ("prvs", "prvs"),
        ("PRVS=9234abcdef=User+x", "user"),
        // SRS.
        ("SRS0=HHHH=TT=other.example=user", "other.example=user"),
        ("SRS0+HHHH=TT=other.example=user+ext", "other.example=user"),
        ("SRS0-aB3d=7Y=other.example=us=er", "other.example=us=er"),
        ("SRS1=HHHH=relay.example==QQQQ=TT=other.example=user", "relay.example=other.example=user"),
        ("SRS1+HHHH=relay.example==QQQQ=TT=other.example=user", "relay.example=other.example=user"),
        ("SRS0=HHHH=TT", "srs0=hhhh=tt"), ("SRS1=HHHH=relay==", "srs1=hhhh=relay=="), ("srs0", "srs0"),
    ])
    func `what changes from mail to mail goes`(_ local: String, _ expected: String) throws {
        #expect(try self.key(local) == expected)
    }

    @Test func `notices have one sender, whatever the client calls itself`() {
        #expect(GreylistSender.key(.null) == "<>")
    }

    @Test func `international addresses have one form`() throws {
        #expect(GreylistSender.key(try path("Jürgen@Bücher.example")) == "jürgen@xn--bcher-kva.example")
    }
}

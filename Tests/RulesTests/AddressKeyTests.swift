import Mail
import Rules
import Testing

/// SEMANTICS §6, §8.
struct AddressKeyTests {
    private func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }

    @Test(arguments: [
        ("user+ext@example.test", ["user+ext@example.test", "user@example.test"]),
        ("user@example.test", ["user@example.test"]),
        ("User+Ext@EXAMPLE.test", ["user+ext@example.test", "user@example.test"]),
        // The first delimiter counts; one at the start is part of the name.
        ("a+b+c@example.test", ["a+b+c@example.test", "a@example.test"]),
        ("+ext@example.test", ["+ext@example.test"]),
        ("user+@example.test", ["user+@example.test", "user@example.test"]),
        ("\"us er\"@example.test", ["us er@example.test"]), ("\"user\"@example.test", ["user@example.test"]),
        ("user@Bücher.example", ["user@xn--bcher-kva.example"]), ("user@[192.0.2.1]", ["user@[192.0.2.1]"]),
    ])
    func `an address is asked for with its extension and without`(text: String, keys: [String]) throws {
        let mailbox = try self.mailbox(text)
        #expect(AddressKeys(delimiter: "+").addresses(mailbox) == keys)
        #expect(AddressKeys(delimiter: nil).addresses(mailbox) == [keys[0]])
        #expect(AddressKeys(delimiter: "+").recipient(mailbox) == keys + ["@\(mailbox.domain.key)"])
    }

    @Test func `another delimiter is another extension`() throws {
        #expect(
            AddressKeys(delimiter: "-").addresses(try self.mailbox("list-owner+x@example.test")) == [
                "list-owner+x@example.test", "list@example.test",
            ])
    }

    @Test func `a domain is asked for by itself, then by what is above it`() {
        #expect(
            AddressKeys.domain("a.b.example.test") == ["a.b.example.test", ".b.example.test", ".example.test", ".test"])
        #expect(AddressKeys.domain("localhost") == ["localhost"])
    }
}

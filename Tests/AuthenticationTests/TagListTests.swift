import Authentication
import Mail
import Testing

@Suite struct TagListTests {
    private static func list(_ text: String) throws(TagList.Problem) -> TagList { try TagList(Array(text.utf8)[...]) }

    @Test func `Tags keep their order, and lose the white space around them`() throws {
        let list = try Self.list(" a = b\r\n\t; c_1=;\td=e f\t=g;\r\n ")
        #expect(list.tags.map(\.name) == ["a", "c_1", "d"])
        #expect(list.tags.map(\.value) == ["b", "", "e f\t=g"])
        #expect(list.compact("d") == "ef=g")
        #expect(list["A"] == nil)
    }

    @Test func `The range of a tag is all that stands between its equals sign and its semicolon`() throws {
        let bytes = Array("xx b = Zm9v\r\n YmFy ;c=".utf8)
        let list = try TagList(bytes[2...])
        #expect(list.tag("b").map { String(decoding: bytes[$0.range], as: UTF8.self) } == " Zm9v\r\n YmFy ")
        #expect(list.tag("c")?.range == 22..<22)
    }

    @Test(arguments: [
        "", " ", ";", "a", "a;b=c", "a=b;;c=d", "a=b;c", "=b", "1a=b", "a b=c", "a=\u{1}", "a=b\u{7F}", "ä=b", ";a=b",
    ])
    func `What is no list is malformed`(text: String) {
        #expect(throws: TagList.Problem.malformed) { try Self.list(text) }
    }

    @Test func `A tag that stands twice makes a list invalid`() {
        #expect(throws: TagList.Problem.duplicate("a")) { try Self.list("a=1; b=2; a=3") }
    }

    @Test func `Octets that are not UTF-8 are malformed`() {
        #expect(throws: TagList.Problem.malformed) { try TagList([0x61, 0x3D, 0xFF]) }
    }

    @Test func `Numbers have digits and no more than they may`() throws {
        let list = try Self.list("a=12; b=; c=1x; d=99999999999999999999; e=-1")
        #expect(list.number("a", maximumDigits: 2) == .some(12))
        #expect(list.number("a", maximumDigits: 1) == .some(nil))
        #expect(list.number("b", maximumDigits: 9) == .some(nil))
        #expect(list.number("c", maximumDigits: 9) == .some(nil))
        #expect(list.number("d", maximumDigits: 76) == .some(.max))
        #expect(list.number("e", maximumDigits: 9) == .some(nil))
        #expect(list.number("f", maximumDigits: 9) == .none)
    }

    @Test(
        arguments: [
            ([], ""), ([0x66], "Zg=="), ([0x66, 0x6F], "Zm8="), ([0x66, 0x6F, 0x6F], "Zm9v"),
            ([0xFB, 0xFF, 0xFE], "+//+"),
        ] as [([UInt8], String)])
    func `Base64 is the one of RFC 4648`(bytes: [UInt8], text: String) {
        #expect(Base64.encode(bytes) == text)
        #expect(Base64.decode(text) == bytes)
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "====", "Z g==", "Zm9v=", "Z-_v", "Zg==Zg==", "Zm9vZ==="])
    func `Base64 that is cut, padded wrong or of another alphabet is none`(text: String) {
        #expect(Base64.decode(text) == nil)
    }
}

import Mail
import Screener
import Testing

/// SEMANTICS §1; the grammar is that of Postfix's ip_match, and so are many of the cases.
struct DNSBLFilterTests {
    private func matches(_ filter: String, _ address: String) throws -> Bool {
        guard case .v4(let value)? = IPAddress(address) else {
            Issue.record("\(address) is not IPv4")
            return false
        }
        return try DNSBLFilter(filter).matches(value)
    }

    private func error(_ text: String) -> String? {
        do {
            _ = try DNSBLFilter(text)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: [
        ("1.2.3.4", ["1.2.3.4"], ["1.2.3.5", "1.2.4.4", "1.3.3.4", "2.2.3.4", "4.3.2.1"]),
        ("1.2.[3..11].5", ["1.2.3.5", "1.2.7.5", "1.2.11.5"], ["1.2.2.5", "1.2.12.5", "1.2.11.6"]),
        ("1.2.[3;5;7;9;11].5", ["1.2.3.5", "1.2.11.5"], ["1.2.2.5", "1.2.4.5", "1.2.12.5", "1.2.11.6"]),
        ("[1;2].3.4.5", ["1.3.4.5", "2.3.4.5"], ["3.3.4.5", "0.3.4.5"]),
        ("[[1;2].3.4.5]", ["1.3.4.5", "2.3.4.5"], ["3.3.4.5"]),
        ("[1;2].3.4.[5]", ["1.3.4.5", "2.3.4.5"], ["2.3.4.6"]),
        ("[1;2].3.4.[5;6]", ["1.3.4.5", "2.3.4.6"], ["2.3.4.7"]),
        ("[127.0.0.2]", ["127.0.0.2"], ["127.0.0.3"]),
        ("127.0.[0..255].[0;63;64;127;128;191;192;255]", ["127.0.0.0", "127.0.255.255", "127.0.9.128"], ["127.0.0.1"]),
        ("0127.000.0.08", ["127.0.0.8"], ["127.0.0.10", "87.0.0.8"]),
        ("127.0.0.[10..10]", ["127.0.0.10"], ["127.0.0.9", "127.0.0.11"]),
    ])
    func `a filter matches its addresses`(filter: String, listed: [String], others: [String]) throws {
        for address in listed { #expect(try self.matches(filter, address), "\(address)") }
        for address in others { #expect(try !self.matches(filter, address), "\(address)") }
    }

    @Test(arguments: [
        ("1.2.3.4", "1.2.3.4"), ("1.2.[3].4", "1.2.3.4"), ("1.2.3.[4;4..4]", "1.2.3.4"),
        ("1.2.3.[9;5;6;7;1;2]", "1.2.3.[1;2;5..7;9]"), ("1.2.[1..127;128..255].5", "1.2.[1..255].5"),
        ("[0..255].0.0.255", "[0..255].0.0.255"), ("[[1;2].3.4.5]", "[1;2].3.4.5"),
    ])
    func `a filter is printed in one way`(text: String, canonical: String) throws {
        let filter = try DNSBLFilter(text)
        #expect(filter.description == canonical)
        #expect(try DNSBLFilter(canonical) == filter)
    }

    @Test(arguments: [
        ("", "a filter has four fields, at the end"),
        ("1.2.3", "a filter has four fields, at the end"),
        ("1.2.3.", "a filter has four fields, at the end"),
        ("[]", "a list is empty, at ']'"),
        ("a", "a field is a number or a list in brackets, at 'a'"),
        ("1..2.3", "a field is a number or a list in brackets, at '.2.3'"),
        ("1.2.].4", "a field is a number or a list in brackets, at '].4'"),
        ("-1.2.3.4", "a field is a number or a list in brackets, at '-1.2.3.4'"),
        ("1.2.300.4", "a field of the filter is above 255, at '300.4'"),
        ("1.2.99999999999999999999.4", "a field of the filter is above 255, at '99999999999999999999.4'"),
        ("1.2.3.[4;256]", "a field of the filter is above 255, at '256]'"),
        ("1.2.3.[4..256]", "a field of the filter is above 255, at '256]'"),
        ("1.2.3;4", "a dot is missing behind a field, at ';4'"),
        ("1;2].3.4.5", "a dot is missing behind a field, at ';2].3.4.5'"),
        ("1.2.3[6..9].4", "a field is either a number or one list, at '[6..9].4'"),
        ("1.2.[6..9]3.4", "a field is either a number or one list, at '3.4'"),
        ("1.2.3.3[6..9]", "a field is either a number or one list, at '[6..9]'"),
        ("1.2.3.4.5", "a filter has only four fields, at '.5'"),
        ("1.2.3.4.", "a filter has only four fields, at '.'"),
        ("1.2.3.4x", "nothing may follow the last field, at 'x'"),
        ("1.2.3.4=5", "nothing may follow the last field, at '=5'"),
        ("1.2.[].4", "a list is empty, at '].4'"),
        ("1.2.3.[;4]", "a number of a list is missing, at ';4]'"),
        ("1.2.3.[4;]", "a number of a list is missing, at ']'"),
        ("1.2.3.[x]", "a number of a list is missing, at 'x]'"),
        ("1.2.3.[[4]]", "a number of a list is missing, at '[4]]'"),
        ("1.2.3.[4", "a list is not closed, at the end"),
        ("1.2.3.[4..", "the end of a range is missing, at the end"),
        ("1.2.3.[4..x]", "the end of a range is missing, at 'x]'"),
        ("1.2.3.[4...6]", "the end of a range is missing, at '.6]'"),
        ("1.2.3.[4..1]", "a range runs backwards, at '1]'"),
        ("1.2.[3.4]", "a list may not span fields, at '.4]'"),
        ("1.2.3.[4.x]", "a list may not span fields, at '.x]'"),
        ("1.2.[1..127.128..255].5", "a list may not span fields, at '.128..255].5'"),
        ("1.2.3.[4,5]", "the numbers of a list are separated by ';', at ',5]'"),
        ("1.2.[1-255].5", "a range is written 'a..b', at '-255].5'"),
        ("1.2.3.[4 ]", "a list goes on with ';' or ends with ']', at ' ]'"),
        ("1.2.3.4 ", "nothing may follow the last field, at ' '"),
    ])
    func `what is wrong is said with its place`(text: String, message: String) {
        #expect(self.error(text) == message)
    }
}

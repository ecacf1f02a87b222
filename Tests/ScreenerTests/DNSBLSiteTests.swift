import Mail
import Resolver
import Screener
import Testing

/// SEMANTICS §1, DNSBL site syntax.
struct DNSBLSiteTests {
    private func error(_ text: String) -> String? {
        do {
            _ = try DNSBLSite(text)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func `a site is a domain, a filter and a weight`() throws {
        let site = try DNSBLSite("zen.spamhaus.org=127.0.0.[2;3;9..11]*3")
        #expect(site.zone == DNSName("zen.spamhaus.org"))
        #expect(site.filter == (try DNSBLFilter("127.0.0.[2;3;9..11]")))
        #expect(site.weight == 3)
    }

    @Test func `a site without filter takes all answers and counts once`() throws {
        let site = try DNSBLSite("bl.example.test")
        #expect(site.filter == nil)
        #expect(site.weight == 1)
    }

    @Test(arguments: [
        ("bl.test*-3", -3), ("bl.test*+3", 3), ("bl.test*007", 7), ("bl.test=127.0.0.2*-1", -1), ("bl.test*1000", 1000),
        ("bl.test*-1000", -1000),
    ])
    func `weights have signs and bounds`(text: String, weight: Int) throws {
        #expect(try DNSBLSite(text).weight == weight)
    }

    @Test(arguments: [
        ("bl.test", "bl.test"), ("BL.Test.", "bl.test"), ("bl.test*1", "bl.test"), ("bl.test*+2", "bl.test*2"),
        ("bl.test=127.0.0.002*-04", "bl.test=127.0.0.2*-4"), ("bl.test=[127.0.0.2]", "bl.test=127.0.0.2"),
        ("a_b-c.1.test", "a_b-c.1.test"),
    ])
    func `a site is printed in one way`(text: String, canonical: String) throws {
        let site = try DNSBLSite(text)
        #expect(site.description == canonical)
        #expect(site.optionText == canonical)
        #expect(try DNSBLSite(canonical) == site)
    }

    @Test(arguments: [
        ("", "a site begins with the domain of a list, at the end"),
        ("=127.0.0.2", "a site begins with the domain of a list, at the end"),
        (".", "a site begins with the domain of a list, at '.'"),
        ("bl..test", "a site begins with the domain of a list, at 'bl..test'"),
        ("127.0.0.2*3", "a site begins with the domain of a list, at '127.0.0.2'"),
        ("-bl.test", "a site begins with the domain of a list, at '-bl.test'"),
        ("https://bl.test", "a site begins with the domain of a list, at 'https://bl.test'"),
        (
            "a.test, b.test",
            "a site has no blanks or commas: each is an entry of its own, and lists use ';', at 'a.test, b.test'"
        ),
        ("bl.test*", "the weight is not a whole number, at the end"),
        ("bl.test*x", "the weight is not a whole number, at 'x'"),
        ("bl.test*--1", "the weight is not a whole number, at '--1'"),
        ("bl.test*1.5", "the weight is not a whole number, at '1.5'"),
        ("bl.test*2*3", "the weight is not a whole number, at '2*3'"),
        ("bl.test*2=127.0.0.2", "the weight is not a whole number, at '2=127.0.0.2'"),
        ("bl.test*0", "a weight of 0 never counts, at '0'"),
        ("bl.test*1001", "the weight is beyond 1000, at '1001'"),
        ("bl.test*-99999999999999999999", "the weight is beyond 1000, at '-99999999999999999999'"),
        ("bl.test=", "a filter has four fields, at the end"),
        ("bl.test=127.0.0.[300]*2", "a field of the filter is above 255, at '300]'"),
    ])
    func `what is wrong is said with its place`(text: String, message: String) {
        #expect(self.error(text) == message)
    }

    @Test func `a domain leaves room for an IPv6 address`() {
        let label = String(repeating: "a", count: 62)
        let longest = "\(label).\(label).\(label)a"
        let longer = "\(label).\(label)a.\(label)a"
        #expect(self.error(longest) == nil)
        #expect(self.error(longer) == "the domain leaves no room for an address, at '\(longer)'")
    }

    @Test func `a site is an option`() throws {
        let place = OptionPlace(line: 3, column: 5)
        let site = try DNSBLSite(option: OptionNode(.scalar("bl.test*2"), at: place))
        #expect(site == (try DNSBLSite("bl.test*2")))
        #expect(
            throws: OptionError(
                place: place, message: "'bl.test=1.2.3': a filter has four fields, at the end")
        ) { try DNSBLSite(option: OptionNode(.scalar("bl.test=1.2.3"), at: place)) }
    }
}

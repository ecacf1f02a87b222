import Daemon
import Testing

/// What we call ourselves where nobody says.
struct MachineNameTests {
    private func full(_ host: String?, _ canonical: [String: String] = [:]) -> String? {
        MachineName.full(host: host) { canonical[$0] }?.ascii
    }

    @Test func `a full name is taken as it is`() {
        #expect(self.full("mx2.example.com") == "mx2.example.com")
        #expect(self.full("mx2.example.com.", ["mx2.example.com.": "else.example.com"]) == "mx2.example.com")
    }

    @Test func `a short name is asked about`() {
        #expect(self.full("mx2", ["mx2": "mx2.example.com"]) == "mx2.example.com")
    }

    @Test func `a machine without a full name has none`() {
        #expect(self.full(nil) == nil && self.full("") == nil && self.full(".") == nil)
        #expect(self.full("mx2") == nil)
        #expect(self.full("mx2", ["mx2": "mx2"]) == nil)
        #expect(self.full("localhost.localdomain", ["localhost.localdomain": "localhost"]) == nil)
        #expect(self.full("bad_.-.name..") == nil)
    }
}

import Mail
import Testing

@testable import Queue

struct RequirementLaneTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func message(_ recipient: String, _ requirement: TLSRequirement) throws -> Envelope {
        var parameters = MailParameters()
        parameters.tls = requirement
        var message = Envelope(reversePath: .null, parameters: parameters)
        message.recipients = [Recipient(try #require(Mailbox(recipient)))]
        return message
    }

    @Test func `a lane says what its messages ask of a connection`() throws {
        let mailbox = try #require(Mailbox("a@example.test"))
        let filtered = LaneNaming.filtered("smtp:[192.0.2.1]:26", mailbox)
        for lane in ["example.test", "a@example.test", filtered] {
            #expect(LaneNaming.lane(lane, for: .unspecified) == lane)
            var names: Set<String> = []
            for requirement in [TLSRequirement.unspecified, .required, .optional] {
                let name = LaneNaming.lane(lane, for: requirement)
                names.insert(name)
                let read = LaneNaming.requirement(ofLane: name)
                #expect(read.requirement == requirement && read.lane == lane)
            }
            #expect(names.count == 3)
        }
    }

    @Test func `messages that ask for TLS, for none of it, or for nothing wait in lanes of their own`() throws {
        try withQueue { queue, _ throws in
            let all: [TLSRequirement] = [.unspecified, .required, .optional]
            let ids = try all.map {
                try queue.take(try self.message("a@example.test", $0), content(100), at: self.now)
            }
            let names = try queue.lanes().map(\.name).sorted()
            #expect(names == ["example.test", "tls-optional example.test", "tls-required example.test"])
            for (id, requirement) in zip(ids, all) {
                let lane = LaneNaming.lane("example.test", for: requirement)
                let due = try queue.due(in: lane, at: self.now, skipping: [], limit: 5, contentLimit: 0)
                #expect(due.messages.map(\.message.id) == [id])
            }
        }
    }

    @Test func `lanes that are named anew keep what their messages ask for`() throws {
        try withQueue { queue, _ throws in
            let own = LaneNaming { LaneNaming.filtered("smtp:[192.0.2.1]", $0) }
            for requirement in [TLSRequirement.unspecified, .required, .optional] {
                let sent = try self.message("a@example.test", requirement)
                try queue.take(sent, content(100), at: self.now)
                try queue.take(sent, content(100), at: self.now, lanes: own)
            }
            try queue.nameLanes(LaneNaming { "\($0)" }, fingerprint: ["a@example.test"])
            #expect(
                try queue.lanes().map(\.name).sorted() == [
                    "a@example.test", "filter smtp:[192.0.2.1] example.test", "tls-optional a@example.test",
                    "tls-optional filter smtp:[192.0.2.1] example.test", "tls-required a@example.test",
                    "tls-required filter smtp:[192.0.2.1] example.test",
                ])
        }
    }
}

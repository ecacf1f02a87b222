import Daemon
import Testing

/// What the daemon finds out about the cage that it runs in.
struct ConfinementTests {
    /// As Linux 6.1 has it, of the service in its cage.
    private static let caged = """
        Name:\tpostern
        Umask:\t0077
        State:\tS (sleeping)
        Uid:\t998\t998\t998\t998
        Gid:\t997\t997\t997\t997
        Groups:\t997\u{20}
        CapInh:\t0000000000000000
        CapPrm:\t0000000000000000
        CapEff:\t0000000000000000
        CapBnd:\t0000000000000000
        CapAmb:\t0000000000000000
        NoNewPrivs:\t1
        Seccomp:\t2
        Seccomp_filters:\t23

        """

    private func missing(_ text: String, isSystemWritable: Bool = false) -> [String] {
        Confinement(ProcessStatus(text), isSystemWritable: isSystemWritable).missing
    }

    @Test func `nothing is missing of the whole cage`() {
        #expect(self.missing(Self.caged) == [])
        // The names in it may be anything: the kernel writes a line end in them as two characters.
        #expect(self.missing("Name:\tUid: 0\\n\n" + Self.caged) == [])
    }

    @Test(arguments: [
        ("Uid:\t998\t998\t998\t998", "Uid:\t0\t0\t0\t0", "it runs as root (User=)"),
        ("Uid:\t998\t998\t998\t998", "Uid:\t998\t998\t0\t998", "it runs as root (User=)"),
        ("Uid:\t998\t998\t998\t998", "Uid:\t", "it runs as root (User=)"),
        (
            "CapEff:\t0000000000000000", "CapEff:\t0000000000000400",
            "it has privileges of root's (CapabilityBoundingSet=)"
        ),
        (
            "CapAmb:\t0000000000000000", "CapAmb:\t000001ffffffffff",
            "it has privileges of root's (CapabilityBoundingSet=)"
        ),
        (
            "NoNewPrivs:\t1", "NoNewPrivs:\t0",
            "it may gain privileges by programs that it starts (NoNewPrivileges=)"
        ),
        (
            "NoNewPrivs:\t1\n", "",
            "it may gain privileges by programs that it starts (NoNewPrivileges=)"
        ),
        ("Seccomp:\t2", "Seccomp:\t0", "its system calls are not filtered (SystemCallFilter=)"),
    ])
    func `each bar that is missing is told`(line: String, instead: String, said: String) throws {
        try #require(Self.caged.contains(line))
        #expect(self.missing(Self.caged.replacing(line, with: instead)) == [said])
    }

    @Test func `a system that can be written to is told`() {
        #expect(
            self.missing(Self.caged, isSystemWritable: true)
                == ["the system is not mounted read-only for it (ProtectSystem=)"])
    }

    @Test func `who says nothing of himself is not confined`() {
        #expect(self.missing("", isSystemWritable: true).count == 4)
        #expect(self.missing("Uid\nCapEff:\nNoNewPrivs: yes\nSeccomp: -1\n").count == 3)
    }
}

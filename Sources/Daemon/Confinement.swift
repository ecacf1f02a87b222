import Glibc
import Mail

/// The cage that a daemon is to run in, as `debian/postern.service` builds it: whoever takes the program over by what
/// he sends it should find nothing to take over the machine with.
package struct Confinement: Hashable, Sendable {
    /// What there is not, in words; empty if all is well.
    package let missing: [String]

    /// - Parameter isSystemWritable: whether the file system of /usr is mounted so that it can be written to.
    package init(_ status: ProcessStatus, isSystemWritable: Bool) {
        var missing: [String] = []
        if status.userIDs.isEmpty || status.userIDs.contains(0) {
            missing.append("it runs as root (User=)")
        }
        // Root has all of them; that says the line before.
        else if status.capabilities != 0 {
            missing.append("it has privileges of root's (CapabilityBoundingSet=)")
        }
        if status.hasNoNewPrivileges != true {
            missing.append("it may gain privileges by programs that it starts (NoNewPrivileges=)")
        }
        if status.hasSystemCallFilter != true {
            missing.append("its system calls are not filtered (SystemCallFilter=)")
        }
        if isSystemWritable { missing.append("the system is not mounted read-only for it (ProtectSystem=)") }
        self.missing = missing
    }

    /// Of this process, which had better not have got rid of it meanwhile.
    static func current() -> Confinement {
        // Whoever cannot be asked is taken for unconfined.
        let text = (try? FileText.read("/proc/self/status")) ?? ""
        var system = statvfs()
        let isReadOnly = statvfs("/usr", &system) == 0 && system.f_flag & UInt(ST_RDONLY) != 0
        return Confinement(ProcessStatus(text), isSystemWritable: !isReadOnly)
    }
}

import Foundation

/// What the process takes of the machine.
package struct ProcessFigures: Sendable {
    package var residentBytes = 0
    package var openDescriptors = 0
    package var maximumDescriptors = 0
    package var processorSeconds = 0.0
    /// Of the unit's control group; nil without one, or where that cannot be read.
    package var memoryLimitBytes: Int?

    package init() {}

    /// Those of now; what the system does not tell is 0.
    package static func now() -> ProcessFigures {
        var figures = ProcessFigures()
        let pages = Self.text("/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { Int($0) }
        figures.residentBytes = (pages ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
        // One of them is the folder that is read.
        let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 1
        figures.openDescriptors = descriptors - 1
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            figures.maximumDescriptors = Int(clamping: limit.rlim_cur)
        }
        var usage = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            figures.processorSeconds = usage.ru_utime.inSeconds + usage.ru_stime.inSeconds
        }
        figures.memoryLimitBytes = Self.memoryLimit
        return figures
    }

    /// cgroups(7), version 2: `0::/system.slice/postern.service`.
    private static var memoryLimit: Int? {
        let group = self.text("/proc/self/cgroup").split(separator: "\n").first { $0.hasPrefix("0::/") }?.dropFirst(3)
        guard let group else { return nil }
        let text = self.text("/sys/fs/cgroup\(group)/memory.max")
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Empty if the file cannot be read.
    private static func text(_ path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }
}

extension timeval {
    fileprivate var inSeconds: Double { Double(self.tv_sec) + Double(self.tv_usec) / 1_000_000 }
}

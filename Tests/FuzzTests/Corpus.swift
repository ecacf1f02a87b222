import Foundation
import FuzzTargets

/// The inputs that are kept for a target, in the order of their names.
struct Corpus {
    struct Input {
        let name: String
        let bytes: [UInt8]

        func prefix(_ count: Int) -> Input {
            Input(name: "\(self.name), first \(count) octets", bytes: Array(self.bytes.prefix(count)))
        }
    }

    let inputs: [Input]

    init(of target: FuzzTarget) throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let folder = tests.appending(path: "Fuzz/Corpus/\(target.rawValue)")
        self.inputs = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { !$0.lastPathComponent.hasPrefix(".") }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .map { Input(name: $0.lastPathComponent, bytes: Array(try Data(contentsOf: $0))) }
    }
}

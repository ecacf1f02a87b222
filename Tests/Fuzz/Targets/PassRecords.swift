import Mail
import Screener

/// Records of what clients passed are read or refused; what is read is written and read as the same.
func checkPassRecord(_ bytes: [UInt8]) throws(Violation) {
    guard let record = decodePassRecord(bytes) else { return }
    let again = decodePassRecord(record.encoded())
    try require(again == record, "\(record) becomes \(String(describing: again))")
    for test in ScreeningTest.allCases {
        guard case .passed(let end) = record[test] else { continue }
        try require(end <= record.lastExpiry ?? end && end.seconds > 1, "\(test) of \(record)")
    }
}

private func decodePassRecord(_ bytes: [UInt8]) -> PassRecord? { bytes.withUnsafeBytes { PassRecord(record: $0) } }

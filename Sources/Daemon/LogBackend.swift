package import Logging
import Mail

/// Brings what swift-log's users say into the same stream, and the same format, as the mail events.
package struct LogBackend: LogHandler {
    private let writer: LogWriter
    private let format: LogFormat
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]

    package init(_ writer: LogWriter, _ format: LogFormat, level: Logger.Level) {
        self.writer = writer
        self.format = format
        self.logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let all = self.metadata.merging(event.metadata ?? [:]) { $1 }
        let pairs = all.sorted { $0.key < $1.key }.map {
            (key: $0.key, value: "\($0.value)".printable(maximumBytes: 1000))
        }
        let message = "\(event.message)".printable(maximumBytes: 1000)
        self.writer.write(self.format.line(level: event.level.rawValue, message: message, pairs))
    }
}

extension LogOptions.Level {
    package var level: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

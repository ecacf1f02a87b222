/// What became of a set-up, for people and programs.
package struct ImportReport: Encodable, Sendable {
    package enum Status: String, Encodable, Sendable, CaseIterable {
        /// It stands in the configuration, under `key`.
        case converted
        /// It says what holds anyway, in Postfix or here.
        case `default`
        /// It means nothing here, and nobody loses anything by that.
        case ignored
        /// It does something that Postern does not do.
        case unsupported
    }

    /// One setting of main.cf, or of a service in master.cf.
    package struct Parameter: Encodable, Hashable, Sendable {
        package let name: String
        /// As it is written, in one line.
        package let value: String
        package let file: String
        package let line: Int
        package var status: Status
        /// The keys of postern.yaml.
        package var key: String?
        package var why: String?
    }

    /// Something that is dangerous, lost, or to be done.
    package struct Warning: Encodable, Hashable, Sendable {
        package let file: String
        package let line: Int
        package let text: String
    }

    /// A table that main.cf names.
    package struct Table: Encodable, Hashable, Sendable {
        package enum Status: String, Encodable, Sendable {
            case copied, changed, made, missing, unsupported
            /// It stands in main.cf itself.
            case inline
        }

        /// `TYPE:PATH` as it is written, without `proxy:`.
        package let name: String
        package let file: String
        package let line: Int
        package let status: Status
        /// Its name in postern.yaml.
        package let becomes: String?
        package let why: String?
    }

    package struct Check: Encodable, Hashable, Sendable {
        package let errors: [String]
        package let warnings: [String]

        package init(errors: [String], warnings: [String]) {
            self.errors = errors
            self.warnings = warnings
        }
    }

    package internal(set) var parameters: [Parameter] = []
    package internal(set) var warnings: [Warning] = []
    package internal(set) var tables: [Table] = []
    /// What `postern check` says of the result; nil until it has been asked.
    package var check: Check?
    package var output: String?

    package init() {}

    package mutating func warn(_ file: String, _ line: Int, _ text: String) {
        self.warnings.append(Warning(file: file, line: line, text: text))
    }

    package func count(_ status: Status) -> Int { self.parameters.count { $0.status == status } }
}

/// A file of the result.
package struct ImportedFile: Hashable, Sendable {
    /// Below the output folder: `postern.yaml`, `rules/transport`.
    package let path: String
    package let text: String
    /// Nobody else may read it.
    package let isSecret: Bool

    package init(path: String, text: String, isSecret: Bool) {
        self.path = path
        self.text = text
        self.isSecret = isSecret
    }
}

/// Configuration, tables and report of one set-up.
package struct ImportResult: Sendable {
    package let files: [ImportedFile]
    package var report: ImportReport
}

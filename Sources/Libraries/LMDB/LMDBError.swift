internal import CLMDB
internal import Glibc

/// What LMDB reports. Only what a caller acts on has a case of its own.
package enum LMDBError: Error, Equatable, Sendable {
    /// The map is as large as it may become (`MDB_MAP_FULL`). Reading and deleting still work.
    case mapFull
    /// A transaction touched more pages than one may (`MDB_TXN_FULL`).
    case transactionFull
    /// The file system is full: `ENOSPC`, or the `EIO` to which LMDB turns a short write.
    case diskFull
    /// The file is not a database, or is damaged.
    case corrupted
    /// Made by another version of the library, or on another kind of machine.
    case incompatible
    case other(code: Int32, message: String)

    init(_ code: Int32) {
        switch code {
        case MDB_MAP_FULL: self = .mapFull
        case MDB_TXN_FULL: self = .transactionFull
        case ENOSPC, EIO, EDQUOT: self = .diskFull
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID: self = .corrupted
        case MDB_VERSION_MISMATCH, MDB_INCOMPATIBLE: self = .incompatible
        default: self = .other(code: code, message: String(cString: mdb_strerror(code)))
        }
    }
}

extension LMDBError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .mapFull: "the database has reached its largest size"
        case .transactionFull: "a transaction is too large"
        case .diskFull: "the file system is full or failing"
        case .corrupted: "the database file is damaged"
        case .incompatible: "the database was made by another version"
        case .other(_, let message): message
        }
    }
}

@inline(__always)
func check(_ code: Int32) throws(LMDBError) {
    if code != 0 { throw LMDBError(code) }
}

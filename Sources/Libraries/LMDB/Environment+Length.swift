internal import CLMDB
internal import Glibc

extension Environment {
    /// Whether the file of a folder is shorter than what it says is used. LMDB does not look, and touching the missing
    /// pages ends the process (SIGBUS). Not while the environment is open in this process.
    package static func isCutShort(folder: String) throws(LMDBError) -> Bool {
        var status = stat()
        guard stat(folder + "/data.mdb", &status) == 0 else { throw LMDBError(errno) }
        // The two pages at the start are read through the map, too.
        guard Int(status.st_size) >= 2 * sysconf(Int32(_SC_PAGESIZE)) else { return true }
        var handle: OpaquePointer?
        try check(mdb_env_create(&handle))
        guard let handle else { throw LMDBError(ENOMEM) }
        defer { mdb_env_close(handle) }
        try check(mdb_env_open(handle, folder, UInt32(MDB_NOTLS) | UInt32(MDB_RDONLY), 0o640))
        var info = MDB_envinfo()
        var pages = MDB_stat()
        try check(mdb_env_info(handle, &info))
        try check(mdb_env_stat(handle, &pages))
        return Int(status.st_size) < (info.me_last_pgno + 1) * Int(pages.ms_psize)
    }
}

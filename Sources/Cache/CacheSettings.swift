package import LMDB

/// How much a cache keeps, and how soon it is on the disk.
package struct CacheSettings: Sendable {
    /// Above so many those that expire first are forgotten, down to nine tenths.
    package var entries: Int
    /// Changes that are written without waiting for the interval.
    package var batch: Int
    /// Changes that are held in memory while the disk fails.
    package var waiting: Int
    package var cleanupInterval = Duration.seconds(12 * 3600)
    /// How much may be lost in a crash: what is kept in a cache is only found out once more.
    package var writeInterval = Duration.seconds(10)
    /// What is taken for the fault of a commit: for tests; nothing in production.
    package var commitFault: @Sendable () -> LMDBError? = { nil }

    package init(entries: Int, batch: Int = 1000, waiting: Int = 50_000) {
        self.entries = entries
        self.batch = batch
        self.waiting = waiting
    }
}

// swift-tools-version: 6.2
import PackageDescription

/// Swift 6 language mode comes with the tools version.
let settings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]

/// Swift packages, each with the reason it is here.
let packages: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),  // connections
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),  // Deque
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),  // command line
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),  // operational log
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),  // start and stop
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),  // configuration with line numbers
]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

func target(_ name: String, path: String? = nil, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// The program that Tests/fuzz.sh runs. libFuzzer brings its main function, so other builds could not link it; and
/// without -parse-as-library the compiler would make one of its own.
let fuzzers: [Target] =
    Context.environment["POSTERN_FUZZ"] == nil
    ? []
    : [
        .executableTarget(
            name: "fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Main",
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])])
    ]

/// The programs that measure tables and authentication: Tests/bench/README.md.
let benches: [Target] =
    Context.environment["POSTERN_BENCH_TARGETS"] == nil
    ? []
    : [
        .executableTarget(
            name: "tablebench", dependencies: ["Rules", "CLibraries"], path: "Tests/bench/Tables",
            swiftSettings: settings),
        .executableTarget(
            name: "authbench", dependencies: ["Authentication", "Mail"], path: "Tests/bench/Authentication",
            swiftSettings: settings),
    ]

let package = Package(
    name: "postern",
    products: [.executable(name: "postern", targets: ["postern"])],
    dependencies: packages,
    targets: [
        // Who may import whom: Sources/README.md.
        .systemLibrary(
            name: "CLibraries", path: "Sources/Libraries/CLibraries",
            providers: [
                .apt([
                    "liblmdb-dev", "libpcre2-dev", "libpq-dev", "libspf2-dev", "libssl-dev", "libunbound-dev",
                    "zlib1g-dev",
                ])
            ]),
        target("Crypto", path: "Sources/Libraries/Crypto", ["CLibraries"]),
        target("Inflate", path: "Sources/Libraries/Inflate", ["CLibraries"]),
        target("LMDB", path: "Sources/Libraries/LMDB", ["CLibraries"]),
        target("PCRE", path: "Sources/Libraries/PCRE", ["CLibraries"]),
        target("Polling", path: "Sources/Libraries/Polling", ["CLibraries", nioCore]),
        target("Resolver", path: "Sources/Libraries/Resolver", ["CLibraries", "Polling", nioCore]),
        target("PostgreSQL", path: "Sources/Libraries/PostgreSQL", ["CLibraries", "Polling"]),
        target("LibSPF2", path: "Sources/Libraries/SPF", ["CLibraries", "Polling"]),
        target("TLS", path: "Sources/Libraries/TLS", ["CLibraries", nioCore]),
        target("HTTPS", path: "Sources/Libraries/HTTPS", ["TLS", nioCore, nioPosix, nioHTTP1]),
        target("Cache", ["LMDB", "Polling"]),
        target("Mail", []),
        target("MailLog", ["Mail"]),
        target("SMTP", ["Mail", "Crypto"]),
        target("Rules", ["Mail", "PCRE"]),
        target("Authentication", ["Mail", "Crypto", "LibSPF2"]),
        target("Reports", ["Mail", "Cache", "Polling", "Inflate", "Crypto"]),
        target("Queue", ["Mail", "LMDB", "Polling", deque]),
        target("MTASTS", ["Mail", "Cache", "Polling", "Resolver", "HTTPS", nioCore]),
        target("Screener", ["SMTP", "Mail", "Resolver", "Cache", "Polling", "CLibraries", deque, nioCore]),
        target(
            "Receiver", ["SMTP", "Mail", "Rules", "Authentication", "Queue", "Resolver", "TLS", nioCore, nioPosix]),
        target("Recipients", ["Mail", "Rules", "Cache", "LMDB", "PostgreSQL", "Polling", nioCore]),
        target("Greylist", ["Mail", "Cache", "Polling"]),
        target("PostfixImport", ["Mail", "Rules"]),
        target("Forwarder", ["SMTP", "Mail", "Queue", "Resolver", "TLS", "MTASTS", deque, nioCore, nioPosix]),
        target(
            "Daemon",
            [
                "SMTP", "Mail", "Rules", "Authentication", "Reports", "Queue", "Screener", "Recipients", "Greylist",
                "Receiver", "Forwarder", "Resolver", "Polling", "Inflate", "PostgreSQL", "CLibraries", "Crypto", "TLS",
                "HTTPS", "MTASTS",
                nioCore, nioPosix, nioHTTP1, logging, lifecycle,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .executableTarget(
            name: "postern",
            dependencies: [
                "Daemon", "Mail", "MailLog", "Authentication", "Crypto", "PostfixImport", "Queue", "Recipients",
                "Resolver", "Rules", "TLS",
                arguments,
            ],
            swiftSettings: settings),

        // Daemon: it has the inflater for archives in archives.
        tests("MailTests", ["Mail", "Daemon"]),
        tests("MailLogTests", ["MailLog", "Mail"]),
        tests("SMTPTests", ["SMTP", "Crypto", "Mail"]),
        tests(
            "AuthenticationTests",
            ["Authentication", "Crypto", "Mail", .product(name: "Yams", package: "Yams"), "LibSPF2"]),
        tests("ReportsTests", ["Reports", "Inflate", "Mail", "Clocks", "Harness"]),
        tests("RulesTests", ["Rules", "Mail"]),
        tests("QueueTests", ["Queue", "LMDB", "Mail", "Clocks", "Harness"]),
        tests(
            "ForwarderTests",
            [
                "Forwarder", "SMTP", "Mail", "Queue", "Resolver", "TLS", "MTASTS", "ZoneFiles", "Clocks", "Harness",
                nioCore, nioPosix,
            ]),
        tests("TLSTests", ["TLS", "Harness", nioCore, nioPosix, nioEmbedded]),
        tests(
            "MTASTSTests",
            [
                "MTASTS", "HTTPS", "TLS", "Mail", "Cache", "LMDB", "Resolver", "ZoneFiles", "Clocks", "Harness",
                nioCore, nioPosix,
            ]),
        tests("GreylistTests", ["Greylist", "Cache", "LMDB", "Mail", "Clocks", "Harness"]),
        tests("PCRETests", ["PCRE"]),
        tests("PostfixImportTests", ["PostfixImport", "postern", "Daemon", "Mail", "Rules", "Harness"]),
        tests(
            "RecipientsTests",
            ["Recipients", "Cache", "PostgreSQL", "Mail", "Rules", "Clocks", "Harness", nioCore, nioPosix]),
        tests("PollingTests", ["Polling", nioCore]),
        tests(
            "ScreenerTests",
            [
                "Screener", "SMTP", "Mail", "Resolver", "Cache", "LMDB", "Clocks", "Harness", "ZoneFiles", nioCore,
                nioPosix, nioEmbedded,
            ]),
        tests(
            "ReceiverTests",
            [
                "Receiver", "Screener", "SMTP", "Mail", "Rules", "Queue", "Greylist", "Authentication", "Resolver",
                "TLS", "ZoneFiles", "Harness", nioCore, nioPosix,
            ]),

        // Other people's servers and clients, for tests: Tests/peers.sh fetches them.
        target("Harness", path: "Tests/Harness", []),
        // A time that tests set.
        target("Clocks", path: "Tests/Clocks", ["Mail"]),
        tests("HarnessTests", ["Harness"]),
        tests(
            "PeerTests",
            [
                "Harness", "postern", "Daemon", "Receiver", "Forwarder", "Queue", "Recipients", "PostgreSQL", "Rules",
                "Reports", "TLS", "Mail", "ZoneFiles", nioCore, nioPosix,
            ]),
        tests(
            "DaemonTests",
            [
                "Daemon", "Greylist", "Mail", "Rules", "Queue", "Receiver", "Authentication", "Crypto", "TLS",
                "ZoneFiles", "Reports", "HTTPS",
                "Clocks", "Harness", logging, nioCore, nioPosix,
            ]),
        tests("CommandTests", ["Harness", "postern", "Daemon", "Recipients", "Mail", "MailLog"]),
        // Names from zone files, for the tests of every target that asks a NameService.
        target("ZoneFiles", path: "Tests/ZoneFiles", ["Resolver", nioCore]),
        tests("ResolverTests", ["Resolver", "ZoneFiles", "Harness", nioCore, nioPosix, nioEmbedded]),

        // What must hold of every parser; its own target because both the tests and libFuzzer run it.
        target(
            "FuzzTargets", path: "Tests/Fuzz/Targets",
            [
                "SMTP", "Mail", "Rules", "Queue", "Screener", "Receiver", "Recipients", "Greylist", "PostgreSQL",
                "Forwarder", "Resolver", "Daemon", "MailLog", "Authentication", "Crypto", "Reports", "TLS", "HTTPS",
                "MTASTS", "PostfixImport",
            ]),
        tests("FuzzTests", ["FuzzTargets", "Harness"]),
    ] + fuzzers + benches
)

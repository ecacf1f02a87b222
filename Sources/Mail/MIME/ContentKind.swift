/// What content is by its first octets, whatever its type and name say.
package enum ContentKind: String, CaseIterable, Sendable {
    /// DOS and Windows programs, libraries and screen savers.
    case exe
    case elf
    case macho
    /// A Windows shortcut.
    case lnk
    case zip
    case rar
    case sevenZip = "7z"
    case gzip
    case bzip2
    case xz
    case cab
    case ace
    case arj
    case iso
    /// Compound files: Office before 2007, MSI, MSG.
    case ole
    case pdf
    case rtf
    case tnef
    case chm
    case onenote

    /// The octets that ``init(magic:)`` looks at.
    static let magicBytes = 32

    /// With the place at which they stand.
    private static let magics: [(ContentKind, Int, [UInt8])] = [
        (.exe, 0, [0x4D, 0x5A]),
        (.elf, 0, [0x7F, 0x45, 0x4C, 0x46]),
        (.macho, 0, [0xFE, 0xED, 0xFA, 0xCE]), (.macho, 0, [0xFE, 0xED, 0xFA, 0xCF]),
        (.macho, 0, [0xCE, 0xFA, 0xED, 0xFE]), (.macho, 0, [0xCF, 0xFA, 0xED, 0xFE]),
        (.lnk, 0, [0x4C, 0, 0, 0, 0x01, 0x14, 0x02, 0]),
        (.zip, 0, [0x50, 0x4B, 0x03, 0x04]), (.zip, 0, [0x50, 0x4B, 0x05, 0x06]),
        (.zip, 0, [0x50, 0x4B, 0x07, 0x08]), (.zip, 0, [0x50, 0x4B, 0x30, 0x30, 0x50, 0x4B]),
        (.rar, 0, Array("Rar!\u{1A}\u{07}".utf8)), (.rar, 0, Array("RE~^".utf8)),
        (.sevenZip, 0, [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C]),
        (.gzip, 0, [0x1F, 0x8B]),
        (.bzip2, 0, Array("BZh".utf8)),
        (.xz, 0, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0]),
        (.cab, 0, Array("MSCF\0\0\0\0".utf8)),
        (.ace, 7, Array("**ACE**".utf8)),
        (.arj, 0, [0x60, 0xEA]),
        (.ole, 0, [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]),
        (.pdf, 0, Array("%PDF-".utf8)),
        (.rtf, 0, Array("{\\rt".utf8)),
        (.tnef, 0, [0x78, 0x9F, 0x3E, 0x22]),
        (.chm, 0, Array("ITSF".utf8)),
        (.onenote, 0, [0xE4, 0x52, 0x5C, 0x7B, 0x8C, 0xD8, 0xA7, 0x4D]),
    ]

    /// - Parameter magic: the first ``magicBytes`` octets, or all there are.
    init?(magic bytes: ArraySlice<UInt8>) {
        let found = Self.magics.first { _, offset, magic in bytes.dropFirst(offset).starts(with: magic) }
        guard let (kind, _, _) = found else { return nil }
        // Texts begin with these two letters too; a program has its header's remainder.
        if kind == .exe, !bytes.contains(where: { $0 < 9 || $0 > 0x7E }) { return nil }
        self = kind
    }

    /// Archives whose entries ``ZipScanner`` finds, or which may begin with another program.
    var mayHoldArchive: Bool {
        switch self {
        case .zip, .exe, .gzip: true
        case .elf, .macho, .lnk, .rar, .sevenZip, .bzip2, .xz, .cab, .ace, .arj, .iso, .ole, .pdf, .rtf, .tnef, .chm,
            .onenote:
            false
        }
    }
}

import Mail

/// An IP address, with or without brackets.
struct PlainAddress {
    let address: IPAddress

    init?(_ text: String) {
        let bare = text.hasPrefix("[") && text.hasSuffix("]") ? String(text.dropFirst().dropLast()) : text
        guard let address = IPAddress(bare) else { return nil }
        self.address = address
    }

    func endpoint(port: Int) -> String {
        self.address.width == 32 ? "\(self.address):\(port)" : "[\(self.address)]:\(port)"
    }
}

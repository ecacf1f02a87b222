/// What this is. `debian/rules` and a test see to it that debian/changelog says the same.
enum Version {
    static let text = "0.7.0"
}

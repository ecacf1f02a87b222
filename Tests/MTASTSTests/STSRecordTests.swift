import MTASTS
import Testing

struct STSRecordTests {
    @Test(arguments: [
        ("v=STSv1; id=20160831085700Z;", "20160831085700Z"), ("v=STSv1;id=1", "1"), ("v=STSv1 \t;\t id=1 ; ", "1"),
        ("v=STSv1; x=y; id=1", "1"), ("v=STSv1; id=1; id=2", "1"), ("v=STSv1; a-b_c.d=~!; id=Z", "Z"),
    ])
    func `A record names a version of the policy`(text: String, id: String) {
        #expect(STSRecord(Array(text.utf8))?.id == id)
    }

    @Test(arguments: [
        "", "v=STSv1", "v=STSv1;", "v=STSv1; id=", "v=STSv1; id=a-b",
        "v=STSv1; id=\(String(repeating: "a", count: 33))",
        "v=STSv2; id=1", "V=STSv1; id=1", "v=stsv1; id=1", "v=STSv1, id=1", "v=STSv1; id=1;; x=y", "v=STSv1; id=1; x=",
        "v=STSv1; id=1; x=a=b", "v=STSv1; id=1; _x=a", "v=STSv1; id =1", " v=STSv1; id=1", "v=STSv1; ID=1",
    ])
    func `What is no record is none`(text: String) {
        #expect(STSRecord(Array(text.utf8)) == nil)
    }

    @Test func `One record begins with the version, and others do not count`() {
        func find(_ records: [String]...) -> String? {
            STSRecord.find(in: records.map { $0.map { Array($0.utf8) } })?.id
        }
        #expect(find(["v=spf1 -all"], ["v=STSv1; i", "d=1"]) == "1")
        #expect(find(["v=STSv1; id=1"], ["v=STSv1; id=1"]) == nil)
        // One that is not right makes two with one that is.
        #expect(find(["v=STSv1; id=1"], ["v=STSv1; id=-"]) == nil)
        #expect(find(["v=STSv1; id=1"], ["v=STSv10; id=2"]) == "1")
        #expect(find() == nil)
    }
}

import Foundation
import PKI
import TestSupport
import Testing

@Suite struct DistinguishedNameTests {
    private func name(_ rdns: [[(oid: String, value: [UInt8])]]) throws -> DistinguishedName {
        try DistinguishedName(
            der: DERWriter.sequence(
                rdns.map { rdn in
                    DERWriter.element(
                        DER.set,
                        rdn.flatMap { DERWriter.sequence([DERWriter.objectIdentifier($0.oid), $0.value]) })
                }))
    }

    private func name(_ attributes: [(type: String, value: String)]) throws -> DistinguishedName {
        try DistinguishedName(der: CertificateTemplate.encode(attributes))
    }

    private func utf8(_ text: String) -> [UInt8] { DERWriter.element(DER.utf8String, Array(text.utf8)) }

    /// What the reference verifier printed for certificates of the corpus.
    @Test func everyNameThatTheReferencePrintedIsPrintedHere() throws {
        let subjects = Set(try Certificate.parsePEM(Fixture.bytes("certificates/corpus.pem")).map(\.subject.rfc2253))
        let observed = String(decoding: try Fixture.bytes("certificates/observed-names.txt"), as: UTF8.self)
        let names = observed.split(separator: "\n").map(String.init)
        #expect(names.count > 100)
        for name in names { #expect(subjects.contains(name), "\(name)") }
    }

    @Test func theOrderIsThatOfTheReferenceWhateverTheCertificateSays() throws {
        #expect(
            try name([("C", "US"), ("ST", "WA"), ("O", "peers"), ("CN", "rt leaf")]).rfc2253
                == "CN=rt leaf,O=peers,ST=WA,C=US")
        #expect(
            try name([("CN", "rt leaf"), ("O", "peers"), ("ST", "WA"), ("C", "US")]).rfc2253
                == "CN=rt leaf,O=peers,ST=WA,C=US")
        #expect(
            try name([
                ("C", "GB"), ("CN", "Steve Kille"), ("OU", "RFCs"), ("O", "Isode Limited"), ("L", "Richmond"),
                ("ST", "Surrey"), ("STREET", "The Square"), ("POSTALCODE", "TW9 1DT"), ("SERIALNUMBER", "RFC 2253"),
            ]).rfc2253
                == "SERIALNUMBER=RFC 2253,CN=Steve Kille,OU=RFCs,O=Isode Limited,POSTALCODE=TW9 1DT,STREET=The Square,"
                + "L=Richmond,ST=Surrey,C=GB")
    }

    @Test func repeatedTypesAreJoinedAndOfTheCommonNameTheLastCounts() throws {
        #expect(try name([("OU", "a"), ("O", "x"), ("OU", "b")]).rfc2253 == "OU=a+OU=b,O=x")
        #expect(try name([("CN", "a"), ("CN", "b")]).rfc2253 == "CN=b")
        #expect(try name([("CN", ""), ("O", "x")]).rfc2253 == "O=x")
        #expect(try name([("CN", "a"), ("O", "")]).rfc2253 == "CN=a,O=")
    }

    @Test func aMultiValuedPartKeepsItsAttributes() throws {
        let name = try name([[("2.5.4.6", utf8("US"))], [("2.5.4.3", utf8("x")), ("2.5.4.10", utf8("y"))]])
        #expect(name.rdns.map(\.count) == [1, 2])
        #expect(name.attributes.map(\.type) == ["C", "CN", "O"])
        #expect(name.rfc2253 == "CN=x,O=y,C=US")
    }

    @Test func specialCharactersAreEscaped() throws {
        #expect(try name([("O", "a,b+c\"d\\e<f>g;h")]).rfc2253 == #"O=a\,b\+c\"d\\e\<f\>g\;h"#)
        #expect(try name([("O", " x ")]).rfc2253 == #"O=\ x\ "#)
        #expect(try name([("O", " ")]).rfc2253 == #"O=\ "#)
        #expect(try name([("O", "#a#")]).rfc2253 == "O=\\#a#")
        #expect(try name([("O", "a=b é")]).rfc2253 == "O=a=b é")
        // A combining mark after a comma does not hide it.
        #expect(try name([("O", "a,\u{0301}b")]).rfc2253 == "O=a\\,\u{0301}b")
    }

    @Test func otherTypesArePrintedInHexadecimalAfterTheKnownOnes() throws {
        let email = DERWriter.element(DER.ia5String, Array("me@example.com".utf8))
        let component = DERWriter.element(DER.ia5String, Array("corp".utf8))
        let name = try name([
            [("1.2.840.113549.1.9.1", email)], [("0.9.2342.19200300.100.1.25", component)], [("2.5.4.3", utf8("x"))],
        ])
        // Go encodes the value anew: PrintableString where it can, UTF8String for the at sign.
        #expect(
            name.rfc2253
                == "CN=x,0.9.2342.19200300.100.1.25=#1304636f7270,1.2.840.113549.1.9.1=#0c0e6d65406578616d706c652e636f6d"
        )
        #expect(name.attributes[0].valueDER == email)
        #expect(name.attributes[0].value == "me@example.com")
    }

    @Test func namesAreEqualByTheirBytes() throws {
        let printable = try name([[("2.5.4.3", DERWriter.element(DER.printableString, Array("x".utf8)))]])
        let utf8 = try name([[("2.5.4.3", utf8("x"))]])
        #expect(printable.rfc2253 == utf8.rfc2253)
        #expect(printable != utf8)
    }

    @Test func everyStringTypeIsDecoded() throws {
        func value(_ tag: UInt8, _ bytes: [UInt8]) throws -> String {
            try name([[("2.5.4.3", DERWriter.element(tag, bytes))]]).attributes[0].value
        }
        #expect(try value(DER.bmpString, [0, 0x41, 0x20, 0xAC]) == "A€")
        #expect(try value(DER.teletexString, [0x4D, 0xFC]) == "Mü")
        #expect(try value(DER.numericString, Array("12 3".utf8)) == "12 3")
        #expect(try value(DER.printableString, Array("*&".utf8)) == "*&")
        #expect(throws: PKIError.self) { try value(DER.bitString, [0, 1]) }
        #expect(throws: PKIError.self) { try value(DER.utf8String, [0xFF]) }
        #expect(throws: PKIError.self) { try value(DER.printableString, Array("a@b".utf8)) }
        #expect(throws: PKIError.self) { try value(DER.ia5String, [0x80]) }
        #expect(throws: PKIError.self) { try value(DER.bmpString, [0]) }
        #expect(throws: PKIError.self) { try value(DER.bmpString, [0xD8, 0]) }
    }

    @Test func aNameOfTooManyAttributesIsRefused() throws {
        #expect(throws: PKIError.self) { try name(Array(repeating: ("OU", "x"), count: 65)) }
    }
}

import Encoding
import Testing

@testable import PKI

/// Keys from passwords and boxes closed with them, by the vectors of their specifications.
@Suite struct PasswordTests {
    private func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count, by: 2).compactMap { Hex.byte(digits[$0], digits[$0 + 1]) }
    }

    /// RFC 7914, section 12.
    @Test func scrypt() throws {
        let empty = try Scrypt.key(password: [], salt: [], cost: 16, blockSize: 1, parallelization: 1, length: 64)
        #expect(
            Hex.text(empty)
                == "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                + "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906")
        let key = try Scrypt.key(
            password: Array("pleaseletmein".utf8), salt: Array("SodiumChloride".utf8), cost: 16_384, blockSize: 8,
            parallelization: 1, length: 64)
        #expect(
            Hex.text(key)
                == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
                + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")
    }

    @Test(arguments: [
        (1 << 22, 8, 1), (1 << 40, 8, 1), (16_384, .max, 1), (16_384, 8, 17), (16_384, 8, .max), (3, 8, 1), (1, 8, 1),
        (0, 8, 1), (-2, 8, 1), (16, 0, 1), (16, 8, 0),
    ])
    func scryptHasAPriceLimit(cost: Int, blockSize: Int, parallelization: Int) {
        #expect(throws: PKIError.self) {
            try Scrypt.key(
                password: [1], salt: [2], cost: cost, blockSize: blockSize, parallelization: parallelization,
                length: 32)
        }
    }

    /// The vector of NaCl's own tests (`secretbox.c`).
    @Test func secretBox() {
        let key = bytes("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
        let nonce = bytes("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
        let box = bytes(
            "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c5"
                + "31a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8a"
                + "b932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622"
                + "a43d14a6599b1f654cb45a74e355a5")
        let message =
            "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d4"
            + "5e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a"
            + "024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705"
        #expect(SecretBox.open(box, nonce: nonce, key: key).map(Hex.text) == message)
        // One bit of anything, one byte less or more: nothing.
        for index in box.indices {
            var other = box
            other[index] ^= 1
            #expect(SecretBox.open(other, nonce: nonce, key: key) == nil)
        }
        for index in nonce.indices {
            var other = nonce
            other[index] ^= 0x80
            #expect(SecretBox.open(box, nonce: other, key: key) == nil)
        }
        #expect(SecretBox.open(Array(box.dropLast()), nonce: nonce, key: key) == nil)
        #expect(SecretBox.open(box + [0], nonce: nonce, key: key) == nil)
        #expect(SecretBox.open(Array(box[..<15]), nonce: nonce, key: key) == nil)
        #expect(SecretBox.open([], nonce: nonce, key: key) == nil)
        #expect(SecretBox.open(box, nonce: nonce + [0], key: key) == nil)
        #expect(SecretBox.open(box, nonce: nonce, key: Array(key.dropLast())) == nil)
    }
}

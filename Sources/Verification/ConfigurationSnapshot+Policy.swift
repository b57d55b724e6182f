import Quotation

extension ConfigurationSnapshot {
    /// What is wrong with a policy that asks for artifacts that nobody judges, each type with what it means.
    package var unjudgedTypes: [String] {
        policy.requiredTypes.filter { type in
            !verifiers.contains { $0.canVerify(artifactType: type) && $0.countedType(of: type) == type }
        }.map { type in
            "\(type.quoted): no verifier has this type among its artifactTypes, so that every image is refused"
        }
    }
}

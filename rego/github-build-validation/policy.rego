# Requires a valid cosign signature that a GitHub workflow made while it built an allowed repository.
#
# What was built is in Fulcio's extensions, not in the identity: that names the workflow that signed, and a reusable workflow signs
# for whoever calls it. So the repository is that of sourceRepositoryURI, which GitHub says of the run.
package builds

# ---------------------------------------------------------------------------------------------------------------------
# Parameters

repositories = parameter("repositories", null) {
	true
}

refs = parameter("refs", null) {
	true
}

workflows = parameter("workflows", null) {
	true
}

signer_workflows = parameter("signerWorkflows", null) {
	true
}

issuer = parameter("issuer", "https://token.actions.githubusercontent.com") {
	true
}

server = parameter("server", "https://github.com") {
	true
}

# Lists of which the extension has to have one value, as it is.
exact_lists := {
	"buildTriggers": "buildTrigger",
	"runnerEnvironments": "runnerEnvironment",
	"repositoryIdentifiers": "sourceRepositoryIdentifier",
	"ownerIdentifiers": "sourceRepositoryOwnerIdentifier",
}

# What entries look like, and what to call that.
forms := {
	"repositories": [`^[A-Za-z0-9][A-Za-z0-9_-]*/([A-Za-z0-9._-]+|[*])$`, "a repository: OWNER/NAME, or OWNER/* for all of an owner"],
	"refs": [`^refs/[^*\s]+[*]?$`, "a ref: refs/heads/NAME or refs/tags/NAME, or a prefix of it that ends in one *"],
	"workflows": [`^[.]github/workflows/[^*@/\s]+$`, "a workflow: .github/workflows/FILE"],
	"signerWorkflows": [`^[A-Za-z0-9][A-Za-z0-9_-]*/[A-Za-z0-9._-]+/[.]github/workflows/[^*@/\s]+@[^*@\s]*[^@\s]$`, "a workflow with its ref: OWNER/NAME/.github/workflows/FILE@REF, or a prefix of it that ends in one * after the @"],
	"buildTriggers": [`^[a-z_]+$`, "an event, such as push"],
	"runnerEnvironments": [`^[a-z-]+$`, "an environment, such as github-hosted"],
	"repositoryIdentifiers": [`^[0-9]+$`, "a number as a text"],
	"ownerIdentifiers": [`^[0-9]+$`, "a number as a text"],
}

parameter_problem["repositories must list the repositories that may have built an image"] {
	repositories == null
}

parameter_problem[text] {
	forms[name]
	list := parameter(name, null)
	list != null
	not is_filled_list(list)
	text := sprintf("%s must be a list with at least one entry", [name])
}

parameter_problem[text] {
	form := forms[name]
	list := parameter(name, null)
	is_array(list)
	entry := list[index]
	not is_of_form(name, entry)
	text := sprintf("%s[%v] is %s, which is not %s", [name, index, snippet(entry), form[1]])
}

parameter_problem["issuer must be a URL that begins with https://"] {
	not is_text_of_form(issuer, `^https://[^\s*]+$`)
}

parameter_problem["server must be a URL that begins with https:// and has no path"] {
	not is_text_of_form(server, `^https://[^/\s*]+$`)
}

is_of_form(name, entry) {
	is_text_of_form(entry, forms[name][0])
}

is_text_of_form(text, form) {
	is_string(text)
	regex.match(form, text)
}

# ---------------------------------------------------------------------------------------------------------------------
# Requirements

meets_requirements(value) {
	is_filled_list(repositories)
	count([1 | certificate := certificates(value)[_]; is_allowed(certificate)]) > 0
}

# All that is asked for has to hold of the one certificate. An extension that it does not have agrees with nothing.
is_allowed(certificate) {
	certificate.issuer == issuer
	has_repository(certificate)
	has_ref(certificate)
	has_workflow(certificate)
	has_signer_workflow(certificate)
	has_one_of(certificate, "buildTriggers")
	has_one_of(certificate, "runnerEnvironments")
	has_one_of(certificate, "repositoryIdentifiers")
	has_one_of(certificate, "ownerIdentifiers")
}

has_repository(certificate) {
	entry := repositories[_]
	is_of_form("repositories", entry)
	not endswith(entry, "/*")
	extension(certificate, "sourceRepositoryURI") == concat("/", [server, entry])
}

has_repository(certificate) {
	entry := repositories[_]
	is_of_form("repositories", entry)
	endswith(entry, "/*")
	owner := concat("/", [server, trim_suffix(entry, "*")])
	uri := extension(certificate, "sourceRepositoryURI")
	startswith(uri, owner)
	regex.match(`^[A-Za-z0-9._-]+$`, trim_prefix(uri, owner))
}

has_ref(certificate) {
	refs == null
}

has_ref(certificate) {
	is_one_of(extension(certificate, "sourceRepositoryRef"), "refs", "")
}

has_workflow(certificate) {
	workflows == null
}

# The workflow that the event started. It is one of the repository that was built.
has_workflow(certificate) {
	entry := workflows[_]
	is_of_form("workflows", entry)
	begin := concat("", [extension(certificate, "sourceRepositoryURI"), "/", entry, "@"])
	startswith(extension(certificate, "buildConfigURI"), begin)
}

has_signer_workflow(certificate) {
	signer_workflows == null
}

has_signer_workflow(certificate) {
	is_one_of(extension(certificate, "buildSignerURI"), "signerWorkflows", concat("", [server, "/"]))
}

has_one_of(certificate, list) {
	parameter(list, null) == null
}

has_one_of(certificate, list) {
	entry := parameter(list, null)[_]
	is_of_form(list, entry)
	extension(certificate, exact_lists[list]) == entry
}

# Whether a text is one of a list's entries with something in front, or begins with one up to its star.
is_one_of(text, list, front) {
	entry := parameter(list, null)[_]
	is_of_form(list, entry)
	not endswith(entry, "*")
	text == concat("", [front, entry])
}

is_one_of(text, list, front) {
	entry := parameter(list, null)[_]
	is_of_form(list, entry)
	endswith(entry, "*")
	startswith(text, concat("", [front, trim_suffix(entry, "*")]))
}

# ---------------------------------------------------------------------------------------------------------------------
# Words for a refusal

shortcoming(value) = text {
	found := certificates(value)
	count(found) > 0
	text := sprintf("the policy allows other builds than those that signed it: %s. Let a workflow build and sign it that the policy allows", [concat("; ", sort([build_text(certificate) | certificate := found[_]]))])
} else = "the policy requires a cosign signature that a GitHub workflow made with a certificate of Fulcio's, and there is no valid one. Sign it in the workflow that builds it" {
	true
}

build_text(certificate) = text {
	differences := array.concat(fixed_differences(certificate), list_differences(certificate))
	text := sprintf("%s (%s)", [clean(certificate.identity), concat(", ", differences)])
} else = text {
	text := clean(certificate.identity)
}

fixed_differences(certificate) = array.concat(array.concat(of_issuer, of_repository), array.concat(of_ref, array.concat(of_workflow, of_signer))) {
	of_issuer := [text | not certificate.issuer == issuer; text := sprintf("issuer %s", [clean(certificate.issuer)])]
	of_repository := [text | not has_repository(certificate); text := said(certificate, "sourceRepositoryURI")]
	of_ref := [text | not has_ref(certificate); text := said(certificate, "sourceRepositoryRef")]
	of_workflow := [text | not has_workflow(certificate); text := said(certificate, "buildConfigURI")]
	of_signer := [text | not has_signer_workflow(certificate); text := said(certificate, "buildSignerURI")]
}

list_differences(certificate) = sort([text | name := exact_lists[list]; not has_one_of(certificate, list); text := said(certificate, name)]) {
	true
}

said(certificate, name) = text {
	text := sprintf("%s %s", [name, clean(extension(certificate, name))])
} else = sprintf("no %s", [name]) {
	true
}

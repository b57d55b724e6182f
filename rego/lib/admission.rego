# Admit an object only when every image in it has an answer that says isSuccess == true.
#
# The policy fails closed. It never looks for failures to deny by; it asks of each image whether it is proven
# (`is_verified`) and denies everything else. A missing key, a null, a number where an object belongs, two answers for
# one image, an error, or no answer at all are therefore denials without a rule of their own; the rules further down only
# find words for them.
#
# Two habits keep it that way, and a change should keep them:
#   - a message is built by functions that have a value for every input (`else` chains that end in a constant): an
#     undefined message would make the violation undefined, and an undefined violation admits;
#   - no rule can produce two values and no built-in is called with a type it does not take: an evaluation error
#     reaches the webhook's failurePolicy, which is often Ignore.
#
# A third keeps it in time, for the webhook's failurePolicy decides about a review that takes too long as well: what is
# done grows with the object and with the answer, never with their product. The answer is indexed by key once and looked up
# from there, and what is too large is refused before it is read. What is looked up by key is a rule with one value, such as
# `verified = {…}`: that is evaluated once. Of a partial set (`verified[image] { … }`) OPA evaluates the body for each key
# again, and of a function with the answer as its argument it compares answers.
#
# Every template of this project is made of these rules, rules that say what it requires beyond them, and rules that say
# whether it asks with the namespace; manifests/generate.py puts them together in one package. The others provide:
#   - meets_requirements(value), true for a result that is all that the template requires. Nothing else admits;
#   - shortcoming(value), words for what is missing in a result that says isSuccess == true; a fixed text where it has none;
#   - namespaced_keys, true or false;
#   - parameter_problem[text], more of them.
#
# Rego v0 without the future keywords, for Gatekeeper 3.11 and the Azure Policy add-on.
# Parameters and messages are described in docs/policies.md.
package admission

# ---------------------------------------------------------------------------------------------------------------------
# Verdict

# Every denial begins as those of Ratify's templates do, for the runbooks and alerts that look for it; Gatekeeper puts the
# constraint's name in front: [ratify-constraint] Subject failed verification: registry.example/app:v1 - reason.
violation[{"msg": msg}] {
	not is_delete
	problem[text]
	msg := concat("", ["Subject failed verification: ", text])
}

# A deletion takes nothing into the cluster. Blocking it would keep a refused image running.
is_delete {
	input.review.operation == "DELETE"
}

# A problem begins with what failed: an image, or the object where it is not one image's.
problem[text] {
	parameter_problem[complaint]
	text := sprintf("%s - the constraint's parameters are wrong, so nothing is admitted by it: %s", [object_text, complaint])
}

problem[text] {
	object_problem[complaint]
	text := sprintf("%s - %s", [object_text, complaint])
}

problem[text] {
	answer_problem[complaint]
	text := sprintf("%s - %s", [object_text, complaint])
}

problem[text] {
	count(parameter_problem) == 0
	images_to_verify[image]
	not verified[image]
	not undetermined[image]
	text := sprintf("%s - %s", [clean(image), reason(image)])
}

# Beside items the provider reports passing faults (a slow registry, throttling) as a system error. Such an answer is no
# verdict about an image, and the message says so: whoever reads it should try again, not sign again.
problem[text] {
	fault := system_failure
	text := sprintf("%s - it could not be verified because of a fault, which is no verdict about the signature: %s. Try again; if it stays, tell the operators of the signature verification service", [in_doubt, fault])
}

# ---------------------------------------------------------------------------------------------------------------------
# Parameters

# The API server has checked them against the template's schema. They are checked again because a policy that ignores a
# setting it cannot read may admit what that setting should have stopped.

parameters = p {
	p := input.parameters
	is_object(p)
} else = {} {
	true
}

# The value of a parameter; null counts as not given.
parameter(name, fallback) = value {
	value := parameters[name]
	value != null
} else = fallback {
	true
}

provider = parameter("provider", "ratify-provider") {
	true
}

exempt_images = parameter("exemptImages", []) {
	true
}

# Gatekeeper's webhook waits 3 s unless told otherwise: docs/limits.md has what a hundred images cost.
maximum_images = parameter("maximumImages", 100) {
	true
}

# A name that is not a parameter is a misspelt one, and what it should have asked for would be missing.
# known_parameters comes from the template's schema.
parameter_problem[text] {
	value := parameters[name]
	not known_parameters[name]
	text := sprintf("there is no parameter %s", [snippet(name)])
}

parameter_problem["parameters must be an object"] {
	p := input.parameters
	p != null
	not is_object(p)
}

parameter_problem["provider must be the name of a Provider object"] {
	not is_filled_string(provider)
}

parameter_problem["maximumImages must be a number of at least 1"] {
	not is_positive(maximum_images)
}

parameter_problem["exemptImages must be a list"] {
	not is_array(exempt_images)
}

parameter_problem[text] {
	is_array(exempt_images)
	entry := exempt_images[_]
	not is_exemption(entry)
	text := sprintf("exemptImages entry %s is neither an image reference nor a prefix that ends in one * and contains a / or an @", [snippet(entry)])
}

# ---------------------------------------------------------------------------------------------------------------------
# Pod specifications of the object under review

reviewed = o {
	o := input.review.object
	is_object(o)
} else = {} {
	true
}

kind = k {
	k := input.review.kind.kind
	is_filled_string(k)
} else = k {
	k := reviewed.kind
	is_filled_string(k)
} else = "object without a kind" {
	true
}

# What messages call the object: its kind and, where it has one already, its name.
object_text = text {
	name := reviewed.metadata.name
	is_filled_string(name)
	text := sprintf("%s %s", [clean(kind), clean(name)])
} else = text {
	text := clean(kind)
}

# Kinds whose pod template is at spec.template.
template_kinds := {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}

known_kinds := template_kinds | {"Pod", "CronJob", "PodTemplate"}

pod_spec[spec] {
	kind == "Pod"
	spec := reviewed.spec
}

pod_spec[spec] {
	template_kinds[kind]
	spec := reviewed.spec.template.spec
}

pod_spec[spec] {
	kind == "CronJob"
	spec := reviewed.spec.jobTemplate.spec.template.spec
}

pod_spec[spec] {
	kind == "PodTemplate"
	spec := reviewed.template.spec
}

# Other kinds that a constraint matches are read at the places that workloads commonly use. Where there is none of these,
# the images cannot be found, and what cannot be found cannot be verified.
pod_spec[spec] {
	not known_kinds[kind]
	spec := reviewed.spec.template.spec
}

pod_spec[spec] {
	not known_kinds[kind]
	spec := reviewed.spec.jobTemplate.spec.template.spec
}

pod_spec[spec] {
	not known_kinds[kind]
	spec := reviewed.spec
	is_array(spec.containers)
}

# Iterated as `spec := pod_spec[_]`: a bare `pod_spec[spec]` is not true for a specification that is false.

object_problem["there is no pod specification in it to read images from, so nothing can be verified. Let the constraint match only Pods and workloads that hold a pod template"] {
	count(pod_spec) == 0
}

object_problem["its pod specification is not an object, so no image can be verified"] {
	spec := pod_spec[_]
	not is_object(spec)
}

object_problem["its pod specification has no containers, so there is nothing to verify"] {
	spec := pod_spec[_]
	is_object(spec)
	length(member(spec, "containers")) == 0
}

object_problem[text] {
	spec := pod_spec[_]
	field := spec_lists[_]
	value := member(spec, field)
	value != null
	not is_array(value)
	text := sprintf("%s in its pod specification is not a list, so its images cannot be verified", [field])
}

# ---------------------------------------------------------------------------------------------------------------------
# Size

# A review that takes longer than Gatekeeper's webhook waits is admitted where the webhook's failurePolicy is Ignore. So
# there is an end to what is looked at and asked for: ten containers and volumes for each image that may be in an object,
# counted without reading them, and so many different images. What is larger is refused, whatever is in it.
has_readable_size {
	places <= maximum_places
}

has_size_to_ask {
	has_readable_size
	is_positive(maximum_images)
	count(images) <= maximum_images
}

maximum_places = 10 * maximum_images {
	is_positive(maximum_images)
} else = 0 {
	true
}

places = sum([length(member(spec, field)) | spec := pod_spec[_]; field := spec_lists[_]]) {
	true
}

length(list) = count(list) {
	is_array(list)
} else = count(list) {
	is_object(list)
} else = 0 {
	true
}

object_problem[text] {
	is_positive(maximum_images)
	not has_size_to_ask
	text := size_text
}

size_text = text {
	not has_readable_size
	text := sprintf("it has %v containers and volumes, and at most %v are looked at (ten for each of maximumImages), so nothing in it is verified. Split it into several objects", [places, maximum_places])
} else = text {
	text := sprintf("it has %v different images, and the policy allows %v in one object, so none of them is verified. Split it into several objects, or raise maximumImages in the constraint", [count(images), maximum_images])
}

# ---------------------------------------------------------------------------------------------------------------------
# Images

# Lists of a pod specification that name images, and what to call an entry.
container_lists := {
	"containers": "container",
	"initContainers": "init container",
	"ephemeralContainers": "ephemeral container",
}

spec_lists := ["containers", "initContainers", "ephemeralContainers", "volumes"]

# One use of an image: where it is, and the value found there (null where there is none).
use[u] {
	has_readable_size
	spec := pod_spec[_]
	what := container_lists[field]
	container := spec[field][index]
	u := {"where": place(what, field, index, container), "image": member(container, "image")}
}

use[u] {
	has_readable_size
	spec := pod_spec[_]
	volume := spec.volumes[index]
	source := member(volume, "image")
	source != null
	u := {"where": place("image volume", "volumes", index, volume), "image": member(source, "reference")}
}

object_problem[text] {
	has_readable_size
	spec := pod_spec[_]
	volume := spec.volumes[index]
	not is_object(volume)
	text := sprintf("volumes[%v] is not an object, so it cannot be verified", [index])
}

object_problem[text] {
	use[u]
	not is_filled_string(u.image)
	text := sprintf("%s has no image, so there is nothing to verify. Name its image", [u.where])
}

# Keys may carry a namespace in brackets, so an image with brackets of its own could ask for the trust and the credentials
# of another tenant. A bracket is part of an image reference around an IPv6 address, its registry's, and nowhere else.
# The provider refuses longer ones as well; here the size of an object ends with them.
is_too_long(image) {
	count(image) > 1024
}

object_problem[text] {
	use[u]
	is_filled_string(u.image)
	is_too_long(u.image)
	text := sprintf("%s: %s is not an image reference: it has %v characters, and at most 1024 are accepted", [u.where, substring(clean(u.image), 0, 80), count(u.image)])
}

object_problem[text] {
	use[u]
	is_filled_string(u.image)
	not is_too_long(u.image)
	borrows_a_namespace(u.image)
	text := sprintf("%s: %s is not an image reference: a bracket may only be around the IPv6 address of a registry. Name the image without a namespace", [u.where, clean(u.image)])
}

borrows_a_namespace(image) {
	regex.match(`[\[\]]`, image)
	not regex.match(`^\[[0-9a-fA-F.]*:[0-9a-fA-F:.]*\](:[0-9]+)?/[^\[\]]+$`, image)
}

images = {image |
	use[u]
	image := u.image
	is_filled_string(image)
	not is_too_long(image)
	not borrows_a_namespace(image)
} {
	true
}

images_to_verify = {image | images[image]; not exempt(image)} {
	has_size_to_ask
} else = set() {
	true
}

# ---------------------------------------------------------------------------------------------------------------------
# Exemptions

# An exemption is compared with the image as it is written in the object, but for the registry, which has one spelling
# however it is written (see canonical). Repository, tag and digest are compared byte by byte: `nginx` does not cover
# `docker.io/library/nginx`, since what a short name means is up to the node's runtime. Only a well-formed reference can be
# exempt: what a runtime might read in another way than this policy (.., empty components, white space) is always verified.
exempt(image) {
	is_reference(image)
	exempt_names[canonical(image)]
}

exempt(image) {
	count(exempt_prefixes) > 0
	is_reference(image)
	startswith(short_name(canonical(image)), exempt_prefixes[_])
}

exempt(image) {
	count(exempt_library_prefixes) > 0
	is_reference(image)
	startswith(canonical(image), exempt_library_prefixes[_])
}

exempt_names = {name |
	entry := exempt_images[_]
	is_exemption(entry)
	not endswith(entry, "*")
	name := canonical(entry)
} {
	true
}

# A prefix is compared with one spelling of an image. Docker Hub's own images are spelt without their namespace: docker.io/ng* is
# about docker.io/nginx, and docker.io/l* is not about all of them because they are in `library`. A prefix that names that
# namespace whole is compared with the spelling that has it.
exempt_prefixes = all_prefixes - exempt_library_prefixes {
	true
}

exempt_library_prefixes = {prefix | all_prefixes[prefix]; names_library(prefix)} {
	true
}

all_prefixes = {prefix |
	entry := exempt_images[_]
	is_exemption(entry)
	endswith(entry, "*")
	prefix := with_one_registry(trim_suffix(entry, "*"))
} {
	true
}

names_library(prefix) {
	startswith(prefix, "docker.io/library/")
}

names_library(prefix) {
	prefix == "docker.io/library"
}

# A canonical name, of Docker Hub's own images without `library/`: such a repository has one component.
short_name(name) = text {
	repository := trim_prefix(name, "docker.io/library/")
	repository != name
	indexof(repository, "/") < 0
	text := concat("", ["docker.io/", repository])
} else = name {
	true
}

# The name of an image with its registry spelt as ImageReference does, and `library/` where Docker Hub's own images are.
canonical(name) = text {
	text := with_one_registry(name)
	not startswith(text, "docker.io/")
} else = text {
	repository := trim_prefix(with_one_registry(name), "docker.io/")
	repository != ""
	indexof(repository, "/") < 0
	text := concat("", ["docker.io/library/", repository])
} else = text {
	text := with_one_registry(name)
}

# The first component is a registry when it has a dot or a colon or is localhost (distribution/reference, splitDockerDomain).
with_one_registry(name) = text {
	slash := indexof(name, "/")
	slash > 0
	first := substring(name, 0, slash)
	is_registry(first)
	text := concat("", [registry(first), substring(name, slash, -1)])
} else = name {
	true
}

is_registry(first) {
	regex.match(`[.:]`, first)
}

is_registry(first) {
	lower(first) == "localhost"
}

# One spelling of a registry: lower case, no dot at the end of the host, no port 443, which is that of https, and one name for
# Docker Hub. Port 80 stays: only a store with useHttp takes it for the default, and this policy does not see stores.
registry(text) = name {
	whole := lower(text)
	port := concat("", regex.find_n(`:[0-9]+$`, whole, 1))
	host := known_host(trim_suffix(trim_suffix(whole, port), "."))
	name := concat("", [host, port_text(port)])
}

known_host(host) = "docker.io" {
	docker_hub[host]
} else = host {
	true
}

docker_hub := {"docker.io", "index.docker.io", "registry-1.docker.io"}

port_text(port) = "" {
	port == ""
} else = "" {
	trim_left(port, ":0") == "443"
} else = text {
	text := concat("", [":", trim_left(port, ":0")])
}

is_exemption(entry) {
	is_filled_string(entry)
	regex.match(`^[^*]+$`, entry)
}

# A prefix has to fix the registry it is about. `registry.io*` would cover registry.io.attacker.example, and `nginx:*` a
# registry called nginx on some port; a / or an @ ends the host name.
is_exemption(entry) {
	is_string(entry)
	regex.match(`^[^*]*[/@][^*]*[*]$`, entry)
}

# The grammar of references that container runtimes share:
# [host[:port]/]component{/component}[:tag][@digest], a host may be an IPv6 address in brackets.
is_reference(image) {
	regex.match(`^((([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])([.]([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(:[1-9][0-9]*)?/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?(@[a-zA-Z][a-zA-Z0-9]*([-_+.][a-zA-Z][a-zA-Z0-9]*)*:[0-9a-fA-F]+)?$`, image)
}

# ---------------------------------------------------------------------------------------------------------------------
# The question and its answer

key(image) = image {
	namespaced_keys == false
}

key(image) = k {
	namespaced_keys == true
	k := sprintf("[%s]%s", [namespace, image])
}

# Undefined when the object has none: with namespacedKeys its images then have no key, and no key is ever verified.
namespace = n {
	n := input.review.namespace
	is_filled_string(n)
} else = n {
	n := reviewed.metadata.namespace
	is_filled_string(n)
}

object_problem["it has no namespace, and namespacedKeys is on, so its images cannot be verified"] {
	namespaced_keys == true
	count(images_to_verify) > 0
	not namespace
}

asked_for = {k | images_to_verify[image]; k := key(image)} {
	true
}

# Null when there is nothing to ask, and then the provider is not called; null too when the call gives nothing, as when
# there is no Provider object of that name. Each image is asked for once and in order: Gatekeeper passes duplicates on.
answer = a {
	count(parameter_problem) == 0
	count(asked_for) > 0
	a := external_data({"provider": provider, "keys": sort([k | asked_for[k]])})
} else = null {
	true
}

# In both lists an entry is a pair of key and content.
responses = list {
	list := answer.responses
	is_array(list)
} else = [] {
	true
}

errors = list {
	list := answer.errors
	is_array(list)
} else = [] {
	true
}

is_pair(pair) {
	is_array(pair)
	count(pair) == 2
	is_string(pair[0])
}

# The index of the answer: key → its first place in the list, and the keys that have more than one. Sorted, the places of
# one key are neighbours; an object made of the pairs themselves would be an error where a key comes twice.
response_places = sort([[pair[0], index] | pair := responses[index]; is_pair(pair)]) {
	true
}

error_places = sort([[pair[0], index] | pair := errors[index]; is_pair(pair)]) {
	true
}

response_at = {k: index |
	[k, index] := response_places[i]
	not response_places[i - 1][0] == k
} {
	true
}

error_at = {k: index |
	[k, index] := error_places[i]
	not error_places[i - 1][0] == k
} {
	true
}

several_responses = {k |
	k := response_places[i][0]
	response_places[i - 1][0] == k
} {
	true
}

# Defined when the answer has a system error; anything but an empty string or null is one.
system_failure = text {
	fault := answer.system_error
	is_string(fault)
	fault != ""
	text := clean(fault)
} else = text {
	fault := answer.system_error
	fault != null
	not is_string(fault)
	text := snippet(fault)
}

# An image without an item in an answer that has a system error.
undetermined = {image |
	system_failure
	images_to_verify[image]
	k := key(image)
	not response_at[k]
	not error_at[k]
} {
	true
}

in_doubt = concat(", ", sort([clean(image) | undetermined[image]])) {
	count(undetermined) > 0
} else = object_text {
	true
}

# An answer that is not what the protocol promises is not trusted in any part.

malformed_answer := "the answer of the signature verification service is malformed"

answer_problem[text] {
	a := answer
	a != null
	not is_object(a)
	text := sprintf("%s: it is no object", [malformed_answer])
}

answer_problem[text] {
	part := ["responses", "errors"][_]
	value := member(answer, part)
	value != null
	not is_array(value)
	text := sprintf("%s: %s is not a list", [malformed_answer, part])
}

answer_problem[text] {
	entry := responses[_]
	not is_pair(entry)
	text := sprintf("%s: its responses hold %s, which is no pair of image and result", [malformed_answer, snippet(entry)])
}

# Errors that belong to no image: one without a key, or for a key that was not asked for. They say that something is
# wrong, not with what.
answer_problem[text] {
	entry := errors[_]
	not is_about_an_image(entry)
	text := sprintf("the signature verification service reports an error that belongs to no image of this object: %s", [snippet(entry)])
}

is_about_an_image(entry) {
	is_pair(entry)
	asked_for[entry[0]]
}

# ---------------------------------------------------------------------------------------------------------------------
# What counts as verified: the only way to be admitted

verified = {image |
	images_to_verify[image]
	k := key(image)
	not error_at[k]
	not several_responses[k]
	is_accepted(responses[response_at[k]][1])
} {
	true
}

is_accepted(value) {
	is_object(value)
	value.isSuccess == true
	has_sound_reports(value)
	count(insufficient_parts(value)) == 0
}

# Of an image for several platforms the reports may be about several digests, each of which must be signed. What the template
# requires has to hold for each of them: two platforms with one signature each are not an image with two signatures. A report
# that does not say which digest it is about counts for all.
parts(value) = [part |
	judged_digests(value)[digest]
	part := {"isSuccess": true, "verifierReports": [report | report := value.verifierReports[_]; is_about(report, digest)]}
] {
	count(judged_digests(value)) > 1
} else = [value] {
	true
}

insufficient_parts(value) = [part | part := parts(value)[_]; not meets_requirements(part)] {
	true
}

judged_digests(value) = {digest | digest := subject_of(value.verifierReports[_]); digest != ""} {
	true
}

subject_of(report) = digest {
	digest := report.extensions.subjectDigest
	is_filled_string(digest)
} else = "" {
	true
}

is_about(report, digest) {
	subject_of(report) == digest
}

is_about(report, digest) {
	subject_of(report) == ""
}

# A list of objects, or absent.
has_sound_reports(value) {
	reports := member(value, "verifierReports")
	is_array(reports)
	count([r | r := reports[_]; not is_object(r)]) == 0
}

has_sound_reports(value) {
	member(value, "verifierReports") == null
}

# `type` is the older name of `verifierType`.
report_type(report) = t {
	t := report.verifierType
	is_filled_string(t)
} else = t {
	t := report.type
	is_filled_string(t)
} else = "" {
	true
}

# ---------------------------------------------------------------------------------------------------------------------
# Words for a refusal

reason(image) = text {
	text := reason_for_key(key(image))
} else = "it could not be looked up" {
	true
}

reason_for_key(k) = text {
	text := snippet(errors[error_at[k]][1])
} else = text {
	answer == null
	text := sprintf("the signature verification service did not answer (Provider object %s)", [snippet(provider)])
} else = "the signature verification service gave several results for it, so none of them can be relied on" {
	several_responses[k]
} else = text {
	text := reason_in_value(responses[response_at[k]][1])
} else = "the signature verification service gave no result for it" {
	true
}

reason_in_value(value) = text {
	not is_object(value)
	text := sprintf("the result is malformed: %s", [snippet(value)])
} else = text {
	not is_boolean(member(value, "isSuccess"))
	text := sprintf("the result is malformed: isSuccess is %s instead of true or false%s", [snippet(member(value, "isSuccess")), trace_of(value)])
} else = text {
	value.isSuccess == false
	failed := failed_reports(value)
	count(failed) > 0
	text := sprintf("%s%s%s", [report_text(failed[0]), more(count(failed) - 1), trace_of(value)])
} else = text {
	value.isSuccess == false
	text := sprintf("its signatures did not verify, and the result does not say why%s", [trace_of(value)])
} else = text {
	not has_sound_reports(value)
	text := sprintf("the result is malformed: verifierReports is not a list of reports%s", [trace_of(value)])
} else = text {
	insufficient := insufficient_parts(value)
	part := insufficient[0]
	text := sprintf("%s%s%s", [shortcoming(part), about_text(value, part), trace_of(value)])
} else = text {
	text := sprintf("%s%s", [shortcoming(value), trace_of(value)])
} else = "the result does not satisfy the policy" {
	true
}

# Which of several digests a part of the result is about.
about_text(value, part) = text {
	count(judged_digests(value)) > 1
	digests := sort([digest | judged_digests(part)[digest]])
	text := sprintf(" (this is about %s)", [clean(digests[0])])
} else = "" {
	true
}

# The reports that did not pass; those of attached artifacts only where no other tells why.
failed_reports(value) = failed {
	failed := [r | r := value.verifierReports[_]; is_object(r); not r.isSuccess == true]
	count(failed) > 0
} else = nested {
	nested := [n | n := value.verifierReports[_].nestedResults[_]; is_object(n); not n.isSuccess == true]
} else = [] {
	true
}

report_text(report) = text {
	said := report_words(report)
	count(said) > 0
	text := sprintf("%s%s", [verifier_prefix(report), concat(". ", said)])
} else = text {
	text := sprintf("%sthe check failed, and the report does not say why", [verifier_prefix(report)])
}

# Message, cause and remedy, each once and none empty, in this order.
report_words(report) = array.concat(array.concat(message, cause), remedy) {
	message := words_of(report, "message", [])
	cause := words_of(report, "errorReason", message)
	remedy := words_of(report, "remediation", array.concat(message, cause))
}

words_of(report, field, already) = [text] {
	value := report[field]
	is_string(value)
	text := trim(clean(value), ". ")
	text != ""
	count([1 | already[_] == text]) == 0
} else = [] {
	true
}

verifier_prefix(report) = sprintf("%s: ", [clean(name)]) {
	name := report.verifierName
	is_filled_string(name)
} else = sprintf("%s: ", [clean(name)]) {
	name := report.name
	is_filled_string(name)
} else = "" {
	true
}

more(others) = "" {
	others < 1
} else = " (1 more check failed)" {
	others == 1
} else = sprintf(" (%d more checks failed)", [others]) {
	true
}

trace_of(value) = sprintf(" [trace %s]", [clean(id)]) {
	id := value.traceID
	is_filled_string(id)
} else = "" {
	true
}

# ---------------------------------------------------------------------------------------------------------------------
# Values of any type

# A member of an object that may be no object; null where there is none.
member(value, name) = found {
	is_object(value)
	found := value[name]
} else = null {
	true
}

is_positive(value) {
	is_number(value)
	value >= 1
}

is_filled_string(value) {
	is_string(value)
	trim(value, " \t\r\n") != ""
}

place(what, field, index, item) = text {
	name := member(item, "name")
	is_filled_string(name)
	text := sprintf("%s %s", [what, clean(name)])
} else = text {
	text := sprintf("%s %s[%v]", [what, field, index])
}

# Any value as one line of bounded length.
snippet(value) = text {
	is_string(value)
	text := clean(value)
} else = text {
	text := clean(json.marshal(value))
} else = "(unreadable)" {
	true
}

clean(text) = one_line(text) {
	count(text) <= 1000
} else = concat("", [one_line(substring(text, 0, 1000)), " (cut)"]) {
	true
}

one_line(text) = replace(replace(replace(text, "\r", " "), "\n", " "), "\t", " ") {
	true
}

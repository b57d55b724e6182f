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

violation[{"msg": msg}] {
	not is_delete
	problem[msg]
}

# A deletion takes nothing into the cluster. Blocking it would keep a refused image running.
is_delete {
	input.review.operation == "DELETE"
}

problem[msg] {
	parameter_problem[text]
	msg := sprintf("the constraint's parameters are wrong, so nothing is admitted by it: %s", [text])
}

problem[msg] {
	object_problem[msg]
}

problem[msg] {
	answer_problem[msg]
}

problem[msg] {
	count(parameter_problem) == 0
	a := answer
	images_to_verify[image]
	not is_verified(a, image)
	not is_undetermined(a, image)
	msg := sprintf("image %s is refused: %s", [image, reason(a, image)])
}

# Beside items the provider reports passing faults (a slow registry, throttling) as a system error. Such an answer is no
# verdict about an image, and the message says so: whoever reads it should try again, not sign again.
problem[msg] {
	a := answer
	fault := system_failure(a)
	msg := sprintf("%s could not be verified because of a fault, which is no verdict about the signature: %s. Try again; if it stays, tell the operators of the signature verification service", [images_in_doubt(a), fault])
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

parameter_problem["exemptImages must be a list"] {
	not is_array(exempt_images)
}

parameter_problem[text] {
	is_array(exempt_images)
	entry := exempt_images[_]
	not is_exemption(entry)
	text := sprintf("exemptImages entry %s is neither an image reference nor a prefix that ends in one * and contains a / or an @", [json.marshal(entry)])
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

object_problem[msg] {
	count(pod_spec) == 0
	msg := sprintf("%s: there is no pod specification in it to read images from, so nothing can be verified. Let the constraint match only Pods and workloads that hold a pod template", [kind])
}

object_problem[msg] {
	spec := pod_spec[_]
	not is_object(spec)
	msg := sprintf("%s: its pod specification is not an object, so no image can be verified", [kind])
}

object_problem[msg] {
	spec := pod_spec[_]
	is_object(spec)
	count([1 | spec.containers[_]]) == 0
	msg := sprintf("%s: its pod specification has no containers, so there is nothing to verify", [kind])
}

object_problem[msg] {
	spec := pod_spec[_]
	field := spec_lists[_]
	value := member(spec, field)
	value != null
	not is_array(value)
	msg := sprintf("%s: %s in its pod specification is not a list, so its images cannot be verified", [kind, field])
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
	spec := pod_spec[_]
	what := container_lists[field]
	container := spec[field][index]
	u := {"where": place(what, field, index, container), "image": member(container, "image")}
}

use[u] {
	spec := pod_spec[_]
	volume := spec.volumes[index]
	source := member(volume, "image")
	source != null
	u := {"where": place("image volume", "volumes", index, volume), "image": member(source, "reference")}
}

object_problem[msg] {
	spec := pod_spec[_]
	volume := spec.volumes[index]
	not is_object(volume)
	msg := sprintf("%s: volumes[%v] is not an object, so it cannot be verified", [kind, index])
}

object_problem[msg] {
	use[u]
	not is_filled_string(u.image)
	msg := sprintf("%s has no image, so there is nothing to verify. Name its image", [u.where])
}

# Keys may carry a namespace in brackets, so an image that starts with brackets of its own could ask for the trust of
# another tenant. Only an IPv6 registry address is a bracket at the start of an image reference.
object_problem[msg] {
	use[u]
	is_filled_string(u.image)
	borrows_a_namespace(u.image)
	msg := sprintf("%s: %s is not an image reference", [u.where, clean(u.image)])
}

borrows_a_namespace(image) {
	startswith(image, "[")
	not regex.match(`^\[[0-9a-fA-F.]*:[0-9a-fA-F:.]*\].+$`, image)
}

images[image] {
	use[u]
	image := u.image
	is_filled_string(image)
	not borrows_a_namespace(image)
}

images_to_verify[image] {
	images[image]
	not exempt(image)
}

# ---------------------------------------------------------------------------------------------------------------------
# Exemptions

# An exemption compares the image as it is written in the object, byte by byte: `nginx` does not cover
# `docker.io/library/nginx`, and nothing is expanded, folded or decoded first. Only a well-formed reference can be exempt:
# what a runtime might read in another way than this policy (.., empty components, white space) is always verified.
exempt(image) {
	is_reference(image)
	entry := exempt_images[_]
	is_exemption(entry)
	matches_exemption(image, entry)
}

matches_exemption(image, entry) {
	image == entry
}

matches_exemption(image, entry) {
	endswith(entry, "*")
	startswith(image, trim_suffix(entry, "*"))
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
	regex.match(`^((([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])([.]([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(:[0-9]+)?/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?(@[a-zA-Z][a-zA-Z0-9]*([-_+.][a-zA-Z][a-zA-Z0-9]*)*:[0-9a-fA-F]+)?$`, image)
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

object_problem[msg] {
	namespaced_keys == true
	count(images_to_verify) > 0
	not namespace
	msg := sprintf("%s: it has no namespace, and namespacedKeys is on, so its images cannot be verified", [kind])
}

# Each image once and in order: Gatekeeper passes duplicates on.
keys = sort([key(image) | images_to_verify[image]]) {
	true
}

# Null when there is nothing to ask, and then the provider is not called; null too when the call gives nothing, as when
# there is no Provider object of that name. The rules below take the answer as an argument `a`.
answer = a {
	count(parameter_problem) == 0
	question := keys
	count(question) > 0
	a := external_data({"provider": provider, "keys": question})
} else = null {
	true
}

# What the answer holds for one key. In both lists an entry is a pair of key and content.
values_for(a, k) = [pair[1] | pair := a.responses[_]; is_pair(pair); pair[0] == k] {
	true
}

errors_for(a, k) = [pair[1] | pair := a.errors[_]; is_pair(pair); pair[0] == k] {
	true
}

is_pair(pair) {
	is_array(pair)
	count(pair) == 2
	is_string(pair[0])
}

# Defined when the answer has a system error; anything but an empty string or null is one.
system_failure(a) = text {
	fault := a.system_error
	is_string(fault)
	fault != ""
	text := clean(fault)
} else = text {
	fault := a.system_error
	fault != null
	not is_string(fault)
	text := snippet(fault)
}

# An image without an item in an answer that has a system error.
is_undetermined(a, image) {
	system_failure(a)
	k := key(image)
	count(values_for(a, k)) == 0
	count(errors_for(a, k)) == 0
}

images_in_doubt(a) = text {
	undetermined := sort([image | images_to_verify[image]; is_undetermined(a, image)])
	count(undetermined) > 0
	text := sprintf("image %s", [concat(", ", undetermined)])
} else = "one or more images" {
	true
}

# An answer that is not what the protocol promises is not trusted in any part.

malformed_answer := "the answer of the signature verification service is malformed"

answer_problem[msg] {
	a := answer
	complaints := (malformed_parts(a) | malformed_entries(a)) | unattributed_errors(a)
	complaints[msg]
}

malformed_parts(a) = {msg |
	part := ["responses", "errors"][_]
	value := member(a, part)
	value != null
	not is_array(value)
	msg := sprintf("%s: %s is not a list", [malformed_answer, part])
} {
	is_object(a)
} else = set() {
	a == null
} else = {msg} {
	msg := sprintf("%s: it is no object", [malformed_answer])
}

malformed_entries(a) = {msg |
	entry := a.responses[_]
	not is_pair(entry)
	msg := sprintf("%s: its responses hold %s, which is no pair of image and result", [malformed_answer, snippet(entry)])
} {
	true
}

# Errors that belong to no image: one without a key, or for a key that was not asked for. They say that something is
# wrong, not with what.
unattributed_errors(a) = {msg |
	entry := a.errors[_]
	not is_about_an_image(entry)
	msg := sprintf("the signature verification service reports an error that belongs to no image of this object: %s", [snippet(entry)])
} {
	true
}

is_about_an_image(entry) {
	is_pair(entry)
	asked_for(entry[0])
}

asked_for(k) {
	keys[_] == k
}

# ---------------------------------------------------------------------------------------------------------------------
# What counts as verified: the only way to be admitted

is_verified(a, image) {
	k := key(image)
	count(errors_for(a, k)) == 0
	values := values_for(a, k)
	count(values) == 1
	is_accepted(values[0])
}

is_accepted(value) {
	is_object(value)
	value.isSuccess == true
	has_sound_reports(value)
	meets_requirements(value)
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

reason(a, image) = text {
	text := reason_for_key(a, key(image))
} else = "it could not be looked up" {
	true
}

reason_for_key(a, k) = text {
	errors := errors_for(a, k)
	count(errors) > 0
	text := snippet(errors[0])
} else = text {
	a == null
	text := sprintf("the signature verification service did not answer (Provider object %s)", [snippet(provider)])
} else = text {
	values := values_for(a, k)
	count(values) == 1
	text := reason_in_value(values[0])
} else = text {
	count(values_for(a, k)) > 1
	text := sprintf("the signature verification service gave %d results for it, so none of them can be relied on", [count(values_for(a, k))])
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
	text := sprintf("%s%s", [shortcoming(value), trace_of(value)])
} else = "the result does not satisfy the policy" {
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

clean(text) = line {
	flat := one_line(text)
	count(flat) <= 1000
	line := flat
} else = line {
	line := concat("", [substring(one_line(text), 0, 1000), " (cut)"])
}

one_line(text) = replace(replace(replace(text, "\r", " "), "\n", " "), "\t", " ") {
	true
}

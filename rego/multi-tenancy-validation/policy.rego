# The default policy, but the provider is always asked with the object's namespace, and no constraint can say otherwise:
# what one tenant trusts is never another's. Name and kind are the default template's, as in Ratify's library: a cluster has
# the one or the other.
package multitenancy

namespaced_keys = true

parameter_problem["namespacedKeys cannot be turned off under this template: it always asks with the namespace"] {
	parameter("namespacedKeys", true) != true
}

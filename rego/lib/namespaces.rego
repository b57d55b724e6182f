# Whether the provider is asked with the object's namespace, so that trust configuration of that namespace comes before the
# cluster's: as each constraint says.
package namespaces

namespaced_keys = parameter("namespacedKeys", false) {
	true
}

parameter_problem["namespacedKeys must be true or false"] {
	not is_boolean(namespaced_keys)
}

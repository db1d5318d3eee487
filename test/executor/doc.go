// Package executor is what its tests and the executor's benchmark share: the remediation exporter as a whole, on the real
// Kubernetes API of internal/kubetest, with receivers of its events. The tests prove of the whole what the tests of its
// parts prove of them.
package executor

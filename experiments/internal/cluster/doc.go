// Package cluster runs the simulated shop on a real Kubernetes API: its services are Deployments and StatefulSets of the
// lab in test/kubernetes, whose controllers, scheduler and simulated kubelets make the pods.
//
// What goes to and fro, once for each second of the simulation ([Shop.Sync]):
//
//	from the API to the shop    which pods there are, of which version, and whether they are ready: a rollout restart, a scaling, a
//	                            rollback, an eviction or a drain has the effect that it would have on a real workload
//	                            NetworkPolicies that cut pods off; the ConfigMap "admission"; Jobs that flush the cache
//	from the shop to the API    containers that crash or are killed for memory, as a kubelet would tell
//
// New pods take their time to start, and are slow at first.
package cluster

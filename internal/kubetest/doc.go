// Package kubetest gives tests a real Kubernetes control plane: etcd, API server, controllers, scheduler and simulated
// nodes, as test/kubernetes builds them into one binary.
//
// A test asks for the lab and works with it in the types of k8s.io/api:
//
//	func TestKubernetesRestart(t *testing.T) {
//		lab := kubetest.Shared(t) // skips when there is no lab, fails when PARAMEDIC_KUBERNETES_REQUIRED is set
//		ns := lab.Namespace(t)
//		web := kubetest.Deployment(ns, "web", 3)
//		lab.Create(t, web)
//		lab.WaitRolledOut(t, web)
//		config := lab.ServiceAccount(t, ns, kubetest.Grant{Namespace: ns, Rules: rules})
//		changed := lab.Changes(t, func() { actWith(config) }, ns)
//		require.Equal(t, []string{"updated Deployment web"}, changed.Strings())
//	}
//
// Tests that need the lab are named TestKubernetes..., so that make test-kubernetes finds them. What a client asked for is
// told by a [Recorder] on its own side and by [Lab.Audit] on the server's; [FaultProxy] stands between the two and breaks
// things on purpose.
package kubetest

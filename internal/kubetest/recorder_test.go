package kubetest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

func TestKubernetesRecorder(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	web := kubetest.Deployment(ns, "web", 1)
	lab.Create(t, web)
	lab.WaitRolledOut(t, web)
	pod := lab.Pods(t, ns, kubetest.Selector("web"))[0].Name

	for _, encoding := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(encoding, func(t *testing.T) {
			recorder := &kubetest.Recorder{}
			config := lab.Config(t)
			config.ContentType = encoding
			client, err := kubernetes.NewForConfig(recorder.Watch(config))
			require.NoError(t, err)
			ctx, try := t.Context(), metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}

			_, err = client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
			require.NoError(t, err)
			_, err = client.AppsV1().Deployments(ns).Get(ctx, "none", metav1.GetOptions{})
			require.Error(t, err)
			_, err = client.AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
			require.NoError(t, err)
			_, err = client.AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			require.NoError(t, err)
			require.NoError(t, client.CoreV1().Pods(ns).Delete(ctx, pod, try))
			require.NoError(t, client.CoreV1().Pods(ns).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod}, DeleteOptions: &try}))
			_, err = client.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
			require.NoError(t, err)
			_, err = client.Discovery().ServerVersion()
			require.NoError(t, err)

			var got []string
			for _, request := range recorder.Requests() {
				got = append(got, request.String())
				assert.NotZero(t, request.Code)
				assert.NoError(t, request.Err)
			}
			assert.Equal(t, []string{
				"list pods " + ns + "/",
				"get deployments " + ns + "/none",
				"patch deployments " + ns + "/web",
				"patch deployments " + ns + "/web (dry run)",
				"delete pods " + ns + "/" + pod + " (dry run)",
				"create pods/eviction " + ns + "/" + pod + " (dry run)",
				"get namespaces " + ns,
				"get /version",
			}, got)
			assert.Equal(t, 404, recorder.Requests()[1].Code)
			writes := recorder.Writes()
			require.Len(t, writes, 1)
			assert.Equal(t, "patch", writes[0].Verb)
			assert.Equal(t, "apps", writes[0].Group)
			assert.JSONEq(t, `{}`, string(writes[0].Body))
			recorder.Reset()
			assert.Empty(t, recorder.Requests())
		})
	}
}

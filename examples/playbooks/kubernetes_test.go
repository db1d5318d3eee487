package playbooks_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
	"github.com/paramedic-otel/paramedic/internal/remediationaccess"
	"github.com/paramedic-otel/paramedic/semconv"
	"github.com/paramedic-otel/paramedic/test/executor"
)

// scene is a cluster, and an executor with one playbook of the library, turned on, whose account has the roles that are printed
// for it and nothing else.
type scene struct {
	*testing.T
	lab      *kubetest.Lab
	ns, home string
	account  *rest.Config
	executor *executor.Executor
	logs     *observer.ObservedLogs
}

// play turns a playbook on.
func play(t *testing.T, lab *kubetest.Lab, name string, env ...string) *scene {
	t.Helper()
	s := &scene{T: t, lab: lab, ns: lab.Namespace(t), home: lab.Namespace(t)}
	t.Setenv("PLAYBOOK_NAMESPACES", "["+s.ns+"]")
	t.Setenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_MODE", "auto")
	for i := 0; i < len(env); i += 2 {
		t.Setenv(env[i], strings.ReplaceAll(env[i+1], "NS", s.ns))
	}
	settings := "namespace: " + s.home + `, config_maps: [{name: feature-flags, keys: [recommendations], values: ["off"]}]`
	executors, err := remediationaccess.Load(t.Context(), []string{"yaml:" + configuration(name, "{"+settings+"}")}, nil)
	require.NoError(t, err)
	access, err := remediationaccess.New(executors, remediationaccess.Options{Name: "library-" + s.home, Optional: true})
	require.NoError(t, err)
	manifests, err := access.YAML()
	require.NoError(t, err)
	lab.Apply(t, s.home, manifests)
	s.account = lab.Token(t, s.home, remediationaccess.DefaultServiceAccount)
	client := kubernetes.NewForConfigOrDie(s.account)
	kubetest.Eventually(t, "its roles are known", func() error {
		_, missing, err := access.Check(t.Context(), client)
		return errors.Join(err, failIf(len(missing) > 0, "%v", missing))
	})
	core, logs := observer.New(zap.InfoLevel)
	s.logs = logs
	s.executor, err = executor.Start(t.Context(), executor.Options{
		Config: exporterOf(t, "yaml:"+configuration(name, "{auth_type: kubeConfig, kubeconfig: "+lab.KubeconfigFile(t, s.account)+", "+settings+", pod: executor}")),
		Logger: zap.New(core),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.executor.Stop(t.Context())) })
	return s
}

func failIf(wrong bool, format string, args ...any) error {
	if wrong {
		return fmt.Errorf(format, args...)
	}
	return nil
}

// deployment makes one that has rolled out.
func (s *scene) deployment(name string, replicas int32, labels ...string) *appsv1.Deployment {
	s.Helper()
	d := kubetest.Deployment(s.ns, name, replicas)
	for i := 0; i < len(labels); i += 2 {
		d.Labels[labels[i]] = labels[i+1]
	}
	s.lab.Create(s.T, d)
	s.lab.WaitRolledOut(s.T, d)
	return d
}

// tell tells the executor of an incident that a deployment causes.
func (s *scene) tell(deployment string, edit func(*executor.Incident)) {
	s.Helper()
	incident := executor.NewIncident("i-1", s.ns, deployment)
	edit(incident)
	require.NoError(s, s.executor.Tell(s.Context(), incident.Opened()))
}

// outcome waits for a decision.
func (s *scene) outcome(want string) {
	s.Helper()
	kubetest.Eventually(s.T, "the outcome is "+want, func() error {
		var got []string
		for _, decision := range s.logs.FilterMessage("remediation decision").All() {
			f := decision.ContextMap()
			got = append(got, fmt.Sprintf("%v/%v %v", f["outcome"], f["reason"], f["detail"]))
			if f["outcome"] == want {
				return nil
			}
		}
		return errors.New(strings.Join(got, "\n"))
	})
}

// writes are what the account has changed, but for the agreement with other replicas.
func (s *scene) writes() []string {
	s.Helper()
	var list []string
	for _, request := range s.lab.AuditWrites(s.T, s.account) {
		if !request.DryRun && request.Namespace != s.home && request.Code < 300 {
			list = append(list, strings.TrimSuffix(strings.ReplaceAll(request.String(), s.ns+"/", ""), " "+s.ns))
		}
	}
	return list
}

func kind(k semconv.CauseKind) func(*executor.Incident) {
	return func(i *executor.Incident) { i.Causes[0].Kind = k }
}

func TestKubernetesPlaybookRestarts(t *testing.T) {
	for name, k := range map[string]semconv.CauseKind{
		"crash-loop-restart": semconv.CauseCrash, "memory-leak-restart": semconv.CauseMemory, "connection-pool-restart": semconv.CauseSaturation,
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t, kubetest.Shared(t), name)
			web := s.deployment("web", 2)
			s.tell("web", kind(k))
			s.outcome("accepted")
			s.lab.WaitRolledOut(t, web)
			assert.NotEmpty(t, web.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"])
			assert.Equal(t, []string{"patch deployments web"}, s.writes())
		})
	}
}

func TestKubernetesPlaybookBadDeployRollback(t *testing.T) {
	s := play(t, kubetest.Shared(t), "bad-deploy-rollback")
	web := s.deployment("web", 2)
	s.lab.Patch(t, web, `{"metadata":{"annotations":{"kubernetes.io/change-cause":"release 1.5"}},"spec":{"template":{"spec":{"containers":[{"name":"app","image":"`+
		kubetest.Image("web", kubetest.TagPullError)+`"}]}}}}`)
	kubetest.Eventually(t, "the revision is made", func() error {
		list, err := s.lab.Client().AppsV1().ReplicaSets(s.ns).List(t.Context(), metav1.ListOptions{})
		return errors.Join(err, failIf(err == nil && len(list.Items) != 2, "%d revisions", len(list.Items)))
	})
	s.tell("web", func(i *executor.Incident) { changed("image", s.ns+"/web")(i) })
	s.outcome("accepted")
	s.lab.WaitRolledOut(t, web)
	assert.Equal(t, kubetest.Image("web", "v1"), web.Spec.Template.Spec.Containers[0].Image)
	assert.Equal(t, []string{"patch deployments web"}, s.writes())
}

// The autoscaler keeps deciding: its minimum is raised, and the deployment itself is not written to.
func TestKubernetesPlaybookSaturationScaleUp(t *testing.T) {
	s := play(t, kubetest.Shared(t), "saturation-scale-up")
	web, hpa := s.deployment("web", 2), kubetest.HorizontalPodAutoscaler(s.ns, "web", 2, 10)
	s.lab.Create(t, hpa)
	s.tell("web", kind(semconv.CauseTraffic))
	s.outcome("accepted")
	s.lab.WaitFor(t, web, "scaled", func() error { return failIf(*web.Spec.Replicas != 3, "%d", *web.Spec.Replicas) })
	assert.Equal(t, []string{"patch horizontalpodautoscalers web"}, s.writes())
}

func TestKubernetesPlaybookNoisyPodEviction(t *testing.T) {
	s := play(t, kubetest.Shared(t), "noisy-pod-eviction")
	s.deployment("web", 4)
	pod := s.lab.Pods(t, s.ns, kubetest.Selector("web"))[0]
	s.tell("web", func(i *executor.Incident) {
		cause(semconv.CauseCPU, semconv.EntityPod, s.ns+"/"+pod.Name)(i)
		i.Causes[0].Resource = map[string]string{semconv.AttrK8sNamespaceName: s.ns, semconv.AttrK8sPodName: pod.Name, semconv.AttrK8sPodUID: string(pod.UID)}
	})
	s.outcome("accepted")
	s.lab.WaitGone(t, &pod)
	assert.Equal(t, []string{"create pods/eviction " + pod.Name}, s.writes())
}

func TestKubernetesPlaybookSickNodeDrain(t *testing.T) {
	lab := kubetest.Start(t, kubetest.Options{Nodes: 4})
	nodes := lab.Nodes(t)
	for i := range nodes {
		lab.Patch(t, &nodes[i], `{"metadata":{"labels":{"paramedic.io/may-drain":"true"}}}`)
	}
	s := play(t, lab, "sick-node-drain")
	web := s.deployment("web", 4)
	node := s.lab.Pods(t, s.ns, kubetest.Selector("web"))[0].Spec.NodeName
	s.tell("web", func(i *executor.Incident) {
		cause(semconv.CauseDisk, semconv.EntityNode, node)(i)
		i.Causes[0].Resource = map[string]string{semconv.AttrK8sNodeName: node}
	})
	s.outcome("accepted")
	kubetest.Eventually(t, "the node is empty", func() error {
		for _, pod := range s.lab.Pods(t, s.ns, kubetest.Selector("web")) {
			if pod.Spec.NodeName == node {
				return errors.New(pod.Name + " is still there")
			}
		}
		return nil
	})
	s.lab.WaitRolledOut(t, web)
	for i := range nodes {
		lab.Refresh(t, &nodes[i])
		assert.Equal(t, nodes[i].Name == node, nodes[i].Spec.Unschedulable, nodes[i].Name)
	}
}

func TestKubernetesPlaybookJobs(t *testing.T) {
	for name, tc := range map[string]struct {
		job string
		k   semconv.CauseKind
	}{"cache-flush": {"cache-flush", semconv.CauseLatency}, "disk-cleanup": {"disk-cleanup", semconv.CauseDisk}} {
		t.Run(name, func(t *testing.T) {
			s := play(t, kubetest.Shared(t), name, "CACHE_SERVICE", "NS/web")
			s.deployment("web", 2)
			template := kubetest.CronJob(s.ns, tc.job)
			suspended := true
			template.Spec.Suspend = &suspended
			s.lab.Create(t, template)
			s.tell("web", kind(tc.k))
			s.outcome("accepted")
			var jobs *batchv1.JobList
			kubetest.Eventually(t, "the job has run", func() error {
				var err error
				jobs, err = s.lab.Client().BatchV1().Jobs(s.ns).List(t.Context(), metav1.ListOptions{})
				return errors.Join(err, failIf(err == nil && (len(jobs.Items) != 1 || jobs.Items[0].Status.Succeeded != 1), "%d jobs", len(jobs.Items)))
			})
			assert.Equal(t, template.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image, jobs.Items[0].Spec.Template.Spec.Containers[0].Image)
		})
	}
}

func TestKubernetesPlaybookCronJobSuspend(t *testing.T) {
	s := play(t, kubetest.Shared(t), "cron-job-suspend", "CRON_JOB_SERVICE", "NS/report", "CRON_JOB_NAMESPACE", "NS", "CRON_JOB_NAME", "report")
	report, other := kubetest.CronJob(s.ns, "report"), kubetest.CronJob(s.ns, "other")
	s.lab.Create(t, report, other)
	s.tell("report", func(i *executor.Incident) { i.Causes[0].Resource = nil })
	s.outcome("accepted")
	s.lab.Refresh(t, report, other)
	assert.True(t, *report.Spec.Suspend)
	assert.False(t, *other.Spec.Suspend)
	assert.Equal(t, []string{"patch cronjobs report"}, s.writes())
}

func TestKubernetesPlaybookOverloadShedding(t *testing.T) {
	s := play(t, kubetest.Shared(t), "overload-shedding")
	ads, web := s.deployment("ads", 2, "service.criticality", "low"), s.deployment("web", 8, "service.criticality", "high")
	s.tell("web", severity(semconv.SeverityCritical, kind(semconv.CauseTraffic)))
	s.outcome("accepted")
	s.lab.Refresh(t, ads, web)
	assert.Zero(t, *ads.Spec.Replicas)
	assert.EqualValues(t, 8, *web.Spec.Replicas)
	assert.Equal(t, "0-of-2", ads.Labels["paramedic.io/shed"])
	assert.Equal(t, []string{"patch deployments ads"}, s.writes())
}

func TestKubernetesPlaybookFeatureFlagOff(t *testing.T) {
	s := play(t, kubetest.Shared(t), "feature-flag-off", "FLAG_SERVICE", "NS/web")
	s.deployment("web", 2)
	flags := kubetest.ConfigMap(s.ns, "feature-flags", map[string]string{"recommendations": "on", "ads": "on"})
	s.lab.Create(t, flags)
	s.tell("web", kind(semconv.CauseErrors))
	s.outcome("accepted")
	s.lab.Refresh(t, flags)
	assert.Equal(t, map[string]string{"recommendations": "off", "ads": "on"}, flags.Data)
	assert.Equal(t, []string{"patch configmaps feature-flags"}, s.writes())
}

// Whatever the environment says, two people are asked, and nothing is done before.
func TestKubernetesPlaybookPodIsolation(t *testing.T) {
	s := play(t, kubetest.Shared(t), "pod-isolation", "POD_ISOLATION_MODE_CRITICAL", "auto")
	s.deployment("web", 4)
	pod := s.lab.Pods(t, s.ns, kubetest.Selector("web"))[0]
	s.tell("web", func(i *executor.Incident) {
		cause(semconv.CauseNetwork, semconv.EntityPod, s.ns+"/"+pod.Name)(i)
		i.Causes[0].Resource = map[string]string{semconv.AttrK8sNamespaceName: s.ns, semconv.AttrK8sPodName: pod.Name, semconv.AttrK8sPodUID: string(pod.UID)}
	})
	s.outcome("awaiting_approval")
	assert.Empty(t, s.writes())
}

// The starter pack plans as if it would act, and tells the commands.
func TestKubernetesPlaybookStarterPack(t *testing.T) {
	s := play(t, kubetest.Shared(t), "starter-pack", "STARTER_PACK_MODE", "auto")
	s.deployment("web", 2)
	s.tell("web", kind(semconv.CauseCrash))
	s.outcome("suggested")
	assert.Empty(t, s.writes())
}

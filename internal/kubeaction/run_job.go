package kubeaction

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	annotationTemplate = "paramedic.io/template"

	defaultJobDeadline = 10 * time.Minute
	maxJobDeadline     = 6 * time.Hour
	maxBackoffLimit    = 3
	defaultJobTTL      = time.Hour
	minJobTTL          = 10 * time.Minute
	maxJobTTL          = 7 * 24 * time.Hour
	maxEnv             = 20
	maxEnvValue        = 1024
	maxParallelism     = 10
)

// RunJob runs a Job from the template of a CronJob, which may be suspended for good and so only keep the template. The
// template's owner decides what is run; a playbook adds plain values for environment variables, never anything from
// telemetry. It runs at most once per order while the finished Job is kept. It cannot be undone.
type RunJob struct {
	// CronJob is the name of the CronJob whose template is run.
	CronJob string `mapstructure:"cron_job"`
	// Namespace is the CronJob's, in the playbook's scope; empty for that of the incident's cause.
	Namespace string `mapstructure:"namespace"`
	// Container is the one that gets Env; empty for the first.
	Container string `mapstructure:"container"`
	// Env are environment variables, at most 20 of at most 1 KiB. One that the template takes from elsewhere, such as a
	// secret, is not replaced.
	Env map[string]string `mapstructure:"env"`
	// Deadline is how long the Job may run, 10 s to 6 h; 0 for 10 min. A shorter one of the template counts.
	Deadline time.Duration `mapstructure:"deadline"`
	// BackoffLimit is how often a failed pod is replaced, 0 to 3.
	BackoffLimit int32 `mapstructure:"backoff_limit"`
	// TTL is how long the finished Job is kept, 10 min to 7 d; 0 for 1 h.
	TTL time.Duration `mapstructure:"ttl"`
}

func (*RunJob) name() string { return "run_job" }
func (*RunJob) class() Class { return ClassJob }

func (a *RunJob) validate() error {
	var errs []error
	if msgs := validation.IsDNS1123Subdomain(a.CronJob); len(msgs) > 0 {
		errs = append(errs, fmt.Errorf("cron_job must be the name of a CronJob, got %q: %s", a.CronJob, strings.Join(msgs, "; ")))
	}
	if a.Namespace != "" && len(validation.IsDNS1123Label(a.Namespace)) > 0 {
		errs = append(errs, fmt.Errorf("namespace must be the name of a namespace, got %q", a.Namespace))
	}
	if a.Container != "" && len(validation.IsDNS1123Label(a.Container)) > 0 {
		errs = append(errs, fmt.Errorf("container must be the name of a container, got %q", a.Container))
	}
	if len(a.Env) > maxEnv {
		errs = append(errs, fmt.Errorf("env must be at most %d variables, got %d", maxEnv, len(a.Env)))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		if msgs := validation.IsEnvVarName(name); len(msgs) > 0 || len(a.Env[name]) > maxEnvValue || strings.Contains(a.Env[name], "$(") {
			errs = append(errs, fmt.Errorf("env %q must have the name of an environment variable and a value of at most %d bytes without $(, got %d bytes; refer to nothing", name, maxEnvValue, len(a.Env[name])))
		}
	}
	if a.Deadline != 0 && (a.Deadline < 10*time.Second || a.Deadline > maxJobDeadline) {
		errs = append(errs, fmt.Errorf("deadline must be 0 (%s) or between 10s and %s, got %s", defaultJobDeadline, maxJobDeadline, a.Deadline))
	}
	if a.BackoffLimit < 0 || a.BackoffLimit > maxBackoffLimit {
		errs = append(errs, fmt.Errorf("backoff_limit must be between 0 and %d, got %d", maxBackoffLimit, a.BackoffLimit))
	}
	if a.TTL != 0 && (a.TTL < minJobTTL || a.TTL > maxJobTTL) {
		errs = append(errs, fmt.Errorf("ttl must be 0 (%s) or between %s and %s, got %s; the kept Job is what stops a second run", defaultJobTTL, minJobTTL, maxJobTTL, a.TTL))
	}
	return errors.Join(errs...)
}

func (*RunJob) needs() []permission {
	return []permission{kindCronJob.permission("get"), kindJob.permission("get", "create")}
}

// jobData is what the Job is made of.
type jobData struct {
	Job string `json:"job"`
	// Generation is the CronJob's: another one has another template.
	Generation   int64             `json:"generation"`
	Container    string            `json:"container,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	Deadline     int64             `json:"deadline_seconds"`
	BackoffLimit int32             `json:"backoff_limit"`
	TTL          int32             `json:"ttl_seconds"`
}

func (a *RunJob) plan(ctx context.Context, c *Client, p *Plan) error {
	s := p.Order.Subject
	if err := c.checkCluster(s); err != nil {
		return err
	}
	namespace := cmp.Or(a.Namespace, s.Namespace)
	if namespace == "" {
		return refuse(ReasonTargetMissing, "neither the step nor the incident's cause says in which namespace CronJob %s is; set namespace", a.CronJob)
	}
	if err := c.checkNamespace(p.Order.Scope, namespace); err != nil {
		return err
	}
	object := Object{APIVersion: kindCronJob.apiVersion(), Kind: kindCronJob.name, Namespace: namespace, Name: a.CronJob}
	template, err := c.typed.BatchV1().CronJobs(namespace).Get(ctx, a.CronJob, metav1.GetOptions{})
	if err != nil {
		return c.explain(err, object, "get")
	}
	object.UID, object.ResourceVersion = string(template.UID), template.ResourceVersion
	p.Target, p.Weight, p.Population, p.Healthy = object, 1, 1, 1
	p.Locks = append(p.Locks, object.lock())
	if s.Kind != "" && s.Name != "" {
		// What the Job does concerns the workload of the incident.
		p.Locks = append(p.Locks, Object{Kind: s.Kind, Namespace: s.Namespace, Name: s.Name}.lock())
	}
	p.passed("target", "%s has UID %s", object, object.UID)
	data := jobData{
		Job: jobName(a.CronJob, p.key()), Generation: template.Generation, Container: a.Container, Env: a.Env,
		Deadline: int64(cmp.Or(a.Deadline, defaultJobDeadline) / time.Second), BackoffLimit: a.BackoffLimit, TTL: int32(cmp.Or(a.TTL, defaultJobTTL) / time.Second),
	}
	if p.Data, err = json.Marshal(data); err != nil {
		return err
	}
	p.Summary = fmt.Sprintf("Run Job %s/%s from the template of CronJob %s, for %s at most", namespace, data.Job, a.CronJob, time.Duration(data.Deadline)*time.Second)
	p.Commands = []string{fmt.Sprintf("kubectl -n %s create job %s --from=cronjob/%s # as of generation %d", namespace, data.Job, a.CronJob, data.Generation)}
	job, err := c.jobOf(template, p, data)
	if err != nil {
		return err
	}
	_, err = c.typed.BatchV1().Jobs(namespace).Create(ctx, job, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: c.settings.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		p.NoOp, p.Summary = true, fmt.Sprintf("Nothing: Job %s/%s of this order exists", namespace, data.Job)
		_, err = c.ourJob(ctx, p, data)
		return err
	}
	if err != nil {
		return c.explain(err, jobObject(namespace, data.Job), "create")
	}
	p.passed("dry_run", "the API server accepts the Job")
	return nil
}

// jobName is the same for every attempt of an order, and short enough for the names of pods and labels.
func jobName(cronJob, key string) string {
	short := strings.ReplaceAll(cronJob, ".", "-")
	short = strings.TrimRight(short[:min(len(short), 36)], "-")
	return "paramedic-" + short + "-" + key[:12]
}

func jobObject(namespace, name string) Object {
	return Object{APIVersion: kindJob.apiVersion(), Kind: kindJob.name, Namespace: namespace, Name: name}
}

// jobOf makes the Job. It belongs to nobody, so that the CronJob's own concurrency and history do not count it.
func (c *Client) jobOf(template *batchv1.CronJob, p *Plan, data jobData) (*batchv1.Job, error) {
	spec := template.Spec.JobTemplate.Spec.DeepCopy()
	for name, n := range map[string]*int32{"parallelism": spec.Parallelism, "completions": spec.Completions} {
		if n != nil && *n > maxParallelism {
			return nil, refuse(ReasonBounds, "%s of the template of %s must be at most %d, got %d", name, p.Target, maxParallelism, *n)
		}
	}
	if spec.ActiveDeadlineSeconds == nil || *spec.ActiveDeadlineSeconds > data.Deadline {
		spec.ActiveDeadlineSeconds = &data.Deadline
	}
	spec.BackoffLimit, spec.TTLSecondsAfterFinished, spec.Suspend = &data.BackoffLimit, &data.TTL, nil
	if err := setEnv(&spec.Template.Spec, p.Target, data); err != nil {
		return nil, err
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: template.Namespace, Name: data.Job,
			Labels: maps.Clone(template.Spec.JobTemplate.Labels), Annotations: maps.Clone(template.Spec.JobTemplate.Annotations),
		},
		Spec: *spec,
	}
	metav1.SetMetaDataLabel(&job.ObjectMeta, labelManagedBy, managedBy)
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, annotationIntent, p.key())
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, annotationIncident, clean(p.Order.Incident, 128))
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, annotationTemplate, template.Name)
	return job, nil
}

// setEnv sets plain values, in the order of their names.
func setEnv(spec *corev1.PodSpec, template Object, data jobData) error {
	i := 0
	if data.Container != "" {
		i = slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == data.Container })
	}
	if i < 0 || len(spec.Containers) == 0 {
		return refuse(ReasonUnsupported, "the template of %s has no container %q", template, data.Container)
	}
	container := &spec.Containers[i]
	for _, name := range slices.Sorted(maps.Keys(data.Env)) {
		j := slices.IndexFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == name })
		if j < 0 {
			container.Env = append(container.Env, corev1.EnvVar{Name: name})
			j = len(container.Env) - 1
		}
		if container.Env[j].ValueFrom != nil {
			return refuse(ReasonUnsupported, "the template of %s takes %s from elsewhere; a playbook may not replace it", template, name)
		}
		container.Env[j].Value = data.Env[name]
	}
	return nil
}

func (*RunJob) apply(ctx context.Context, c *Client, p *Plan) (Receipt, error) {
	var data jobData
	if err := decode(p.Data, &data); err != nil {
		return Receipt{}, err
	}
	template, err := c.typed.BatchV1().CronJobs(p.Target.Namespace).Get(ctx, p.Target.Name, metav1.GetOptions{})
	if err != nil {
		return Receipt{}, c.explain(err, p.Target, "get")
	}
	if string(template.UID) != p.Target.UID || template.DeletionTimestamp != nil || template.Generation != data.Generation {
		// What this order has run already is still told.
		if job, err := c.ourJob(ctx, p, data); err == nil {
			return jobReceipt(job, p, true), nil
		}
		return Receipt{}, refuse(ReasonTargetChanged, "%s has been changed or made anew since this was planned; its template may be another", p.Target)
	}
	job, err := c.jobOf(template, p, data)
	if err != nil {
		return Receipt{}, err
	}
	made, err := c.typed.BatchV1().Jobs(p.Target.Namespace).Create(ctx, job, metav1.CreateOptions{FieldManager: c.settings.FieldManager})
	repeated := apierrors.IsAlreadyExists(err)
	if repeated {
		made, err = c.ourJob(ctx, p, data)
	}
	if err != nil {
		return Receipt{}, c.explain(err, jobObject(p.Target.Namespace, data.Job), "create")
	}
	return jobReceipt(made, p, repeated), nil
}

// ourJob reads the Job of this order, and refuses another of its name.
func (c *Client) ourJob(ctx context.Context, p *Plan, data jobData) (*batchv1.Job, error) {
	object := jobObject(p.Target.Namespace, data.Job)
	job, err := c.typed.BatchV1().Jobs(object.Namespace).Get(ctx, object.Name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain(err, object, "get")
	}
	if job.Annotations[annotationIntent] != p.key() {
		return nil, refuse(ReasonTargetChanged, "%s exists and is not of this order", object)
	}
	return job, nil
}

func jobReceipt(job *batchv1.Job, p *Plan, repeated bool) Receipt {
	object := jobObject(job.Namespace, job.Name)
	object.UID, object.ResourceVersion = string(job.UID), job.ResourceVersion
	return Receipt{Objects: []Object{object}, NoOp: repeated, Summary: p.Summary}
}

func (*RunJob) undo(_ context.Context, _ *Client, r *Receipt) (Receipt, error) {
	return Receipt{}, refuse(ReasonUnsupported, "what a Job has done cannot be taken back")
}

// health follows the Job to its end.
func (*RunJob) health(ctx context.Context, c *Client, r *Receipt) (Health, error) {
	object := r.Objects[0]
	job, err := c.typed.BatchV1().Jobs(object.Namespace).Get(ctx, object.Name, metav1.GetOptions{})
	if err != nil {
		return Health{}, c.explain(err, object, "get")
	}
	if string(job.UID) != object.UID {
		return Health{}, refuse(ReasonTargetChanged, "%s was deleted and made anew", object)
	}
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			return Health{Ready: true, Detail: fmt.Sprintf("%s is complete", object)}, nil
		case batchv1.JobFailed, batchv1.JobFailureTarget:
			return Health{Failed: true, Detail: fmt.Sprintf("%s failed: %s: %s", object, clean(condition.Reason, 64), clean(condition.Message, 256))}, nil
		}
	}
	return Health{Detail: fmt.Sprintf("%s: %d pods active, %d failed", object, job.Status.Active, job.Status.Failed)}, nil
}

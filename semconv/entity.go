package semconv

// EntityType is the kind of thing that an incident is about.
type EntityType string

// The entity types, from the most to the least abstract.
const (
	EntityService     EntityType = "service"
	EntityDeployment  EntityType = "k8s.deployment"
	EntityStatefulSet EntityType = "k8s.statefulset"
	EntityDaemonSet   EntityType = "k8s.daemonset"
	EntityPod         EntityType = "k8s.pod"
	EntityContainer   EntityType = "container"
	EntityNode        EntityType = "k8s.node"
	EntityHost        EntityType = "host"
	EntityDatabase    EntityType = "database"
	EntityMessaging   EntityType = "messaging"
	EntityExternal    EntityType = "external"
)

// Entity names one thing that can be healthy or not.
type Entity struct {
	Type EntityType
	// Name is unique within the type; a service with a service.namespace is named "<namespace>/<name>", and so are pods and
	// workloads of Kubernetes with a k8s.namespace.name.
	Name string
}

// String returns "<type>:<name>".
func (e Entity) String() string { return string(e.Type) + ":" + e.Name }

// Resource attributes from which entities are derived and by which actions find their target.
const (
	AttrServiceName        = "service.name"
	AttrServiceNamespace   = "service.namespace"
	AttrServiceVersion     = "service.version"
	AttrServiceInstanceID  = "service.instance.id"
	AttrServiceCriticality = "service.criticality"
	// AttrServiceOwner and AttrTeam name the team that a service belongs to.
	AttrServiceOwner        = "service.owner"
	AttrTeam                = "team"
	AttrK8sNamespaceName    = "k8s.namespace.name"
	AttrK8sDeploymentName   = "k8s.deployment.name"
	AttrK8sStatefulSetName  = "k8s.statefulset.name"
	AttrK8sDaemonSetName    = "k8s.daemonset.name"
	AttrK8sPodName          = "k8s.pod.name"
	AttrK8sPodUID           = "k8s.pod.uid"
	AttrK8sNodeName         = "k8s.node.name"
	AttrK8sContainerName    = "k8s.container.name"
	AttrK8sClusterName      = "k8s.cluster.name"
	AttrContainerName       = "container.name"
	AttrContainerImageName  = "container.image.name"
	AttrContainerImageTag   = "container.image.tag"
	AttrContainerImageTags  = "container.image.tags"
	AttrHostName            = "host.name"
	AttrServerAddress       = "server.address"
	AttrDBSystemName        = "db.system.name"
	AttrMessagingDest       = "messaging.destination.name"
	AttrDeploymentID        = "deployment.id"
	AttrDeploymentEnvName   = "deployment.environment.name"
	AttrLogRecordTemplate   = "log.record.template"
	AttrExceptionType       = "exception.type"
	AttrExceptionMessage    = "exception.message"
	AttrExceptionStacktrace = "exception.stacktrace"
)

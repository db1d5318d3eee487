package kubeaction

// Reasons are all reasons for which an order can be refused.
var Reasons = []Reason{
	ReasonTargetMissing, ReasonTargetChanged, ReasonOutOfScope, ReasonOwner, ReasonProtected, ReasonDisruption,
	ReasonPermission, ReasonDryRun, ReasonBounds, ReasonCapacity, ReasonUnsupported,
}

// Destructive reports whether the action takes something away that does not come back by itself: pods, capacity of a node,
// traffic, a tier.
func (s *Step) Destructive() bool {
	switch s.Class() {
	case ClassPod, ClassNode, ClassNetwork, ClassShed:
		return true
	default:
		return false
	}
}

// Located returns the settings with where we run filled in, as far as the environment tells.
func (s Settings) Located() Settings {
	s.locate()
	return s
}

package kubeaction

// Reasons are all reasons for which an order can be refused.
var Reasons = []Reason{
	ReasonTargetMissing, ReasonTargetChanged, ReasonOutOfScope, ReasonOwner, ReasonProtected, ReasonDisruption,
	ReasonPermission, ReasonDryRun, ReasonBounds, ReasonCapacity, ReasonUnsupported,
}

// Destructive reports whether the action takes something away that does not come back by itself: pods, capacity of a node,
// traffic, a tier. Giving it back is not destructive.
func (s *Step) Destructive() bool {
	if s != nil && (s.Uncordon != nil || s.Release != nil || s.Restore != nil) {
		return false
	}
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

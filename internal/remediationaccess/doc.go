// Package remediationaccess says what the remediation exporters of a collector configuration must be allowed to do on
// Kubernetes: the least, as manifests with the reason for each rule, and what of it a cluster does not grant.
package remediationaccess

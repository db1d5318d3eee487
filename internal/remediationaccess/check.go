package remediationaccess

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
)

// Missing is a permission that an account lacks, and who needs it.
type Missing struct {
	kubeaction.Missing
	Users []string
}

// String is the rule, where it belongs, and who needs it.
func (m Missing) String() string {
	s := m.Missing.String() + ", for " + strings.Join(m.Users, "; ")
	if m.Optional {
		return "optional: " + s
	}
	return s
}

// Check asks the API server as whom the client is known there, and what of the access it does not grant to that user. It
// changes nothing.
func (a *Access) Check(ctx context.Context, client kubernetes.Interface) (user string, missing []Missing, err error) {
	self, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", nil, fmt.Errorf("ask the API server who we are: %w", err)
	}
	user = self.Status.UserInfo.Username
	for _, g := range a.grants {
		resource, subresource, _ := strings.Cut(g.Resource, "/")
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: g.namespace, Verb: g.Verb, Group: g.Group, Resource: resource, Subresource: subresource, Name: g.Name,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return user, nil, fmt.Errorf("ask the API server whether %s may %s %s: %w", user, g.Verb, g.Resource, err)
		}
		if !answer.Status.Allowed || answer.Status.Denied {
			missing = append(missing, Missing{kubeaction.Missing{
				Group: g.Group, Resource: g.Resource, Verb: g.Verb, Name: g.Name, Namespace: g.namespace, Optional: g.Optional,
			}, slices.Clone(g.users)})
		}
	}
	return user, missing, nil
}

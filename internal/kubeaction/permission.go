package kubeaction

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rules are the least a service account needs: a Role for each namespace and a ClusterRole. Both are sorted.
type Rules struct {
	Cluster    []rbacv1.PolicyRule
	Namespaced map[string][]rbacv1.PolicyRule
}

// RulesFor gives the rules that the steps need in their scope. Steps that are invalid need nothing.
func RulesFor(steps []*Step, scope Scope) Rules {
	cluster, namespaced := ruleSet{}, ruleSet{}
	for _, need := range needsOf(steps) {
		if need.Cluster {
			cluster.add(need)
		} else {
			namespaced.add(need)
		}
	}
	rules := Rules{Cluster: cluster.policyRules(), Namespaced: map[string][]rbacv1.PolicyRule{}}
	if common := namespaced.policyRules(); len(common) > 0 {
		for _, namespace := range scope.Namespaces {
			rules.Namespaced[namespace] = slices.Clone(common)
		}
	}
	return rules
}

// ReservationRules are what reservations need in their own namespace. Creating cannot be restricted to a name; who makes
// the ConfigMap, empty, before the first start may leave the first rule out.
func ReservationRules(settings ReservationSettings) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{settings.Name}, Verbs: []string{"get", "update"}},
	}
}

// ruleSet is group and name, resource, verb.
type ruleSet map[[2]string]map[string]map[string]bool

func (s ruleSet) add(need permission) {
	key := [2]string{need.Group, need.Name}
	if s[key] == nil {
		s[key] = map[string]map[string]bool{}
	}
	if s[key][need.Resource] == nil {
		s[key][need.Resource] = map[string]bool{}
	}
	for _, verb := range need.Verbs {
		s[key][need.Resource][verb] = true
	}
}

// policyRules puts resources of a group with the same names and verbs into one rule.
func (s ruleSet) policyRules() []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, of := range slices.SortedFunc(maps.Keys(s), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		byVerbs := map[string]*rbacv1.PolicyRule{}
		for _, resource := range slices.Sorted(maps.Keys(s[of])) {
			verbs := slices.Sorted(maps.Keys(s[of][resource]))
			key := strings.Join(verbs, ",")
			if byVerbs[key] == nil {
				byVerbs[key] = &rbacv1.PolicyRule{APIGroups: []string{of[0]}, Verbs: verbs}
				if of[1] != "" {
					byVerbs[key].ResourceNames = []string{of[1]}
				}
			}
			byVerbs[key].Resources = append(byVerbs[key].Resources, resource)
		}
		for _, key := range slices.Sorted(maps.Keys(byVerbs)) {
			rules = append(rules, *byVerbs[key])
		}
	}
	return rules
}

// Permission is one verb on one kind of resource.
type Permission struct {
	// Group is empty for the core group; Resource has its subresource, such as pods/eviction.
	Group, Resource, Verb string
	// Name is the only object that is meant; empty for all.
	Name string
	// Cluster is set for what is needed in the whole cluster; all else is needed in the namespaces of the scope.
	Cluster bool
	// Optional is set where the action works without it, but has to assume the worst.
	Optional bool
}

// Permissions are the least that carrying out the step and undoing it take, sorted. A step that is invalid takes nothing.
func (s *Step) Permissions() []Permission {
	optional := map[Permission]bool{}
	for _, need := range needsOf([]*Step{s}) {
		for _, verb := range need.Verbs {
			p := Permission{Group: need.Group, Resource: need.Resource, Verb: verb, Name: need.Name, Cluster: need.Cluster}
			before, known := optional[p]
			optional[p] = need.Optional && (before || !known)
		}
	}
	list := make([]Permission, 0, len(optional))
	for p, o := range optional {
		p.Optional = o
		list = append(list, p)
	}
	slices.SortFunc(list, comparePermissions)
	return list
}

func comparePermissions(a, b Permission) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Verb, b.Verb), cmp.Compare(fmt.Sprint(a.Cluster), fmt.Sprint(b.Cluster)))
}

func needsOf(steps []*Step) []permission {
	var needs []permission
	for _, step := range steps {
		if act, err := step.action(); err == nil {
			needs = append(needs, act.needs()...)
		}
	}
	return needs
}

// Missing is a permission that our service account lacks.
type Missing struct {
	Group, Resource, Verb string
	// Name is the only object that is meant; empty for all.
	Name string
	// Namespace is empty for what is needed in the whole cluster.
	Namespace string
	// Optional is set where the action works without it, but has to assume the worst.
	Optional bool
	// Reason is what the API server says about it.
	Reason string
}

// String names the missing rule as it stands in a Role, and where the Role belongs.
func (m Missing) String() string {
	where := "a ClusterRole"
	if m.Namespace != "" {
		where = "a Role in namespace " + m.Namespace
	}
	name := ""
	if m.Name != "" {
		name = fmt.Sprintf("resourceNames: [%q], ", m.Name)
	}
	return fmt.Sprintf("{apiGroups: [%q], resources: [%q], %sverbs: [%q]} in %s", m.Group, m.Resource, name, m.Verb, where)
}

const (
	// reviewAge is how long an answer of the API server about a permission is believed.
	reviewAge = time.Minute
	// grantedAge is how long a plan believes that something is allowed: longer, so that asking delays no action where
	// [Client.Review] is called from time to time. What was withdrawn meanwhile the API server refuses all the same.
	grantedAge = 15 * time.Minute
)

// maxReviews bounds the remembered answers.
const maxReviews = 4096

// reviews remembers what the API server said about permissions.
type reviews struct {
	mu sync.Mutex
	// mu guards everything below.
	answers map[Missing]review
}

type review struct {
	at      time.Time
	allowed bool
	reason  string
}

// Review asks the API server which permissions the steps lack in their scope, the ones that would be needed for undoing
// included. Answers are believed for a minute, and for a quarter of an hour by plans. It changes nothing. The result is sorted.
func (c *Client) Review(ctx context.Context, steps []*Step, scope Scope) ([]Missing, error) {
	return c.review(ctx, needsOf(steps), scope.Namespaces, reviewAge)
}

// review asks what is not known; that something is allowed is believed for as long as is said.
func (c *Client) review(ctx context.Context, needs []permission, namespaces []string, granted time.Duration) ([]Missing, error) {
	asked := map[Missing]bool{} // to whether all who need it can do without
	for _, need := range needs {
		places := namespaces
		if need.Cluster {
			places = []string{""}
		}
		for _, place := range places {
			for _, verb := range need.Verbs {
				m := Missing{Group: need.Group, Resource: need.Resource, Verb: verb, Name: need.Name, Namespace: place}
				optional, known := asked[m]
				asked[m] = need.Optional && (optional || !known)
			}
		}
	}
	questions := slices.SortedFunc(maps.Keys(asked), compareMissing)
	answers := make([]review, len(questions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, m := range questions {
		group.Go(func() (err error) {
			answers[i], err = c.ask(ctx, m, granted)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var missing []Missing
	for i, m := range questions {
		if !answers[i].allowed {
			m.Optional, m.Reason = asked[m], answers[i].reason
			missing = append(missing, m)
		}
	}
	return missing, nil
}

func compareMissing(a, b Missing) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Verb, b.Verb))
}

func (c *Client) ask(ctx context.Context, m Missing, granted time.Duration) (review, error) {
	now := c.now()
	c.reviews.mu.Lock()
	known, found := c.reviews.answers[m]
	c.reviews.mu.Unlock()
	if age := now.Sub(known.at); found && age >= 0 && (age < reviewAge || known.allowed && age < granted) {
		return known, nil
	}
	resource, subresource, _ := strings.Cut(m.Resource, "/")
	answer, err := c.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: m.Namespace, Verb: m.Verb, Group: m.Group, Resource: resource, Subresource: subresource, Name: m.Name,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return review{}, fmt.Errorf("ask whether we may %s %s: %w", m.Verb, m.Resource, err)
	}
	known = review{at: now, allowed: answer.Status.Allowed && !answer.Status.Denied, reason: clean(answer.Status.Reason, 256)}
	c.reviews.mu.Lock()
	defer c.reviews.mu.Unlock()
	if len(c.reviews.answers) >= maxReviews || c.reviews.answers == nil {
		c.reviews.answers = map[Missing]review{}
	}
	c.reviews.answers[m] = known
	return known, nil
}

// checkPermissions refuses an order for which a permission is missing, before it is needed.
func (c *Client) checkPermissions(ctx context.Context, act action, scope Scope, p *Plan) error {
	missing, err := c.review(ctx, act.needs(), scope.Namespaces, grantedAge)
	if err != nil {
		return err
	}
	var lacking []string
	for _, m := range missing {
		if m.Optional {
			p.noted("permission", "not allowed, so the worst is assumed: %s", m)
			continue
		}
		lacking = append(lacking, m.String())
	}
	if len(lacking) > 0 {
		return refuse(ReasonPermission, "our service account lacks %s; grant it", strings.Join(lacking, ", "))
	}
	p.passed("permission", "our service account may do what it takes, and undo it")
	return nil
}

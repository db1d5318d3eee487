package kubeaction

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paramedic-otel/paramedic/internal/kubetest"
)

// Several executors, each believing to be the leader, race for the same actions on a real API server.
func TestKubernetesReservationRace(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	settings := DefaultReservationSettings()
	settings.Namespace, settings.MaxAttempts = ns, 50
	config := lab.ServiceAccount(t, ns, kubetest.Grant{Namespace: ns, Rules: ReservationRules(settings)})
	granted := race(t, 5, 15, false, func(i int) *Reservations {
		client, err := NewForConfig(config, DefaultSettings(), TransportSettings{})
		require.NoError(t, err)
		mine := settings
		mine.Holder = fmt.Sprintf("executor-%d", i)
		r, err := client.Reservations(mine)
		require.NoError(t, err)
		return r
	})
	assert.Len(t, granted, 10, "the whole budget, and not more")

	kept, err := lab.Client().CoreV1().ConfigMaps(ns).Get(t.Context(), settings.Name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, managedBy, kept.Labels[labelManagedBy])
	list, err := decodeReservations(kept.Data[reservationKey])
	require.NoError(t, err)
	assert.Len(t, list.Entries, 10)
	for _, e := range list.Entries {
		assert.Equal(t, stateDone, e.State)
		assert.Equal(t, granted[e.Key], e.Holder)
	}
}

// The same, while requests and answers get lost: whatever an executor learns, no key is granted twice, and the budget holds.
func TestKubernetesReservationRaceAmongFaults(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	settings := DefaultReservationSettings()
	settings.Namespace = ns
	account := lab.ServiceAccount(t, ns, kubetest.Grant{Namespace: ns, Rules: ReservationRules(settings)})
	proxy := lab.FaultProxy(t, 7)
	config := proxy.Config(t, account)
	var rules []kubetest.FaultRule
	for _, fault := range []kubetest.Fault{
		kubetest.FaultThrottled, kubetest.FaultServerError, kubetest.FaultUnavailable, kubetest.FaultConflict,
		kubetest.FaultResetBefore, kubetest.FaultResetAfter, kubetest.FaultTruncated, kubetest.FaultStale,
	} {
		rules = append(rules, kubetest.FaultRule{Fault: fault, Resources: []string{"configmaps"}, Odds: 0.05})
	}
	proxy.Inject(rules...)
	granted := race(t, 4, 15, true, func(i int) *Reservations {
		client, err := NewForConfig(config, DefaultSettings(), TransportSettings{})
		require.NoError(t, err)
		mine := settings
		mine.Holder = fmt.Sprintf("executor-%d", i)
		r, err := client.Reservations(mine)
		require.NoError(t, err)
		return r
	})
	assert.NotEmpty(t, granted)
	assert.LessOrEqual(t, len(granted), 10)
	assert.Greater(t, len(proxy.Injected()), 4)
	t.Logf("%d granted; faults: %v", len(granted), proxy.Injected())
}

// Two executors with the same claim at the same moment, again and again: exactly one wins each.
func TestKubernetesReservationOneWinner(t *testing.T) {
	t.Parallel()
	lab := kubetest.Shared(t)
	ns := lab.Namespace(t)
	settings := DefaultReservationSettings()
	settings.Namespace = ns
	client, err := NewForConfig(lab.ServiceAccount(t, ns, kubetest.Grant{Namespace: ns, Rules: ReservationRules(settings)}), DefaultSettings(), TransportSettings{})
	require.NoError(t, err)
	for round := range 10 {
		results := make(chan Outcome)
		for i := range 3 {
			mine := settings
			mine.Holder = fmt.Sprintf("executor-%d", i)
			r, err := client.Reservations(mine)
			require.NoError(t, err)
			go func() {
				outcome, err := r.Reserve(permitted(t.Context()), claimOn(fmt.Sprintf("key-%d", round), fmt.Sprintf("lock-%d", round)))
				assert.NoError(t, err)
				results <- outcome
			}()
		}
		verdicts := map[Verdict]int{}
		for range 3 {
			verdicts[(<-results).Verdict]++
		}
		require.Equal(t, map[Verdict]int{Granted: 1, Busy: 2}, verdicts)
	}
	r, err := client.Reservations(ReservationSettings{Namespace: ns, Name: "other", Window: settings.Window, MaxEntries: 1, MaxAttempts: 1, Holder: "a"})
	require.NoError(t, err)
	_, err = r.Reserve(permitted(t.Context()), claimOn("k", "web"))
	require.ErrorContains(t, err, "forbidden", "its service account may read no other ConfigMap")
}

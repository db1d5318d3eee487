package kubeaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// configMaps is an API server that knows ConfigMaps with their resourceVersions, and can be told to fail.
type configMaps struct {
	mu      sync.Mutex
	objects map[string]*corev1.ConfigMap
	version int
	writes  int
	// before is called with each write. It may return an answer instead of carrying it out.
	before func(*http.Request) *http.Response
	// lost makes the answers to writes get lost after they are carried out.
	lost func() bool
}

func (c *configMaps) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		body, _ = io.ReadAll(request.Body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.objects == nil {
		c.objects = map[string]*corev1.ConfigMap{}
	}
	status := func(code int, reason metav1.StatusReason) *http.Response {
		return reply(request, code, &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: int32(code), Reason: reason, Status: "Failure"})
	}
	name := path.Base(request.URL.Path)
	if request.Method == http.MethodGet {
		if c.objects[name] == nil {
			return status(http.StatusNotFound, metav1.StatusReasonNotFound), nil
		}
		return reply(request, http.StatusOK, c.objects[name]), nil
	}
	c.writes++
	if c.before != nil {
		if response := c.before(request); response != nil {
			return response, nil
		}
	}
	written := &corev1.ConfigMap{}
	if err := json.Unmarshal(body, written); err != nil {
		return nil, err
	}
	existing := c.objects[written.Name]
	switch {
	case request.Method == http.MethodPost && existing != nil:
		return status(http.StatusConflict, metav1.StatusReasonAlreadyExists), nil
	case request.Method == http.MethodPut && existing == nil:
		return status(http.StatusNotFound, metav1.StatusReasonNotFound), nil
	case request.Method == http.MethodPut && (existing.ResourceVersion != written.ResourceVersion || existing.UID != written.UID):
		return status(http.StatusConflict, metav1.StatusReasonConflict), nil
	}
	c.put(written)
	if c.lost != nil && c.lost() {
		return nil, io.ErrUnexpectedEOF
	}
	return reply(request, http.StatusOK, written), nil
}

func (c *configMaps) put(written *corev1.ConfigMap) {
	c.version++
	written.Kind, written.APIVersion = "ConfigMap", "v1"
	written.ResourceVersion, written.UID = strconv.Itoa(c.version), "uid"
	c.objects[written.Name] = written
}

func reply(request *http.Request, code int, object any) *http.Response {
	body, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return answer(request, code, string(body))
}

// clock is a clock that tests set; the bubble's own would not differ between executors.
type clock struct{ offset time.Duration }

func (c *clock) now() time.Time { return time.Now().Add(c.offset) }

func newReservations(t testing.TB, server http.RoundTripper, holder string, change func(*ReservationSettings)) (*Reservations, *clock) {
	t.Helper()
	settings := DefaultReservationSettings()
	settings.Namespace, settings.Holder = "paramedic", holder
	if change != nil {
		change(&settings)
	}
	config := &rest.Config{Transport: server}
	config.ContentType = "application/json"
	client := guardedClientset(t, config, TransportSettings{})
	r, err := NewReservations(client.CoreV1(), settings)
	require.NoError(t, err)
	c := &clock{}
	r.now = c.now
	return r, c
}

func claimOn(key string, locks ...string) Claim {
	return Claim{
		Key: key, Locks: locks, Class: ClassRestart, Namespace: "shop", Weight: 1, Lease: time.Minute, Cooldown: 10 * time.Minute,
		Limits: Limits{Window: time.Hour, Total: 10, Class: 10, Weight: 100},
	}
}

func allowed(t testing.TB) context.Context { return WithPermit(t.Context(), permitFunc(allowAll)) }

func reserve(t testing.TB, r *Reservations, claim Claim) Outcome {
	t.Helper()
	outcome, err := r.Reserve(allowed(t), claim)
	require.NoError(t, err)
	return outcome
}

func TestReserveOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", nil)
		b, _ := newReservations(t, server, "b", nil)

		assert.Equal(t, Outcome{Verdict: Granted}, reserve(t, a, claimOn("k", "web")))
		assert.Equal(t, Resumed, reserve(t, a, claimOn("k", "web")).Verdict, "the holder itself goes on")
		busy := reserve(t, b, claimOn("k", "web"))
		assert.Equal(t, Busy, busy.Verdict)
		assert.Contains(t, busy.Detail, "a is at it since")
		assert.Equal(t, 70*time.Second, busy.RetryAfter, "the lease and the skew")

		require.NoError(t, a.Done(t.Context(), "k"))
		for _, r := range []*Reservations{a, b} {
			done := reserve(t, r, claimOn("k", "web"))
			assert.Equal(t, AlreadyDone, done.Verdict)
			assert.False(t, done.Act())
		}
		writes := server.writes
		require.NoError(t, a.Done(t.Context(), "k"))
		require.NoError(t, b.Done(t.Context(), "unknown"))
		require.NoError(t, b.Release(t.Context(), "unknown"))
		require.ErrorContains(t, a.Release(t.Context(), "k"), "it is done")
		assert.Equal(t, writes, server.writes)
	})
}

func TestReserveTakesOverAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", nil)
		b, _ := newReservations(t, server, "b", nil)
		require.True(t, reserve(t, a, claimOn("k", "web")).Act())

		time.Sleep(70 * time.Second)
		require.Equal(t, Busy, reserve(t, b, claimOn("k", "web")).Verdict)
		time.Sleep(time.Second)
		taken := reserve(t, b, claimOn("k", "web"))
		require.Equal(t, Resumed, taken.Verdict)
		assert.Contains(t, taken.Detail, "a reserved it")

		// The stale one may neither go on nor give back what is another's now; what it did is recorded.
		require.Equal(t, Busy, reserve(t, a, claimOn("k", "web")).Verdict)
		require.ErrorIs(t, a.Release(t.Context(), "k"), ErrNotHolder)
		require.NoError(t, a.Done(t.Context(), "k"))
		require.Equal(t, AlreadyDone, reserve(t, b, claimOn("k", "web")).Verdict)
	})
}

func TestReserveLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", nil)
		b, _ := newReservations(t, server, "b", nil)
		require.True(t, reserve(t, a, claimOn("1", "web", "node/n1")).Act())

		other := claimOn("2", "db", "node/n1")
		for _, r := range []*Reservations{a, b} {
			busy := reserve(t, r, other)
			assert.Equal(t, Busy, busy.Verdict)
			assert.Contains(t, busy.Detail, "a is acting on node/n1")
		}
		require.True(t, reserve(t, b, claimOn("3", "db")).Act(), "no lock in common")
		require.NoError(t, b.Release(t.Context(), "3"))

		time.Sleep(30 * time.Second)
		require.NoError(t, a.Done(t.Context(), "1"))
		cooldown := reserve(t, b, other)
		assert.Equal(t, Cooldown, cooldown.Verdict)
		assert.Equal(t, 10*time.Minute+10*time.Second, cooldown.RetryAfter)
		at := other
		at.Cooldown = 0
		assert.True(t, reserve(t, b, at).Act(), "the claim says how long")
		require.NoError(t, b.Release(t.Context(), "2"))
		time.Sleep(cooldown.RetryAfter)
		assert.Equal(t, Cooldown, reserve(t, b, other).Verdict)
		time.Sleep(time.Second)
		assert.True(t, reserve(t, b, other).Act())

		// Nobody knows what a holder did that never came back: its lock cools down from the end of its lease.
		time.Sleep(71 * time.Second)
		lost := reserve(t, a, claimOn("4", "node/n1"))
		assert.Equal(t, Cooldown, lost.Verdict)
		time.Sleep(lost.RetryAfter + time.Second)
		assert.True(t, reserve(t, a, claimOn("4", "node/n1")).Act())
		// And when it does come back, the lock is another's.
		assert.Equal(t, Busy, reserve(t, b, other).Verdict)
	})
}

func TestReserveBudget(t *testing.T) {
	for name, test := range map[string]struct {
		limits Limits
		want   string
	}{
		"total":  {Limits{Window: time.Hour, Total: 2, Class: 9, Weight: 99}, "2 actions in 1h0m0s, at most 2"},
		"class":  {Limits{Window: time.Hour, Total: 9, Class: 2, Weight: 99}, "2 actions of class restart in 1h0m0s, at most 2"},
		"weight": {Limits{Window: time.Hour, Total: 9, Class: 9, Weight: 6}, "4 pods or nodes of class restart in 1h0m0s and 3 more, at most 6"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &configMaps{}
				a, _ := newReservations(t, server, "a", nil)
				b, _ := newReservations(t, server, "b", nil)
				claim := func(key string, weight int) Claim {
					c := claimOn(key, key)
					c.Weight, c.Limits = weight, test.limits
					return c
				}
				require.True(t, reserve(t, a, claim("1", 1)).Act())
				time.Sleep(time.Minute)
				require.True(t, reserve(t, b, claim("2", 3)).Act())
				require.NoError(t, b.Done(t.Context(), "2"))
				for _, r := range []*Reservations{a, b} {
					over := reserve(t, r, claim("3", 3))
					require.Equal(t, OverBudget, over.Verdict)
					assert.Contains(t, over.Detail, test.want)
					assert.Equal(t, 59*time.Minute+10*time.Second, over.RetryAfter)
				}
				// What was given back counts no longer.
				require.NoError(t, a.Release(t.Context(), "1"))
				require.True(t, reserve(t, a, claim("3", 3)).Act())
				require.NoError(t, a.Release(t.Context(), "3"))
				require.True(t, reserve(t, a, claim("1", 1)).Act(), "what was given back can be claimed again")
				// And nothing after the window.
				time.Sleep(time.Hour + 11*time.Second)
				require.True(t, reserve(t, a, claim("4", 3)).Act())
			})
		})
	}
	t.Run("nothing is allowed by default", func(t *testing.T) {
		a, _ := newReservations(t, &configMaps{}, "a", nil)
		claim := claimOn("k", "web")
		claim.Limits = Limits{Window: time.Hour}
		assert.Equal(t, OverBudget, reserve(t, a, claim).Verdict)
	})
}

func TestReserveForgetsAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", func(s *ReservationSettings) { s.Window = 2 * time.Hour })
		require.True(t, reserve(t, a, claimOn("first", "web")).Act())
		require.NoError(t, a.Done(t.Context(), "first"))
		time.Sleep(2 * time.Hour)
		require.Equal(t, AlreadyDone, reserve(t, a, claimOn("first", "web")).Verdict)
		time.Sleep(11 * time.Second)
		require.True(t, reserve(t, a, claimOn("new", "web")).Act())
		assert.NotContains(t, server.objects["paramedic-reservations"].Data[reservationKey], "first")
	})
}

func TestReserveIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", func(s *ReservationSettings) { s.MaxEntries = 3 })
		for _, key := range []string{"1", "2", "3"} {
			require.True(t, reserve(t, a, claimOn(key, key)).Act())
		}
		full := reserve(t, a, claimOn("4", "4"))
		require.Equal(t, Full, full.Verdict)
		assert.Contains(t, full.Detail, "holds 3 reservations, at most 3")
		require.NoError(t, a.Release(t.Context(), "2"))
		require.True(t, reserve(t, a, claimOn("4", "4")).Act(), "what was given back makes room")
		require.Equal(t, Full, reserve(t, a, claimOn("5", "5")).Verdict)
	})
	t.Run("bytes", func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", func(s *ReservationSettings) { s.MaxEntries = 1000 })
		granted := 0
		for i := range 20 {
			claim := claimOn(strconv.Itoa(i))
			claim.Limits = Limits{Window: time.Hour, Total: 1000, Class: 1000, Weight: 1000}
			for j := range maxLocks {
				claim.Locks = append(claim.Locks, fmt.Sprintf("%0*d", maxLock, i*maxLocks+j))
			}
			if outcome := reserve(t, a, claim); outcome.Act() {
				granted++
			} else {
				require.Equal(t, Full, outcome.Verdict)
			}
		}
		assert.Equal(t, 7, granted)
		assert.LessOrEqual(t, len(server.objects["paramedic-reservations"].Data[reservationKey]), maxReservationBytes)
	})
}

func TestReservationsRefuseWhatTheyCannotRead(t *testing.T) {
	future := time.Now().Add(time.Hour).Format(time.RFC3339)
	entry := func(change string) string {
		return `{"version":1,"entries":[{"key":"k","locks":["web"],"class":"restart","weight":1,"state":"held","holder":"b","at":"2020-01-01T00:00:00Z","until":"2020-01-01T00:01:00Z"` + change + `}]}`
	}
	for name, test := range map[string]struct {
		data map[string]string
		want string
	}{
		"somebody else's": {map[string]string{"config.yaml": "a: b"}, "no key reservations.json but others"},
		"empty":           {map[string]string{reservationKey: ""}, "EOF"},
		"broken":          {map[string]string{reservationKey: `{"version":1,"entries":[`}, "unexpected EOF"},
		"more":            {map[string]string{reservationKey: `{"version":1,"entries":[]} {}`}, "more follows"},
		"newer":           {map[string]string{reservationKey: `{"version":2,"entries":[]}`}, "version must be 1, got 2"},
		"newer field":     {map[string]string{reservationKey: entry(`,"priority":3`)}, "unknown field"},
		"unknown state":   {map[string]string{reservationKey: entry(`,"state":"paused"`)}, "entry 0 (\"k\") makes no sense"},
		"done never":      {map[string]string{reservationKey: entry(`,"state":"done"`)}, "makes no sense"},
		"no key":          {map[string]string{reservationKey: entry(`,"key":""`)}, "makes no sense"},
		"no weight":       {map[string]string{reservationKey: entry(`,"weight":0`)}, "makes no sense"},
		"ends too soon":   {map[string]string{reservationKey: entry(`,"until":"2019-01-01T00:00:00Z"`)}, "makes no sense"},
		"from the future": {map[string]string{reservationKey: entry(`,"at":"` + future + `","until":"` + future + `"`)}, "lies in the future"},
		"too large":       {map[string]string{reservationKey: strings.Repeat(" ", maxReservationBytes+1)}, "must be at most 262144 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &configMaps{objects: map[string]*corev1.ConfigMap{}}
			server.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "paramedic-reservations"}, Data: test.data})
			a, _ := newReservations(t, server, "a", nil)
			_, err := a.Reserve(allowed(t), claimOn("new", "web"))
			require.ErrorIs(t, err, ErrUnreadable)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "ConfigMap paramedic/paramedic-reservations")
			require.ErrorIs(t, a.Done(t.Context(), "k"), ErrUnreadable)
			require.ErrorIs(t, a.Release(t.Context(), "k"), ErrUnreadable)
			assert.Zero(t, server.writes, "what cannot be read is not overwritten")
		})
	}
	t.Run("an empty ConfigMap is fine", func(t *testing.T) {
		server := &configMaps{objects: map[string]*corev1.ConfigMap{}}
		server.put(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "paramedic-reservations", Labels: map[string]string{"by": "hand"}}})
		a, _ := newReservations(t, server, "a", nil)
		require.True(t, reserve(t, a, claimOn("new", "web")).Act())
		assert.Equal(t, map[string]string{"by": "hand"}, server.objects["paramedic-reservations"].Labels)
	})
}

func TestReserveNeedsAPermit(t *testing.T) {
	server := &configMaps{}
	a, _ := newReservations(t, server, "a", nil)
	killed := errors.New("kill switch is on")
	var asked []Request
	kill := WithPermit(t.Context(), permitFunc(func(_ context.Context, request Request) error {
		asked = append(asked, request)
		return killed
	}))
	_, err := a.Reserve(kill, claimOn("k", "web"))
	require.ErrorIs(t, err, killed)
	assert.Zero(t, server.writes)
	require.True(t, reserve(t, a, claimOn("k", "web")).Act())
	_, err = a.Reserve(kill, claimOn("k", "web"))
	require.ErrorIs(t, err, killed)
	assert.Equal(t, []Request{
		{Verb: "create", Resource: "configmaps", Namespace: "paramedic"},
		{Verb: "update", Resource: "configmaps", Namespace: "paramedic", Name: "paramedic-reservations"},
	}, asked)
	// What was done, or not, is told all the same.
	require.NoError(t, a.Release(kill, "k"))
	require.True(t, reserve(t, a, claimOn("k", "web")).Act())
	require.NoError(t, a.Done(kill, "k"))

	// Their own permit is good for nothing else.
	ctx := a.permit(t.Context(), nil)
	for _, request := range []Request{
		{Verb: "update", Resource: "configmaps", Namespace: "paramedic", Name: "other"},
		{Verb: "update", Resource: "configmaps", Namespace: "shop", Name: "paramedic-reservations"},
		{Verb: "delete", Resource: "configmaps", Namespace: "paramedic", Name: "paramedic-reservations"},
		{Verb: "update", Resource: "secrets", Namespace: "paramedic", Name: "paramedic-reservations"},
		{Verb: "create", Resource: "pods", Namespace: "paramedic"},
	} {
		require.ErrorIs(t, PermitFrom(ctx).Allow(ctx, request), ErrNeverPermitted)
	}
}

func TestReserveAmongFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", nil)

		// The answer is lost, the write is not: it is found to be ours.
		lose := true
		server.lost = func() bool { lost := lose; lose = false; return lost }
		require.True(t, reserve(t, a, claimOn("1", "1")).Act())
		server.lost = nil

		// Conflicts and failures pass.
		answers := []int{http.StatusConflict, http.StatusInternalServerError, http.StatusGatewayTimeout}
		server.before = func(request *http.Request) *http.Response {
			if len(answers) == 0 {
				return nil
			}
			code := answers[0]
			answers = answers[1:]
			reason := metav1.StatusReasonInternalError
			if code == http.StatusConflict {
				reason = metav1.StatusReasonConflict
			}
			return reply(request, code, &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: int32(code), Reason: reason, Status: "Failure"})
		}
		require.True(t, reserve(t, a, claimOn("2", "2")).Act())
		require.Empty(t, answers)

		// But not for ever.
		server.before = func(request *http.Request) *http.Response {
			return reply(request, http.StatusConflict, &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: 409, Reason: metav1.StatusReasonConflict, Status: "Failure"})
		}
		writes := server.writes
		_, err := a.Reserve(allowed(t), claimOn("3", "3"))
		require.ErrorIs(t, err, ErrContended)
		assert.Equal(t, 12, server.writes-writes)

		// A lasting refusal is not repeated.
		server.before = func(request *http.Request) *http.Response {
			return reply(request, http.StatusForbidden, &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: 403, Reason: metav1.StatusReasonForbidden, Status: "Failure"})
		}
		writes = server.writes
		_, err = a.Reserve(allowed(t), claimOn("3", "3"))
		require.ErrorContains(t, err, "write ConfigMap paramedic/paramedic-reservations")
		assert.Equal(t, 1, server.writes-writes)

		ctx, cancel := context.WithCancel(allowed(t))
		server.before = func(*http.Request) *http.Response { cancel(); return answer(nil, 500, "{}") }
		writes = server.writes
		_, err = a.Reserve(ctx, claimOn("3", "3"))
		require.Error(t, err)
		assert.Equal(t, 1, server.writes-writes)
	})
}

func TestReserveWithClocksApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &configMaps{}
		a, _ := newReservations(t, server, "a", nil)
		b, behind := newReservations(t, server, "b", nil)
		behind.offset = -10 * time.Second
		require.True(t, reserve(t, a, claimOn("k", "web")).Act())
		require.Equal(t, Busy, reserve(t, b, claimOn("k", "web")).Verdict)
		behind.offset = 10 * time.Second
		time.Sleep(time.Minute)
		require.Equal(t, Busy, reserve(t, b, claimOn("k", "web")).Verdict, "the lease has not run out for a")
		behind.offset = -time.Hour
		_, err := b.Reserve(allowed(t), claimOn("k", "web"))
		require.ErrorIs(t, err, ErrUnreadable)
		require.ErrorContains(t, err, "mend the clocks, they may differ by 10s")
	})
}

// Many executors race over many claims; whatever the schedule is, each key is granted once and no limit is passed.
func TestReserveRace(t *testing.T) {
	server := &configMaps{}
	granted := race(t, 5, 30, false, func(i int) *Reservations {
		r, _ := newReservations(t, server, fmt.Sprintf("executor-%d", i), func(s *ReservationSettings) { s.MaxAttempts = 50 })
		return r
	})
	assert.Len(t, granted, 10)
}

// race lets executors claim the same keys in different orders, and returns who got what.
// Among faults an executor does not always learn what it got; then it does not act.
func race(t *testing.T, executors, keys int, faults bool, make func(int) *Reservations) map[string]string {
	t.Helper()
	var (
		mu      sync.Mutex
		group   sync.WaitGroup
		granted = map[string]string{}
	)
	for i := range executors {
		r := make(i)
		group.Go(func() {
			for j := range keys {
				key := fmt.Sprintf("key-%d", (j*7+i*3)%keys)
				outcome, err := r.Reserve(allowed(t), claimOn(key, key))
				if errors.Is(err, ErrContended) || faults && err != nil {
					continue
				}
				if !assert.NoError(t, err) {
					return
				}
				if !outcome.Act() {
					continue
				}
				mu.Lock()
				if !faults {
					assert.Equal(t, Granted, outcome.Verdict)
				}
				assert.Empty(t, granted[key], "%s was granted twice", key)
				granted[key] = r.settings.Holder
				assert.LessOrEqual(t, len(granted), 10, "the budget")
				mu.Unlock()
				if err := r.Done(t.Context(), key); !faults {
					assert.NoError(t, err)
				}
			}
		})
	}
	group.Wait()
	return granted
}

func TestReservationSettings(t *testing.T) {
	settings := ReservationSettings{Namespace: "A B", Name: "-", Skew: -1, Window: time.Second, MaxEntries: 1001}
	err := settings.Validate()
	for _, want := range []string{
		`namespace must be the name of a namespace, got "A B"`, `name must be a name for a ConfigMap, got "-"`, "window must be between 1m and 24h, got 1s",
		"skew must be between 0s and 5m, got -1ns", "max_entries must be between 1 and 1000, got 1001", "max_attempts must be between 1 and 50, got 0",
		"holder must be 1 to 253 characters, got 0",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = NewReservations(nil, settings)
	require.Error(t, err)
	a, _ := newReservations(t, &configMaps{}, "a", nil)
	_, err = a.Reserve(allowed(t), Claim{Locks: []string{""}, Cooldown: 2 * time.Hour})
	for _, want := range []string{
		"key must be 1 to 253 characters", "each lock must be 1 to 512 characters", "class must be set", "lease must be between 1s and the window of the reservations, 1h0m0s, got 0s",
		"cooldown must be between 0s and the window of the reservations, 1h0m0s, got 2h0m0s", "limits: window must be between",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = a.Reserve(allowed(t), Claim{})
	require.ErrorContains(t, err, "locks must be 1 to 64, got 0")
}

func TestReservationsName(t *testing.T) {
	server := &configMaps{}
	a, _ := newReservations(t, server, "a", func(s *ReservationSettings) { s.Name = "other" })
	require.True(t, reserve(t, a, claimOn("k", "web")).Act())
	require.Contains(t, server.objects, "other")
	assert.Equal(t, types.UID("uid"), server.objects["other"].UID)
}

// What can be read survives being written, and reading never panics.
func FuzzDecodeReservations(f *testing.F) {
	f.Add(`{"version":1,"entries":[]}`)
	f.Add(`{"version":1,"entries":[{"key":"k","locks":["web"],"class":"restart","weight":1,"state":"done","holder":"b","at":"2020-01-01T00:00:00Z","until":"2020-01-01T00:01:00Z","done":"2020-01-01T00:00:10Z"}]}`)
	f.Add(`{"version":1,"entries":[{"key":"k","state":"held"}]}`)
	f.Fuzz(func(t *testing.T, content string) {
		list, err := decodeReservations(content)
		if err != nil {
			return
		}
		encoded, err := list.encode()
		require.NoError(t, err)
		if len(encoded) > maxReservationBytes {
			return
		}
		again, err := decodeReservations(encoded)
		require.NoError(t, err)
		require.Len(t, again.Entries, len(list.Entries))
	})
}

package kubeaction

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// ReservationSettings say where the fleet's executors agree on who acts.
type ReservationSettings struct {
	// Namespace and Name are those of the ConfigMap that holds the reservations.
	Namespace string `mapstructure:"namespace"`
	Name      string `mapstructure:"name"`
	// Window is how long reservations are kept, 1 min to 24 h; the windows and cooldowns of claims must not be longer.
	Window time.Duration `mapstructure:"window"`
	// Skew is by how much the clocks of executors may differ, 0 to 5 min. Everything lasts that much longer for others, and a
	// reservation that lies further in the future stops all executors until a person looks.
	Skew time.Duration `mapstructure:"skew"`
	// MaxEntries bounds the reservations of a window, 1 to 1000; once it is full nobody acts until the oldest expire.
	MaxEntries int `mapstructure:"max_entries"`
	// MaxAttempts is how often a write that another executor's write got ahead of is tried, 1 to 50.
	MaxAttempts int `mapstructure:"max_attempts"`
	// Holder is this executor: unique in the fleet, the same after a restart (the pod's name, say).
	Holder string `mapstructure:"holder"`
}

// DefaultReservationSettings need a namespace and a holder.
func DefaultReservationSettings() ReservationSettings {
	return ReservationSettings{Name: "paramedic-reservations", Window: time.Hour, Skew: 10 * time.Second, MaxEntries: 200, MaxAttempts: 12}
}

// Validate says everything that is wrong with the settings.
func (s *ReservationSettings) Validate() error {
	var errs []error
	if len(validation.IsDNS1123Label(s.Namespace)) > 0 {
		errs = append(errs, fmt.Errorf("namespace must be the name of a namespace, got %q", s.Namespace))
	}
	if len(validation.IsDNS1123Subdomain(s.Name)) > 0 {
		errs = append(errs, fmt.Errorf("name must be a name for a ConfigMap, got %q", s.Name))
	}
	if s.Window < time.Minute || s.Window > 24*time.Hour {
		errs = append(errs, fmt.Errorf("window must be between 1m and 24h, got %s", s.Window))
	}
	if s.Skew < 0 || s.Skew > 5*time.Minute {
		errs = append(errs, fmt.Errorf("skew must be between 0s and 5m, got %s", s.Skew))
	}
	if s.MaxEntries < 1 || s.MaxEntries > 1000 {
		errs = append(errs, fmt.Errorf("max_entries must be between 1 and 1000, got %d", s.MaxEntries))
	}
	if s.MaxAttempts < 1 || s.MaxAttempts > 50 {
		errs = append(errs, fmt.Errorf("max_attempts must be between 1 and 50, got %d", s.MaxAttempts))
	}
	if s.Holder == "" || len(s.Holder) > maxHolder {
		errs = append(errs, fmt.Errorf("holder must be 1 to %d characters, got %d; it names this executor in the fleet", maxHolder, len(s.Holder)))
	}
	return errors.Join(errs...)
}

// Claim asks to be the one who acts.
type Claim struct {
	// Key is the plan's idempotency key.
	Key string
	// Locks are the plan's.
	Locks     []string
	Class     Class
	Namespace string
	// Weight is how many pods or nodes are disturbed; at least 1 is counted.
	Weight int
	// Lease is how long the holder may take; after it others take an unfinished reservation for an unfinished action.
	Lease time.Duration
	// Cooldown is how long after an action nobody acts on the same lock again.
	Cooldown time.Duration
	Limits   Limits
}

// Limits are what the whole fleet of executors may do in a window. A limit of 0 allows nothing.
type Limits struct {
	Window time.Duration
	// Total is how many actions, Class how many of the claim's class, Weight how many pods or nodes with the claim's class.
	Total, Class, Weight int
}

// Verdict is what became of a claim.
type Verdict string

// The verdicts. Only the first two allow to act.
const (
	// Granted: the reservation is ours.
	Granted Verdict = "granted"
	// Resumed: it was ours before, or its holder's lease ran out; something may have been done already.
	Resumed Verdict = "resumed"
	// AlreadyDone: somebody has done it in the window.
	AlreadyDone Verdict = "already_done"
	// Busy: another executor holds it, or a lock of it.
	Busy Verdict = "busy"
	// Cooldown: a lock of it was acted on too short a time ago.
	Cooldown Verdict = "cooldown"
	// OverBudget: the fleet has done enough in the window.
	OverBudget Verdict = "over_budget"
	// Full: the list of reservations is at its bound.
	Full Verdict = "full"
)

// Outcome is the answer to a claim.
type Outcome struct {
	Verdict Verdict
	// Detail tells a person why.
	Detail string
	// RetryAfter is after which time another answer is possible, 0 if acting is allowed or never.
	RetryAfter time.Duration
}

// Act tells whether to act.
func (o Outcome) Act() bool { return o.Verdict == Granted || o.Verdict == Resumed }

// The errors of reservations.
var (
	// ErrUnreadable is the error where the ConfigMap holds something else. It is left as it is, and nobody may act.
	ErrUnreadable = errors.New("reservations cannot be read")
	// ErrNotHolder is the error of giving back what another executor holds.
	ErrNotHolder = errors.New("the reservation is not ours")
	// ErrContended is the error where others were faster in every attempt. Nothing was reserved.
	ErrContended = errors.New("others wrote at the same time in every attempt")
)

// Reservations are the fleet's agreement on who acts, kept in one ConfigMap and changed only by compare-and-set. They are
// safe for concurrent use, but claims for one key should not be made at once under one holder: both may be allowed.
// Correctness depends on the API server's resourceVersion and on clocks that differ by no more than the skew; on no leader.
type Reservations struct {
	settings   ReservationSettings
	configMaps typedcorev1.ConfigMapInterface
	now        func() time.Time
}

// NewReservations works on the ConfigMap that the settings name, and creates it when it is first needed.
func NewReservations(client typedcorev1.ConfigMapsGetter, settings ReservationSettings) (*Reservations, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	return &Reservations{settings: settings, configMaps: client.ConfigMaps(settings.Namespace), now: time.Now}, nil
}

// Reservations returns the fleet's agreement in the client's cluster.
func (c *Client) Reservations(settings ReservationSettings) (*Reservations, error) {
	return NewReservations(c.typed.CoreV1(), settings)
}

// Reserve asks for the right to act. The context must hold the permit of the order: it is asked for the write, so that the
// kill switch stops this too. An error means that it is not known whether something was reserved, and not to act.
func (r *Reservations) Reserve(ctx context.Context, claim Claim) (Outcome, error) {
	if err := r.validate(&claim); err != nil {
		return Outcome{}, err
	}
	var outcome Outcome
	err := r.change(r.permit(ctx, PermitFrom(ctx)), func(l *reservationList, now time.Time) bool {
		outcome = l.reserve(&claim, now, &r.settings)
		return outcome.Act()
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("reserve %s: %w", claim.Key, err)
	}
	return outcome, nil
}

// Done records that what was reserved has been done, whoever holds it by now. It needs no permit: what is done must be
// recorded. A key that is unknown, because the window has passed, is no error.
func (r *Reservations) Done(ctx context.Context, key string) error {
	err := r.change(r.permit(ctx, nil), func(l *reservationList, now time.Time) bool {
		e := l.find(key)
		if e == nil || e.State == stateDone {
			return false
		}
		e.State, e.Done = stateDone, now
		return true
	})
	if err != nil {
		return fmt.Errorf("record that %s is done: %w", key, err)
	}
	return nil
}

// Release gives back a reservation under which nothing was changed: it counts no longer. It needs no permit. A key that is
// unknown is no error; one that another executor holds, or that is done, is.
func (r *Reservations) Release(ctx context.Context, key string) error {
	var refused error
	err := r.change(r.permit(ctx, nil), func(l *reservationList, _ time.Time) bool {
		e := l.find(key)
		switch {
		case e == nil || e.State == stateReleased:
			return false
		case e.State == stateDone:
			refused = errors.New("it is done")
			return false
		case e.Holder != r.settings.Holder:
			refused = fmt.Errorf("%w but %s's", ErrNotHolder, e.Holder)
			return false
		}
		e.State = stateReleased
		return true
	})
	if err = errors.Join(err, refused); err != nil {
		return fmt.Errorf("release %s: %w", key, err)
	}
	return nil
}

func (r *Reservations) validate(claim *Claim) error {
	var errs []error
	if claim.Key == "" || len(claim.Key) > maxKey {
		errs = append(errs, fmt.Errorf("key must be 1 to %d characters, got %d", maxKey, len(claim.Key)))
	}
	if len(claim.Locks) == 0 || len(claim.Locks) > maxLocks {
		errs = append(errs, fmt.Errorf("locks must be 1 to %d, got %d", maxLocks, len(claim.Locks)))
	}
	for _, lock := range claim.Locks {
		if lock == "" || len(lock) > maxLock {
			errs = append(errs, fmt.Errorf("each lock must be 1 to %d characters, got %d", maxLock, len(lock)))
		}
	}
	if claim.Class == "" || len(claim.Class) > maxHolder || len(claim.Namespace) > maxKey {
		errs = append(errs, fmt.Errorf("class must be set and short, got %q in namespace %q", claim.Class, claim.Namespace))
	}
	for _, d := range []struct {
		name       string
		value, low time.Duration
	}{{"lease", claim.Lease, time.Second}, {"cooldown", claim.Cooldown, 0}, {"limits: window", claim.Limits.Window, time.Second}} {
		if d.value < d.low || d.value > r.settings.Window {
			errs = append(errs, fmt.Errorf("%s must be between %s and the window of the reservations, %s, got %s", d.name, d.low, r.settings.Window, d.value))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("claim is invalid: %w", errors.Join(errs...))
	}
	return nil
}

// change reads, lets edit decide, and writes what it changed if nobody else has written since.
func (r *Reservations) change(ctx context.Context, edit func(*reservationList, time.Time) bool) error {
	last := ErrContended
	for attempt := range r.settings.MaxAttempts {
		if attempt > 0 {
			if err := wait(ctx, jitter(attempt)); err != nil {
				return errors.Join(last, err)
			}
		}
		passing, err := r.try(ctx, edit)
		if err == nil {
			return nil
		}
		// A write whose answer got lost may have been made. Reading again tells, so repeating it is harmless.
		if last = err; !passing || ctx.Err() != nil || !mayPass(err) {
			return err
		}
	}
	if apierrors.IsConflict(last) || apierrors.IsAlreadyExists(last) {
		return fmt.Errorf("%w (%d): %w", ErrContended, r.settings.MaxAttempts, last)
	}
	return fmt.Errorf("%d attempts: %w", r.settings.MaxAttempts, last)
}

// try makes one attempt. It tells whether the error, if any, is one of the API server's, which may pass.
func (r *Reservations) try(ctx context.Context, edit func(*reservationList, time.Time) bool) (bool, error) {
	found, err := r.configMaps.Get(ctx, r.settings.Name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return true, fmt.Errorf("read ConfigMap %s/%s: %w", r.settings.Namespace, r.settings.Name, err)
	}
	list, now := &reservationList{Version: reservationVersion}, r.now().UTC()
	if !missing {
		if list, err = readReservations(found, now, &r.settings); err != nil {
			return false, fmt.Errorf("%w: ConfigMap %s/%s: %w; nobody acts until it is mended, or deleted while all executors are stopped", ErrUnreadable, r.settings.Namespace, r.settings.Name, err)
		}
	}
	list.prune(now, &r.settings)
	if !edit(list, now) {
		return false, nil
	}
	content, err := list.encode()
	if err != nil {
		return false, err
	}
	if missing {
		_, err = r.configMaps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: r.settings.Name, Labels: map[string]string{labelManagedBy: managedBy}},
			Data:       map[string]string{reservationKey: content},
		}, metav1.CreateOptions{})
	} else {
		// The resourceVersion and the UID that were read are the precondition.
		found.Data[reservationKey] = content
		_, err = r.configMaps.Update(ctx, found, metav1.UpdateOptions{})
	}
	if err != nil {
		return true, fmt.Errorf("write ConfigMap %s/%s: %w", r.settings.Namespace, r.settings.Name, err)
	}
	return true, nil
}

// permit returns a context whose permit allows writing this one ConfigMap, if next, where there is one to be asked, does.
func (r *Reservations) permit(ctx context.Context, next Permit) context.Context {
	return WithPermit(ctx, &reservationPermit{namespace: r.settings.Namespace, name: r.settings.Name, next: next})
}

type reservationPermit struct {
	namespace, name string
	next            Permit
}

// Allow implements Permit.
func (p *reservationPermit) Allow(ctx context.Context, request Request) error {
	ours := Request{Verb: "update", Resource: "configmaps", Namespace: p.namespace, Name: p.name}
	if request.Verb == "create" {
		ours.Verb, ours.Name = "create", ""
	}
	ours.Restoring = request.Restoring
	if request != ours {
		return fmt.Errorf("%w: it is not about the reservations", ErrNeverPermitted)
	}
	if p.next == nil {
		return nil
	}
	return p.next.Allow(ctx, request)
}

// mayPass tells whether an error of reading or writing may be gone in the next attempt.
func mayPass(err error) bool {
	var forbidden *ForbiddenCall
	if errors.As(err, &forbidden) {
		return false
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		// Nothing of the API server's: the connection broke.
		return true
	}
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.IsTooManyRequests(err) ||
		status.Status().Code >= 500
}

// jitter grows from 0..40 ms to 0..640 ms, so that racing executors part soon.
func jitter(attempt int) time.Duration {
	return rand.N(20 * time.Millisecond << min(attempt, 5)) //nolint:gosec // It need not be unpredictable.
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

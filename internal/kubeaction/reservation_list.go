package kubeaction

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	reservationVersion = 1
	reservationKey     = "reservations.json"
	// maxReservationBytes leaves room below the API server's 1 MiB.
	maxReservationBytes = 256 << 10

	maxKey, maxHolder, maxLock, maxLocks = 253, 253, 512, 64
)

// What we create says so with this label.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "otelcol-paramedic"
)

type reservationState string

const (
	stateHeld     reservationState = "held"
	stateDone     reservationState = "done"
	stateReleased reservationState = "released"
)

// reservation is one entry of the ConfigMap. Times are those of its holder's clock.
type reservation struct {
	Key       string           `json:"key"`
	Locks     []string         `json:"locks"`
	Class     Class            `json:"class"`
	Namespace string           `json:"namespace,omitempty"`
	Weight    int              `json:"weight"`
	State     reservationState `json:"state"`
	Holder    string           `json:"holder"`
	// At is when it was first reserved, Until the end of the holder's lease, Done when it was done.
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	Done  time.Time `json:"done,omitzero"`
}

// acted is the last moment at which something may have been changed under the reservation.
func (e *reservation) acted() time.Time {
	if e.State == stateDone {
		return e.Done
	}
	return e.Until
}

type reservationList struct {
	Version int           `json:"version"`
	Entries []reservation `json:"entries"`
}

// readReservations refuses what it does not understand entirely: writing it back would lose it.
func readReservations(found *corev1.ConfigMap, now time.Time, s *ReservationSettings) (*reservationList, error) {
	content, present := found.Data[reservationKey]
	if !present {
		if len(found.Data)+len(found.BinaryData) > 0 {
			return nil, fmt.Errorf("it has no key %s but others; choose another name", reservationKey)
		}
		found.Data = map[string]string{}
		return &reservationList{Version: reservationVersion}, nil
	}
	list, err := decodeReservations(content)
	if err != nil {
		return nil, err
	}
	for i := range list.Entries {
		if e := &list.Entries[i]; e.At.After(now.Add(s.Skew)) || e.Done.After(now.Add(s.Skew)) {
			return nil, fmt.Errorf("entry %s of %s lies in the future (%s, it is %s here); mend the clocks, they may differ by %s", e.Key, e.Holder, e.acted().Format(time.RFC3339), now.Format(time.RFC3339), s.Skew)
		}
	}
	return list, nil
}

func decodeReservations(content string) (*reservationList, error) {
	if len(content) > maxReservationBytes {
		return nil, fmt.Errorf("%s must be at most %d bytes, got %d", reservationKey, maxReservationBytes, len(content))
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(content)))
	decoder.DisallowUnknownFields()
	list := &reservationList{}
	if err := decoder.Decode(list); err != nil {
		return nil, fmt.Errorf("%s: %w", reservationKey, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more follows after the list", reservationKey)
	}
	if list.Version != reservationVersion {
		return nil, fmt.Errorf("%s: version must be %d, got %d; another version of the executor wrote it", reservationKey, reservationVersion, list.Version)
	}
	seen := make(map[string]bool, len(list.Entries))
	for i := range list.Entries {
		e := &list.Entries[i]
		known := e.State == stateHeld || e.State == stateDone || e.State == stateReleased
		if !known || e.Key == "" || seen[e.Key] || e.Class == "" || e.Holder == "" || e.Weight < 1 || e.At.IsZero() || e.Until.Before(e.At) || (e.State == stateDone) == e.Done.IsZero() {
			return nil, fmt.Errorf("%s: entry %d (%q) makes no sense", reservationKey, i, e.Key)
		}
		seen[e.Key] = true
	}
	return list, nil
}

// encode sorts by time, so that a person can read it.
func (l *reservationList) encode() (string, error) {
	slices.SortFunc(l.Entries, func(a, b reservation) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Key, b.Key)) })
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(l); err != nil {
		return "", err
	}
	return out.String(), nil
}

func (l *reservationList) find(key string) *reservation {
	if i := slices.IndexFunc(l.Entries, func(e reservation) bool { return e.Key == key }); i >= 0 {
		return &l.Entries[i]
	}
	return nil
}

// prune forgets what can no longer matter to anybody, whatever clock it has.
func (l *reservationList) prune(now time.Time, s *ReservationSettings) {
	l.Entries = slices.DeleteFunc(l.Entries, func(e reservation) bool {
		return now.After(e.acted().Add(s.Window+s.Skew)) && now.After(e.At.Add(s.Window+s.Skew))
	})
}

// reserve judges a claim, and enters it if it is allowed.
func (l *reservationList) reserve(claim *Claim, now time.Time, s *ReservationSettings) Outcome {
	weight := max(claim.Weight, 1)
	own := l.find(claim.Key)
	if own != nil && own.State == stateReleased {
		l.remove(claim.Key)
		own = nil
	}
	if own != nil {
		leased := !now.After(own.Until.Add(s.Skew))
		switch {
		case own.State == stateDone:
			return Outcome{Verdict: AlreadyDone, Detail: fmt.Sprintf("%s did it at %s", own.Holder, own.Done.Format(time.RFC3339))}
		case leased && own.Holder != s.Holder:
			return Outcome{
				Verdict: Busy, RetryAfter: own.Until.Add(s.Skew).Sub(now),
				Detail: fmt.Sprintf("%s is at it since %s", own.Holder, own.At.Format(time.RFC3339)),
			}
		case leased && own.Holder == s.Holder:
			own.Until = now.Add(claim.Lease)
			return Outcome{Verdict: Resumed, Detail: "it was reserved before"}
		}
	}
	if outcome := l.locked(claim, now, s); outcome.Verdict != "" {
		return outcome
	}
	if own != nil {
		// Its holder has gone, perhaps in the midst of it. It has been counted when it was reserved.
		before := own.Holder
		own.Holder, own.Until = s.Holder, now.Add(claim.Lease)
		return Outcome{Verdict: Resumed, Detail: before + " reserved it and did not say in time what became of it"}
	}
	if outcome := l.spent(claim, weight, now, s); outcome.Verdict != "" {
		return outcome
	}
	l.Entries = append(l.Entries, reservation{
		Key: claim.Key, Locks: slices.Clone(claim.Locks), Class: claim.Class, Namespace: claim.Namespace, Weight: weight,
		State: stateHeld, Holder: s.Holder, At: now, Until: now.Add(claim.Lease),
	})
	if !l.fit(s.MaxEntries) {
		return Outcome{
			Verdict: Full, RetryAfter: time.Minute,
			Detail: fmt.Sprintf("the list holds %d reservations, at most %d and %d bytes may be kept", len(l.Entries)-1, s.MaxEntries, maxReservationBytes),
		}
	}
	return Outcome{Verdict: Granted}
}

// locked tells what stands against acting on the claim's locks; no verdict if nothing does.
func (l *reservationList) locked(claim *Claim, now time.Time, s *ReservationSettings) Outcome {
	var worst Outcome
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.State == stateReleased || e.Key == claim.Key {
			continue
		}
		shared := slices.IndexFunc(claim.Locks, func(lock string) bool { return slices.Contains(e.Locks, lock) })
		if shared < 0 {
			continue
		}
		outcome := Outcome{Verdict: Busy, Detail: fmt.Sprintf("%s is acting on %s", e.Holder, claim.Locks[shared]), RetryAfter: e.Until.Add(s.Skew).Sub(now)}
		if e.State == stateDone || outcome.RetryAfter < 0 {
			outcome = Outcome{
				Verdict:    Cooldown,
				Detail:     fmt.Sprintf("%s acted on %s until %s, within %s", e.Holder, claim.Locks[shared], e.acted().Format(time.RFC3339), claim.Cooldown),
				RetryAfter: e.acted().Add(claim.Cooldown + s.Skew).Sub(now),
			}
			if claim.Cooldown == 0 {
				continue
			}
		}
		if outcome.RetryAfter >= 0 && (worst.Verdict == "" || outcome.RetryAfter > worst.RetryAfter) {
			worst = outcome
		}
	}
	return worst
}

// spent tells which limit stands against acting; no verdict if none does.
func (l *reservationList) spent(claim *Claim, weight int, now time.Time, s *ReservationSettings) Outcome {
	var total, class, sum int
	oldest := now
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.State == stateReleased || now.After(e.At.Add(claim.Limits.Window+s.Skew)) {
			continue
		}
		if e.At.Before(oldest) {
			oldest = e.At
		}
		if total++; e.Class == claim.Class {
			class++
			sum += e.Weight
		}
	}
	var detail string
	switch limits := &claim.Limits; {
	case total >= limits.Total:
		detail = fmt.Sprintf("%d actions in %s, at most %d are allowed", total, limits.Window, limits.Total)
	case class >= limits.Class:
		detail = fmt.Sprintf("%d actions of class %s in %s, at most %d are allowed", class, claim.Class, limits.Window, limits.Class)
	case sum+weight > limits.Weight:
		detail = fmt.Sprintf("%d pods or nodes of class %s in %s and %d more, at most %d are allowed", sum, claim.Class, limits.Window, weight, limits.Weight)
	default:
		return Outcome{}
	}
	return Outcome{Verdict: OverBudget, Detail: detail, RetryAfter: oldest.Add(claim.Limits.Window + s.Skew).Sub(now)}
}

func (l *reservationList) remove(key string) {
	l.Entries = slices.DeleteFunc(l.Entries, func(e reservation) bool { return e.Key == key })
}

// fit drops released reservations, which only a person still wants to see, until the list is within its bounds.
func (l *reservationList) fit(maxEntries int) bool {
	for {
		content, err := l.encode()
		if err == nil && len(l.Entries) <= maxEntries && len(content) <= maxReservationBytes {
			return true
		}
		released := slices.IndexFunc(l.Entries, func(e reservation) bool { return e.State == stateReleased })
		if released < 0 {
			return false
		}
		l.Entries = slices.Delete(l.Entries, released, released+1)
	}
}
